/* Images from text (diffusers' StableDiffusionPipeline): a batch of latents denoised side by side, each guided between
 * the states of its text and those of the negative prompt. Works on latents and on text states [T,D]; texts and pixels
 * are the caller's matter.
 *
 * A latent's bits depend on its noise and its states alone: not on the batch, its neighbours or its place among them
 * (tests/diffusion/painter). */
#ifndef DIFFUSION_PAINTER_H
#define DIFFUSION_PAINTER_H

#include "diffusion/guide.h"
#include "diffusion/sampler.h"
#include "diffusion/schedule.h"
#include "graph/exec.h"
#include "models/m2m.h"

typedef struct painter_options {
    int batch;               /* latents at a time, at most */
    int tokens;              /* T of a text's states */
    int steps;
    double guidance;         /* 1: the pass with the negative prompt is left out */
    guide_interval interval; /* where guidance takes place; elsewhere the pass with the negative prompt is left out */
    double rescale;          /* phi of guide_rescale */
    int deepcache;           /* the deep layers run at every so-manieth step (unet_deep); 0, 1: always */
    const char *sampler;     /* "ddim", "euler", … */
} painter_options;

typedef struct painter painter;

/* Borrows everything; height and width are the latent's. The weights must stay as they are while it lives: what
 * was made of a text is kept for the next images of it. NULL with *err on failure. */
painter *painter_new(const unet_config *u, paramset *params, backend *be, const schedule *s, int height, int width,
                     const painter_options *o, m2m_error *err);
void painter_free(painter *p);
size_t painter_bytes(const painter *p);            /* activations */

/* Calls of the model for an image: steps, and with PNDM one more. Trajectories have one row more than that. */
int painter_steps(const painter *p);
/* Arithmetic of the model for an image, all steps and branches: multiply-adds times two of products and attention. */
double painter_flops(const painter *p);
/* For samplers that add noise (Euler ancestral), before painter_make: that of latent i is a function of seeds[i] and
 * index[i] (NULL: 0 for all). Borrowed until painter_make returns. */
void painter_seeds(painter *p, const uint64_t *seeds, const uint32_t *index);

/* Called after each step with the step's number, 1..steps; non-zero cancels. */
typedef int painter_step(void *user, int step, int steps);

/* n latents, 1..batch, of one text from noise [n, C,H,W] of unit variance into latents [n, C,H,W]. text, negative:
 * states [T,D]; negative is not looked at without guidance. trajectory (NULL allowed): [painter_steps+1, n, C,H,W], the
 * sampler's own samples before the first and after each step. Values that are not finite are an error. */
int painter_make(painter *p, const float *text, const float *negative, const float *noise, int n, float *latents,
                 float *trajectory, painter_step *step, void *user, m2m_error *err);

#endif
