/* The training graph of M2M-Self or M2M-DINO on given batches (m2m_forward --component m2m, m2m_optimize). */
#ifndef LIB_SETJOB_H
#define LIB_SETJOB_H

#include "diffusion/schedule.h"
#include "lib/job.h"
#include "models/component.h"
#include "models/m2m.h"

typedef struct set_job {
    unet_model unet;
    schedule schedule;
    train_graph graph;
    exec *x;
    int steps;               /* leading dimension T of the inputs; 1 where they have none */
    /* [T, S, N, ...] from the file; all but timesteps may be NULL. M2M-Self's context is `clean`. */
    float *clean, *features, *noisy, *noise, *timesteps, *dropped, *condition;
    bool per_image;          /* timesteps [S,N], not [S] */
    float *context, *rows;   /* scratch of one batch: contexts, latents */
    float *times;            /* [2*S*N] */
    float *present;          /* [S*N] */
    int64_t floats;          /* of one latent */
    int64_t context_floats;  /* of one image's context */
} set_job;

/* lead: number of dimensions before [S,N,..] in the tensors (0 or 1). M2M-Self needs `clean`, M2M-DINO `features`.
 * with_loss needs `noise`, of which (and of `clean`, if need be) the target is made as prediction_type says; `noisy`
 * may then be absent and is made from clean, noise and timesteps by the directory's schedule. On failure *j must still
 * be closed. */
int set_job_open(set_job *j, const char *dir, const safetensors *in, backend *be, int lead, bool with_loss,
                 m2m_error *err);
/* Runs batch `step` in 0..steps-1: forward, and backward if it was opened so. */
int set_job_run(set_job *j, int step, m2m_error *err);
void set_job_close(set_job *j);

#endif
