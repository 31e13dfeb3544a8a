/* A team of threads that shares loops out. Pieces of a loop are taken one by one by whoever is free, so that a
 * processor lost to another program costs its share and no more (OpenMP's barriers lost 2-5 times here, see
 * docs/speed.md). Which thread computes a piece never changes what is computed: results do not depend on the number of
 * threads. A team is used by one thread at a time. */
#ifndef CPU_TEAM_H
#define CPU_TEAM_H

#include <stdint.h>

typedef struct team team;

/* Items first .. end-1 of a loop; worker: 0 .. threads-1, for memory of its own. */
typedef struct span {
    int64_t first, end;
} span;
typedef void span_job(const void *ctx, span s, int worker);

/* NULL: no memory or no threads to be had. threads counts the caller. */
team *team_open(int threads);
void team_close(team *p);

/* Runs f over 0 .. n-1 in pieces of whole `grain`s. `cost` of one item, about in floats touched or 16 multiply-adds,
 * decides how many pieces are worth it. */
void team_run(team *p, int64_t n, int64_t grain, double cost, span_job *f, const void *ctx);

/* Part t of `parts` nearly equal shares of n items, in whole grains. */
static inline span span_of(int64_t n, int64_t grain, int64_t parts, int64_t t)
{
    const int64_t units = (n + grain - 1) / grain;
    const int64_t first = units * t / parts * grain, end = units * (t + 1) / parts * grain;
    return (span){first < n ? first : n, end < n ? end : n};
}

#endif
