/* The learning rate over a run, as diffusers' get_scheduler has it: linear warm-up from 0, then
 * constant, half a cosine down to 0, or a line down to 0 at the last step. A function of the step
 * alone, so a resumed run needs no state. */
#ifndef TRAIN_LR_H
#define TRAIN_LR_H

#include "base/error.h"

typedef enum lr_schedule { LR_CONSTANT, LR_COSINE, LR_LINEAR } lr_schedule;

typedef struct lr_plan {
    lr_schedule schedule;
    double lr;               /* after the warm-up */
    int64_t warmup, steps;   /* optimizer steps; steps counts the warm-up in */
} lr_plan;

/* "constant", "cosine", "linear". Errors: M2M_EINVAL. */
int lr_parse(const char *name, lr_schedule *schedule, m2m_error *err);

/* Of the step that follows `step` steps: 0 is the first (its rate is 0 if there is a warm-up). */
double lr_at(const lr_plan *p, int64_t step);

#endif
