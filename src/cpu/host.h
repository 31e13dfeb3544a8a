/* What the backends in host memory share: aligned memory, copies, and the table of what was made of parameters (other
 * element types, packed forms), keyed by (param, kind) and made again when param->version moved. */
#ifndef CPU_HOST_H
#define CPU_HOST_H

#include "graph/backend.h"

typedef struct pack_entry {
    const param *key;
    int kind;             /* 0: converted to the backend's floats; others: the owner's */
    uint64_t version;
    const void *source;   /* param->data it was made from; NULL: not made yet */
    size_t bytes;
    void *data;
} pack_entry;

typedef struct pack_table {
    pack_entry *slot;     /* open addressing, capacity a power of two */
    size_t capacity, used;
} pack_table;

void *host_alloc(size_t bytes);      /* 64-byte aligned; NULL when memory is out */
void host_free(void *p);

/* Was memory taken for (p, kind)? */
bool pack_has(const pack_table *t, const param *p, int kind);
/* Takes the memory of an entry now. False: out of memory. */
bool pack_reserve(pack_table *t, const param *p, int kind, size_t bytes);
/* The entry for (p, kind) with `bytes` of data; *stale tells the caller to fill entry->data now. NULL: out of
 * memory. */
pack_entry *pack_get(pack_table *t, const param *p, int kind, size_t bytes, bool *stale);
void pack_free(pack_table *t);
/* Lets go of the memory of p's own data if it lies in a file's map; reading it again brings it back. */
void param_drop_pages(const param *p);

/* Backend methods in host memory. */
void *host_be_alloc(backend *be, size_t bytes);
void host_be_free(backend *be, void *p, size_t bytes);
void host_be_copy(backend *be, void *dst, const void *src, size_t bytes);

/* The reference's kernels and training steps, which every other backend starts from. */
extern const kernel ref_f32_kernels[OP_COUNT];
extern const kernel ref_f64_kernels[OP_COUNT];
void ref_adamw(backend *be, const adamw *o, int64_t n, float *p, const float *g, float *m, float *v);
void ref_lerp(backend *be, int64_t n, float *dst, const float *src, float keep);
void ref_accumulate(backend *be, int64_t n, float *dst, const float *src);
double ref_sum_squares(backend *be, int64_t n, const float *x);

#endif
