/* Auto-regressive generation (spec 5): images one after another, each denoised with the last W images as context.
 * Works on latents; pixels are the caller's matter. A generated latent enters the context as it is. */
#ifndef DIFFUSION_ROLLOUT_H
#define DIFFUSION_ROLLOUT_H

#include "diffusion/context.h"
#include "diffusion/sampler.h"
#include "diffusion/schedule.h"

typedef struct rollout_options {
    int steps;
    double guidance;         /* 1: the unconditional pass is left out */
    const char *sampler;     /* "ddim", "euler" */
    int window;
    bool no_cache;           /* forget the context before every step */
} rollout_options;

typedef struct rollout rollout;

/* Borrows everything; height and width are the latent's. NULL with *err on failure. */
rollout *rollout_new(const unet_config *u, paramset *params, backend *be, const schedule *s, int height, int width,
                     const rollout_options *o, m2m_error *err);
void rollout_free(rollout *r);
size_t rollout_bytes(const rollout *r);            /* context and activations */
size_t rollout_bytes_per_image(const rollout *r);  /* one more context image */
int64_t rollout_encoded(const rollout *r);         /* clean images encoded so far */

/* Appends a given image's latent [C,H,W] to the set (copied). */
int rollout_add(rollout *r, const float *latent, m2m_error *err);

/* Called after each step with the step's number, 1..steps; non-zero cancels. */
typedef int rollout_step(void *user, int step, int steps);

/* Makes the next image from `noise` [C,H,W] of unit variance into `latent`, and appends it. trajectory (NULL allowed):
 * [steps+1, C,H,W], the sampler's own sample before the first and after each step. A non-finite latent is an error. */
int rollout_make(rollout *r, const float *noise, float *latent, float *trajectory, rollout_step *step, void *user,
                 m2m_error *err);

/* One guided prediction for `sample` [C,H,W] at step k, with the set so far as context; *guided [C,H,W] is valid until
 * the next call. What rollout_make does in every step. */
int rollout_predict(rollout *r, const float *sample, int k, const float **guided, m2m_error *err);
/* Time by op of the steps so far; on: start counting anew. */
const op_time *rollout_times(rollout *r, bool on);

#endif
