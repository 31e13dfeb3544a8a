/* Shapes, element types and views of dense, row-major data. A tensor never owns its data. */
#ifndef TENSOR_TENSOR_H
#define TENSOR_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_RANK = 6 };

/* Names and order as in safetensors. */
typedef enum dtype {
    DT_BOOL, DT_U8, DT_I8, DT_F8_E5M2, DT_F8_E4M3, DT_I16, DT_U16, DT_F16, DT_BF16,
    DT_I32, DT_U32, DT_F32, DT_F64, DT_I64, DT_U64, DT_COUNT
} dtype;

typedef struct shape {
    int rank;
    int64_t dim[MAX_RANK];
} shape;

typedef struct tensor {
    dtype type;
    shape shape;
    void *data;
    bool mapped;          /* data lies in a file's map and is never written: its pages may be dropped, and come back */
} tensor;

#define SHAPE(...) shape_make((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})

shape shape_make(int rank, const int64_t *dim);
int64_t shape_count(shape s);                     /* product of the dimensions; 1 for rank 0 */
bool shape_count_checked(shape s, int64_t *count); /* false on overflow or a negative dimension (hostile files) */
bool shape_equal(shape a, shape b);
int64_t shape_last(shape s);                      /* the innermost dimension */
int64_t shape_rows(shape s);                      /* product of all but the innermost */
/* "[2, 3, 4]" into buf; returns buf. */
const char *shape_text(shape s, char *buf, size_t size);

size_t dtype_size(dtype t);                       /* bytes per element */
const char *dtype_name(dtype t);                  /* "F32" */
bool dtype_parse(const char *name, dtype *t);
bool dtype_is_float(dtype t);

/* n elements of any numeric type to and from float (round to nearest even for the 16-bit types; f8 is read only). */
void to_f32(float *dst, const void *src, dtype t, int64_t n);
void from_f32(void *dst, const float *src, dtype t, int64_t n);

#endif
