/* The reference backends: one thread, plain C, float or double. Slow on purpose; everything else is checked against
 * them. */
#include <math.h>
#include <stdlib.h>

#include "cpu/cpu.h"
#include "cpu/host.h"

typedef struct reference {
    backend base;
    pack_table packs;
} reference;

static const void *reference_param_f32(backend *be, const param *p)
{
    if (p->type == DT_F32) return p->data;
    reference *r = be->impl;
    int64_t n = shape_count(p->shape);
    bool stale;
    pack_entry *e = pack_get(&r->packs, p, 0, (size_t)n * sizeof(float), &stale);
    if (!e) return NULL;
    if (stale) to_f32(e->data, p->data, p->type, n);
    return e->data;
}

static const void *reference_param_f64(backend *be, const param *p)
{
    enum { CHUNK = 256 };
    reference *r = be->impl;
    int64_t n = shape_count(p->shape);
    bool stale;
    pack_entry *e = pack_get(&r->packs, p, 0, (size_t)n * sizeof(double), &stale);
    if (!e) return NULL;
    double *dst = e->data;
    if (stale && p->type == DT_F64)
        for (int64_t i = 0; i < n; i++) dst[i] = ((const double *)p->data)[i];
    for (int64_t at = 0; stale && p->type != DT_F64 && at < n; at += CHUNK) {
        float part[CHUNK];
        int64_t count = n - at < CHUNK ? n - at : CHUNK;
        to_f32(part, (const char *)p->data + (size_t)at * dtype_size(p->type), p->type, count);
        for (int64_t i = 0; i < count; i++) dst[at + i] = part[i];
    }
    return dst;
}

static void reference_close(backend *be)
{
    reference *r = be->impl;
    pack_free(&r->packs);
    free(r);
}

backend *backend_reference_open(bool f64)
{
    reference *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->base = (backend){
        .name = f64 ? "reference-f64" : "reference-f32", .detail = "plain C, 1 thread",
        .float_size = f64 ? sizeof(double) : sizeof(float), .threads = 1,
        .kernels = f64 ? ref_f64_kernels : ref_f32_kernels,
        .alloc = host_be_alloc, .free = host_be_free, .upload = host_be_copy, .download = host_be_copy,
        .copy = host_be_copy,
        .param_data = f64 ? reference_param_f64 : reference_param_f32,
        .adamw = ref_adamw, .lerp = ref_lerp, .accumulate = ref_accumulate, .sum_squares = ref_sum_squares,
        .close = reference_close, .impl = r,
    };
    return &r->base;
}

/* The order of operations of torch.optim.AdamW (single tensor); scalars in double as Python has them. */
void ref_adamw(backend *be, const adamw *o, int64_t n, float *p, const float *g, float *m, float *v)
{
    (void)be;
    const double correct1 = 1 - pow(o->beta1, (double)o->step), correct2 = 1 - pow(o->beta2, (double)o->step);
    const float decay = (float)(1 - o->lr * o->weight_decay), mix1 = (float)(1 - o->beta1);
    const float beta2 = (float)o->beta2, mix2 = (float)(1 - o->beta2), eps = (float)o->eps;
    const float root2 = (float)sqrt(correct2), step = (float)(o->lr / correct1), gs = (float)o->grad_scale;
    for (int64_t i = 0; i < n; i++) {
        const float gi = g[i] * gs;
        const float pi = p[i] * decay;
        m[i] = m[i] + mix1 * (gi - m[i]);
        v[i] = v[i] * beta2 + mix2 * gi * gi;
        p[i] = pi - step * (m[i] / (sqrtf(v[i]) / root2 + eps));
    }
}

void ref_lerp(backend *be, int64_t n, float *dst, const float *src, float keep)
{
    (void)be;
    for (int64_t i = 0; i < n; i++) dst[i] = dst[i] * keep + src[i] * (1 - keep);
}

void ref_accumulate(backend *be, int64_t n, float *dst, const float *src)
{
    (void)be;
    for (int64_t i = 0; i < n; i++) dst[i] += src[i];
}

double ref_sum_squares(backend *be, int64_t n, const float *x)
{
    (void)be;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sum;
}
