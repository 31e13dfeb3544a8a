/* What a backend is: memory and one kernel per row of the op table. Kernels are chosen once, by pointer, when the
 * backend is opened; the executor knows no device. */
#ifndef GRAPH_BACKEND_H
#define GRAPH_BACKEND_H

#include "graph/graph.h"

typedef struct backend backend;

/* One launch of one node. Sizes and attributes are read from the node. */
typedef struct call {
    backend *be;
    const node *n;
    const void *in[MAX_INPUTS];        /* NULL where the node's input is NULL; a parameter comes from param_data() */
    const param *weight[MAX_INPUTS];   /* set where in[i] is a parameter: lets a kernel keep it packed */
    void *out;                         /* [n->shape]; never aliases in[] unless the kernel is marked in_place */
    void *part[MAX_PARTS];             /* NULL where nothing reads that part: the kernel skips it */
    void *scratch;                     /* kernel->scratch(n) bytes, 64-byte aligned */
    void *state;                       /* what prepare made */
    const node *then;                  /* a node that alone reads this one: out is its result (kernel->fuses) */
} call;

typedef struct kernel {
    void (*run)(const call *c);
    /* Optional. Bytes of scratch that one run needs. */
    size_t (*scratch)(const backend *be, const node *n);
    /* Optional. Bytes of scratch with which run, given `then`, leaves that node's result instead of its own; SIZE_MAX:
     * it can't. then's first input is n. */
    size_t (*fuses)(const backend *be, const node *n, const node *then);
    /* Optional. Called once per planned node (primitive creation, not weights). */
    int (*prepare)(backend *be, const node *n, void **state, m2m_error *err);
    void (*release)(void *state);
    /* Optional, where it is not node_flops: floating-point operations of the products that run does. */
    double (*work)(const backend *be, const node *n);
    /* Optional. Operations of tile instructions that run does (backend.tiles_peak). */
    double (*tiles)(const backend *be, const node *n);
    bool packs;                        /* reads parameters through weight[] alone: in[] is NULL for them */
    bool in_place;                     /* out may be the same memory as in[0] (elementwise with in[0] of out's shape) */
} kernel;

typedef struct adamw {                 /* torch.optim.AdamW, one step; step counts from 1 */
    double lr, beta1, beta2, eps, weight_decay;  /* double: 1 - 0.999f is wrong in the fifth digit */
    double grad_scale;                 /* gradients are multiplied by this first (clipping, accumulation) */
    int64_t step;
} adamw;

struct backend {
    const char *name;                  /* "cpu", "reference-f64", "cuda:0" */
    const char *detail;                /* "avx2, 2 threads" */
    size_t float_size;                 /* bytes of a DT_F32 element here: 4, or 8 in the double reference */
    int threads;
    const kernel *kernels;             /* [OP_COUNT]; run == NULL: not implemented, an error that names the op */
    void *(*alloc)(backend *be, size_t bytes);            /* 64-byte aligned; NULL when memory is out */
    void (*free)(backend *be, void *p, size_t bytes);
    void (*upload)(backend *be, void *dst, const void *src, size_t bytes);    /* host -> here */
    void (*download)(backend *be, void *dst, const void *src, size_t bytes);  /* here -> host */
    void (*copy)(backend *be, void *dst, const void *src, size_t bytes);      /* here -> here; may overlap */
    /* Where parameter p's data can be read as this backend's floats; valid until p->version changes. NULL: out of
     * memory. */
    const void *(*param_data)(backend *be, const param *p);
    /* Training: p, g, m, v of n floats, updated in place; ema = ema*d + p*(1-d). */
    void (*adamw)(backend *be, const adamw *o, int64_t n, float *p, const float *g, float *m, float *v);
    void (*lerp)(backend *be, int64_t n, float *dst, const float *src, float keep);  /* dst = dst*keep + src*(1-keep) */
    void (*accumulate)(backend *be, int64_t n, float *dst, const float *src);        /* dst += src */
    double (*sum_squares)(backend *be, int64_t n, const float *x);
    /* Measures the multiply-adds times two a second that it does at best, by vectors of the numbers that products are
     * of; and by tile instructions, of 8-bit integers. NULL: unknown, or there are none. */
    double (*peak)(backend *be);
    double (*tiles_peak)(backend *be);
    void (*close)(backend *be);
    void *impl;
};

#endif
