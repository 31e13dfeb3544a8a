/* The context cache of M2M-Self (spec 10.1, 10.2): keys and values of clean images, computed once per image and kept
 * for all steps, all later images and all guidance branches.
 *
 * A window of slots holds the last W images, oldest first, as the sampling step's attention reads them; there are no
 * positions, so nothing else needs to be told. Slots are keyed by the content of the latent (and by the timestep, where
 * clean images carry that of the noisy one), so a stale entry cannot be used. One zero image serves every
 * unconditional pass: a softmax over W equal keys is the softmax over one. */
#ifndef DIFFUSION_CONTEXT_H
#define DIFFUSION_CONTEXT_H

#include "graph/exec.h"
#include "models/m2m.h"

typedef struct context context;

/* window: W >= 1; with_zero: also keep the unconditional branch's zero image. height, width of the latent. Borrows
 * all. */
context *context_new(const unet_config *u, paramset *params, backend *be, int height, int width, int window,
                     bool with_zero, m2m_error *err);
void context_free(context *c);

size_t context_bytes(const context *c);            /* slots and activations, all told */
size_t context_bytes_per_image(const context *c);

/* The context of the next image: latents[0..n) ([C,H,W] each, oldest first), n <= W. Encodes those that are not in a
 * slot yet. timestep: of the image being made (used if clean_timestep is "same", else ignored). */
int context_set(context *c, const float *const *latents, int n, float timestep, m2m_error *err);

/* Forgets everything that was computed (for measuring what the cache is worth). */
void context_clear(context *c);
int64_t context_encoded(const context *c);         /* images encoded so far, zero images included */

int context_images(const context *c);              /* n of the last context_set */
int context_window(const context *c);
/* Keys or values of layer: backend memory [W, L, C]; of the zero image [1, L, C]. */
const void *context_keys(const context *c, int layer);
const void *context_values(const context *c, int layer);
const void *context_zero_keys(const context *c, int layer);
const void *context_zero_values(const context *c, int layer);

#endif
