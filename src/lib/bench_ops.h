/* Where the time of a run goes: by op, and by op and shape, beside the measured peak of the processor. */
#ifndef LIB_BENCH_OPS_H
#define LIB_BENCH_OPS_H

#include "m2m_train.h"

#include "graph/exec.h"

typedef struct bench_row {
    char name[120];                  /* of the op; by shape: with its inputs' shapes */
    double seconds, flops, work;     /* of all; work: what was computed, less than flops where an algorithm saves */
    double tiles;                    /* operations of tile instructions */
    int64_t calls;
} bench_row;

typedef struct bench_ops {
    bench_row op[OP_COUNT];
    bench_row *shape;                /* [shapes], slowest first */
    int shapes;
    double seconds, peak;            /* of the run; work a second that the processor does at best, 0: unknown */
    double tiles_peak;               /* the same of tile instructions, 0: none */
} bench_ops;

/* Reads the times that x has gathered since exec_profile, and measures the peak. */
int bench_ops_sum(bench_ops *t, const exec *x, backend *be, m2m_error *err);
/* A line a row, by calls->line. */
void bench_ops_tell(const bench_ops *t, bool by_shape, const m2m_calls *calls);
void bench_ops_free(bench_ops *t);

#endif
