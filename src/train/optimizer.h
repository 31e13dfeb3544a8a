/* AdamW with clipping, gradient accumulation, the guard against non-finite steps, and diffusers' EMAModel (spec 7). */
#ifndef TRAIN_OPTIMIZER_H
#define TRAIN_OPTIMIZER_H

#include "graph/exec.h"
#include "nn/param.h"

typedef struct optimizer_options {
    double beta1, beta2, eps, weight_decay;
    double clip;         /* largest norm of all gradients together; 0: none */
    double ema_decay;    /* 0: no average is kept */
    int accumulate;      /* batches per step */
    const char *offload; /* directory for a nameless file that holds moments and average; NULL: memory */
} optimizer_options;

typedef struct optimizer optimizer;

/* Takes the trainable parameters of `params`, which must own float32 data (param_own_f32). Borrows both. */
optimizer *optimizer_new(paramset *params, backend *be, const optimizer_options *o, m2m_error *err);
void optimizer_free(optimizer *o);
/* What it holds in memory besides the parameters, for a set of this size, and what in a file. */
size_t optimizer_bytes(const paramset *params, const optimizer_options *o);
size_t optimizer_file_bytes(const paramset *params, const optimizer_options *o);

/* With one batch per step, gradients are written where the optimizer sums them, not copied there. optimizer_claim
 * before x is planned (nothing is allocated yet), optimizer_bind before it is run; grads as for optimizer_add. */
void optimizer_claim(const paramset *params, const optimizer_options *o, exec *x, node *const *grads);
void optimizer_bind(optimizer *o, exec *x, node *const *grads);

/* Adds one batch's gradients: grads[param index] is an output of x, or NULL. */
void optimizer_add(optimizer *o, const exec *x, node *const *grads);

typedef struct step_report {
    double grad_norm;
    bool skipped;        /* a gradient or the loss was not finite: nothing changed */
} step_report;

/* One step from what was added since the last one. loss decides with the gradients whether the step is finite. */
step_report optimizer_step(optimizer *o, double lr, double loss);

int64_t optimizer_steps(const optimizer *o);      /* steps taken, skipped ones not counted */
int64_t optimizer_skipped(const optimizer *o);

/* The state by kind and parameter index, for checkpoints: float32 [shape of the parameter]; NULL if not kept. */
typedef enum optimizer_part { OPTIMIZER_M, OPTIMIZER_V, OPTIMIZER_EMA } optimizer_part;
float *optimizer_data(const optimizer *o, optimizer_part part, int index);
void optimizer_restore(optimizer *o, int64_t steps, int64_t skipped);

/* Exchanges parameters and averages (validation and samples use the averages); call again to swap back. */
void optimizer_swap_ema(optimizer *o);

/* EMAModel.get_decay without warm-up power: 0 at the first step, then min(decay, (1+s)/(10+s)). */
double ema_decay_at(double decay, int64_t step);

#endif
