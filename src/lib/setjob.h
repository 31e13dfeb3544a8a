/* M2M-Self's training graph on given batches (m2m_forward --component m2m, m2m_optimize). */
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
    /* [T, S, N, ...] from the file; noisy and noise may be NULL */
    float *clean, *noisy, *noise, *timesteps, *dropped;
    bool per_image;          /* timesteps [S,N], not [S] */
    float *rows;             /* scratch of one batch: [S*N, C,H,W] */
    float *times;            /* [2*S*N] */
    int64_t floats;          /* of one latent */
} set_job;

/* lead: number of dimensions before [S,N,..] in the tensors (0 or 1). with_loss needs `noise`; `noisy` may then be
 * absent and is made from clean, noise and timesteps by the directory's schedule. On failure *j must still be
 * closed. */
int set_job_open(set_job *j, const char *dir, const safetensors *in, backend *be, int lead, bool with_loss,
                 m2m_error *err);
/* Runs batch `step` in 0..steps-1: forward, and backward if it was opened so. */
int set_job_run(set_job *j, int step, m2m_error *err);
void set_job_close(set_job *j);

#endif
