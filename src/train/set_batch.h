/* One batch of M2M-Self's training graph on the host: latents of sets, timesteps, noise, dropping (spec 7). */
#ifndef TRAIN_SET_BATCH_H
#define TRAIN_SET_BATCH_H

#include "data/loader.h"
#include "diffusion/schedule.h"
#include "models/m2m.h"
#include "train/latents.h"
#include "train/timesteps.h"

typedef struct set_batch {
    const unet_config *u;
    const schedule *schedule;
    train_shape shape;
    draw_plan plan;
    bool flip;
    int64_t floats;          /* of a latent */
    loader_item *items;      /* [S*N] */
    float *clean;            /* [S*N, C,h,w], true latents: never zeroed */
    float *context;          /* [S*N, C,h,w], what the clean half is fed */
    float *noise, *noisy;    /* [S*M*N, C,h,w] */
    float *times;            /* [S*N + S*M*N] */
} set_batch;

int set_batch_new(set_batch *b, const unet_config *u, const schedule *s, const train_shape *shape,
                  const draw_plan *plan, bool flip, m2m_error *err);
void set_batch_free(set_batch *b);

/* Batch number `batch` of the loader: everything drawn by (plan, batch). An image that could not be encoded is
 * replaced by another of its set. */
int set_batch_load(set_batch *b, loader *l, const latents *z, int64_t batch, m2m_error *err);
/* Context, noisy latents, timesteps, target and lengths into a plan of t. */
int set_batch_write(const set_batch *b, const train_graph *t, exec *x, m2m_error *err);

#endif
