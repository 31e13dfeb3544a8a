/* The context cache (spec 10.1, 10.2, 10.4): keys and values of clean images, computed once per image and kept for all
 * steps, all later images and all guidance branches.
 *
 * A lane of slots holds the images seen, at most W, oldest first, as the sampling step's attention reads them; there
 * are no positions, so nothing else needs to be told. Guidance by eq. 7 has two lanes, the images with their task
 * conditions and without. Slots are keyed by content: the latent (M2M-Self) or the features (M2M-DINO), the task
 * condition, and the timestep that the clean image carries; so a stale entry cannot be used. What another slot holds
 * already is copied from there. One zero image, without condition, serves every unconditional pass of M2M-Self: a
 * softmax over W equal keys is the softmax over one. */
#ifndef DIFFUSION_CONTEXT_H
#define DIFFUSION_CONTEXT_H

#include "graph/exec.h"
#include "models/m2m.h"

typedef struct context context;

enum { MAX_LANES = 2 };

typedef struct context_image {
    const float *content;        /* latent [C,H,W] or features [L,D] */
    const float *condition;      /* numbers of its task condition; NULL: absent */
    int level;                   /* timestep that the latent was noised to, 0: clean. The network is told by the image's
                                  * own timestep, clean_timestep + level (M2M-Self, an integer clean_timestep) */
} context_image;

typedef struct context_shape {
    int height, width;           /* of the latent */
    int tokens;                  /* L of M2M-DINO's features */
    int window;                  /* W >= 1 */
    int lanes;                   /* 1 or 2 */
    bool with_zero;              /* also keep the unconditional branch's zero image */
} context_shape;

/* Borrows u, params and be. */
context *context_new(const unet_config *u, paramset *params, backend *be, const context_shape *s, m2m_error *err);
void context_free(context *c);

size_t context_bytes(const context *c);            /* slots and activations, all told */
size_t context_bytes_per_image(const context *c);  /* in one lane */

/* The context of the next image in one lane: images[0..n), oldest first, n <= W. Encodes those that are in no slot yet,
 * and the zero image. timestep: of the image being made (used if clean_timestep is "same", else ignored). */
int context_set(context *c, int lane, const context_image *images, int n, float timestep, m2m_error *err);

/* Forgets everything that was computed (for measuring what the cache is worth). */
void context_clear(context *c);
int64_t context_encoded(const context *c);         /* images encoded so far, zero images included */

/* The window that was asked for; for -1 as many as are given; for 0 the one that suits a long set of so many given
 * images: room for them all and, up to 8, for as many made ones (docs/drift.md); without given images 4. */
int context_window(int asked, int given);

/* Which images of a set of `count`, the first `given` of them given, the next one sees: all while `window` holds them;
 * else the first `anchors` of the given ones (-1: all of these; at most the window), which stay, and behind them as
 * many of the last as still fit. Into index [window], in the set's order; returns how many. */
int context_choose(int count, int given, int window, int anchors, int *index);

/* Keys or values of a layer: backend memory [W, L, C]; of the zero image [1, L, C]. */
const void *context_keys(const context *c, int lane, int layer);
const void *context_values(const context *c, int lane, int layer);
const void *context_zero_keys(const context *c, int layer);
const void *context_zero_values(const context *c, int layer);

#endif
