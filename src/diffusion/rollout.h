/* Auto-regressive generation (spec 5): images one after another, each denoised with the last W images as context, or
 * with what context_choose keeps of them. Works on latents; pixels are the caller's matter. A finished image enters
 * the context by rollout_add_made: for M2M-Self its latent, for M2M-DINO its features.
 *
 * Context noise (spec 11; the conditioning augmentation of cascades, Ho et al. 2021, arXiv 2106.15282, for contexts):
 * a model that was trained on noisy context reads what it made itself noised to timestep t0, and is told so by the
 * clean image's timestep. What is faulty in a made image then drowns in the noise. Given images stay clean. */
#ifndef DIFFUSION_ROLLOUT_H
#define DIFFUSION_ROLLOUT_H

#include "diffusion/context.h"
#include "diffusion/guide.h"
#include "diffusion/sampler.h"
#include "diffusion/schedule.h"

typedef struct rollout_options {
    int steps;
    double guidance;         /* s, or s_I; 1: the unconditional pass is left out */
    bool conditioned;        /* images have task conditions */
    double condition_guidance;   /* s_C of eq. 7; negative: as guidance, both dropped together */
    guide_interval interval; /* where guidance takes place */
    double rescale;          /* phi of guide_rescale */
    const char *sampler;     /* "ddim", "euler" */
    int window;
    int anchors;             /* of context_choose */
    int context_noise;       /* t0: timestep that made images are noised to; 0: none. M2M-Self with an integer
                              * clean_timestep only */
    int deepcache;           /* the deep layers run at every so-manieth step (unet_deep); 0, 1: always */
    int tokens;              /* L of M2M-DINO's features */
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
int rollout_steps(const rollout *r);               /* calls per image: steps, with PNDM one more */
int rollout_branches(const rollout *r);            /* forwards of the U-Net per guided step */

/* Appends a given image to the set (copied). All given ones come before the first made one. */
int rollout_add(rollout *r, const context_image *image, m2m_error *err);
/* Appends made image number `index`, clean (copied); with context_noise noised by (seed, index) and nothing else. */
int rollout_add_made(rollout *r, const context_image *image, uint64_t seed, uint32_t index, m2m_error *err);

/* Called after each step with the step's number, 1..steps; non-zero cancels. */
typedef int rollout_step(void *user, int step, int steps);

/* An image to be made. */
typedef struct rollout_image {
    const float *noise;      /* [C,H,W] of unit variance */
    const float *condition;  /* its task condition, NULL: absent */
    float *latent;           /* result [C,H,W] */
    float *trajectory;       /* NULL, or [rollout_steps+1, C,H,W]: the sampler's own sample at the start and after each
                              * step */
    uint64_t seed;           /* of noise that the sampler adds (Euler ancestral), */
    uint32_t index;          /* and the number of the image */
    rollout_step *step;      /* may be NULL */
    void *user;
} rollout_image;

/* Makes an image that sees the set so far. It is not appended. A non-finite latent is an error. */
int rollout_make(rollout *r, const rollout_image *image, m2m_error *err);

/* One guided prediction for `sample` [C,H,W] at step k, with the set so far as context; *guided [C,H,W] is valid until
 * the next call. What rollout_make does in every step. */
int rollout_predict(rollout *r, const float *sample, const float *condition, int k, const float **guided,
                    m2m_error *err);
/* What runs in a guided step, for measuring (exec_profile). */
exec *rollout_exec(rollout *r);

#endif
