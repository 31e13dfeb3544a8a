/* How fast a long job is now: progress over the last ten minutes, pauses (validation, checkpoints)
 * included. */
#ifndef TRAIN_RATE_H
#define TRAIN_RATE_H

#include <stdint.h>

enum { RATE_POINTS = 64, RATE_WINDOW = 600 /* seconds */ };

/* Plain data; zero is empty. */
typedef struct rate {
    struct { double seconds; int64_t done; } point[RATE_POINTS];
    int first, count;
} rate;

/* `done` units are finished at `seconds` of a clock that only goes forward. Call at the start too,
 * with what is done then. */
void rate_add(rate *r, double seconds, int64_t done);
double rate_per_second(const rate *r);              /* 0: not known yet */
/* Seconds until `total` is reached; negative: not known yet. */
double rate_left(const rate *r, int64_t total);

#endif
