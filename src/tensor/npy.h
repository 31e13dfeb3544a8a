/* NumPy's .npy files of format 1, 2 and 3: one array of numbers, little-endian, in C order. Any thread. */
#ifndef TENSOR_NPY_H
#define TENSOR_NPY_H

#include "base/str.h"
#include "m2m.h"
#include "tensor/tensor.h"

/* Views an array: *t borrows `data`, and t->data need not be aligned (npy_f64, to_f32 after a copy). Errors begin with
 * `name`: M2M_EFORMAT for damage, a size that differs from header + shape, Python objects; M2M_EUNSUPPORTED for
 * big-endian numbers, Fortran order of more than one dimension, types that tensor.h lacks, more than MAX_RANK
 * dimensions. */
int npy_view(tensor *t, const void *data, size_t size, const char *name, m2m_error *err);
/* The numbers of an F32 or F64 array, in double. dst: [shape_count] */
void npy_f64(double *dst, const tensor *t);
/* Appends the array as a file of format 1.0. */
void npy_write(str *s, const tensor *t);

#endif
