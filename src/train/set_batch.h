/* One batch of the training graph on the host: latents of sets, what the network is told of them (M2M-Self: the
 * latents, M2M-DINO: features), task conditions, timesteps, noise, dropping (spec 6, 7). */
#ifndef TRAIN_SET_BATCH_H
#define TRAIN_SET_BATCH_H

#include "diffusion/schedule.h"
#include "models/m2m.h"
#include "train/set_source.h"
#include "train/timesteps.h"

typedef struct set_batch {
    const unet_config *u;
    const schedule *schedule;
    train_shape shape;
    draw_plan plan;
    bool flip;
    int64_t floats;          /* of a latent */
    loader_item *items;      /* [S*N] */
    int64_t content_floats;  /* of an image's context */
    float *clean;            /* [S*N, C,h,w], true latents */
    float *content;          /* [S*N, content], true contexts: clean, or features */
    float *context;          /* [S*N, content], what the network is fed */
    float *condition;        /* [S*N, numbers] or NULL */
    float *present;          /* [S*N]: 0 where the task condition is dropped */
    float *noisy, *target;   /* [S*M*N, C,h,w]; target: what the U-Net should answer (schedule_target) */
    float *times;            /* [S*N + S*M*N] */
} set_batch;

int set_batch_new(set_batch *b, const unet_config *u, const schedule *s, const train_shape *shape,
                  const draw_plan *plan, bool flip, m2m_error *err);
void set_batch_free(set_batch *b);

/* Batch number `batch` of the loader: everything drawn by (plan, batch). An image that could not be encoded is
 * replaced by another of its set. */
int set_batch_load(set_batch *b, loader *l, const set_source *from, int64_t batch, m2m_error *err);
/* Context, conditions, noisy latents, timesteps, target and lengths into a plan of t. */
int set_batch_write(const set_batch *b, const train_graph *t, exec *x, m2m_error *err);

#endif
