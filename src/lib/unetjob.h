/* A text-conditioned U-Net on given batches (m2m_forward --component unet, m2m_optimize). */
#ifndef LIB_UNETJOB_H
#define LIB_UNETJOB_H

#include "lib/job.h"
#include "models/component.h"
#include "models/m2m.h"

typedef struct unet_job {
    unet_model unet;
    text_graph graph;
    exec *x;
    int steps;               /* leading dimension T of the inputs; 1 where they have none */
    /* [T, B, ...] from the file; noise only where gradients are asked for. */
    float *sample, *timestep, *states, *noise;
} unet_job;

/* sample [B,C,H,W], timestep [], [1] or [B], encoder_hidden_states [B,L,D]; with_loss: also noise, the target. lead: 1
 * if all have a leading T (timestep: [T] or [T,B]), else 0. On failure *j must still be closed. */
int unet_job_open(unet_job *j, const char *dir, const safetensors *in, backend *be, int lead, bool with_loss,
                  m2m_error *err);
/* Runs batch `step` in 0..steps-1: forward, and backward if it was opened so. */
int unet_job_run(unet_job *j, int step, m2m_error *err);
void unet_job_close(unet_job *j);

#endif
