/* The fast CPU backend's inside: its state, and the kernel tables that fast_generic.c, fast_avx2.c, fast_avx512.c,
 * fast_avx512vnni.c and fast_amx.c compile from the same text (*.inc.c) for vectors of 4, 8 and 16 floats. */
#ifndef CPU_FAST_H
#define CPU_FAST_H

#include "cpu/host.h"
#include "cpu/team.h"
#include "graph/exec.h"

typedef struct fast_table {
    const char *isa;
    kernel kernels[OP_COUNT];   /* run == NULL: the reference's */
    const kernel *words;        /* [OP_COUNT], over those, with products of 16-bit integers; NULL: none */
    bool bytes;                 /* and of 8-bit ones */
    void (*adamw)(backend *be, const adamw *o, int64_t n, float *p, const float *g, float *m, float *v);
    void (*lerp)(backend *be, int64_t n, float *dst, const float *src, float keep);
    void (*accumulate)(backend *be, int64_t n, float *dst, const float *src);
    double (*sum_squares)(backend *be, int64_t n, const float *x);
    double (*peak)(backend *be);
    double (*words_peak)(backend *be);
    double (*tiles_peak)(backend *be);
} fast_table;

extern const fast_table fast_generic, fast_avx2, fast_avx512, fast_avx512vnni, fast_amx;

typedef struct cpu_backend {
    backend base;
    kernel kernels[OP_COUNT];
    const fast_table *table;
    pack_table packs;
    team *team;
    char detail[64];
    bool exact;                 /* no Winograd */
    bool words;                 /* products of 16-bit integers */
    bool bytes;                 /* words' linear layers and direct convolutions take 8 bits: the table has them */
} cpu_backend;

static inline cpu_backend *cpu_of(const backend *be)
{
    return be->impl;
}

/* Input k as floats, whether or not the executor converted it (kernel.packs). */
static inline const float *operand(const call *c, int k)
{
    if (c->in[k]) return c->in[k];
    return c->weight[k] ? c->be->param_data(c->be, c->weight[k]) : NULL;
}

/* Shares a loop of n items out over the backend's threads (team.h). */
static inline void run_spans(const backend *be, int64_t n, int64_t grain, double cost, span_job *f, const void *ctx)
{
    team_run(cpu_of(be)->team, n, grain, cost, f, ctx);
}

#endif
