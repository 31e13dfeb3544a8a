/* What chance decides in training (spec 7): timesteps, noise, and which sets lose their context.
 *
 * Every draw is a function of (seed, purpose, batch, set, draw, image) and of nothing else: not of
 * the order of calls, the threads, or how many sets share the batch. So a resumed run needs no
 * generator state, and validation draws the same each time. */
#ifndef TRAIN_TIMESTEPS_H
#define TRAIN_TIMESTEPS_H

#include <stdbool.h>
#include <stdint.h>

enum { DRAW_MAX_DRAWS = 64, DRAW_MAX_IMAGES = 64, DRAW_MAX_SETS = 4096 };

/* Keeps training, validation and the VAE's samples of one seed apart. Part of what seeds mean:
 * never renumber. */
typedef enum draw_purpose { DRAW_TRAIN = 0, DRAW_VALIDATE = 1, DRAW_VAE = 2 } draw_purpose;

typedef struct draw_plan {
    uint64_t seed;
    draw_purpose purpose;
    int sets, draws, images;   /* S, M, N, up to the limits above; a batch of the VAE is S images: M = N = 1 */
    int t_first, t_last;       /* timesteps are uniform in t_first..t_last: 0 and 999 */
    bool per_image;            /* a timestep for each image, not one for each draw of a set */
    double drop;               /* share of sets that are dropped */
    double drop_condition;     /* share of sets that lose their task condition alone */
    int context_noise;         /* highest timestep that the clean context is noised to; 0: it stays clean */
} draw_plan;

/* batch: the number of the batch since the start of the run, those accumulated into one step
 * counted singly. */

/* t [S*M*N], row (set, draw, image) as the training graph has them. */
void draw_timesteps(const draw_plan *d, int64_t batch, float *t);
/* noise [S*M*N, n], standard normal; n: floats of a latent. */
void draw_noise(const draw_plan *d, int64_t batch, int64_t n, float *noise);
/* dropped [S]: the clean condition of this set is zeroed, for all of its draws. */
void draw_dropped(const draw_plan *d, int64_t batch, bool *dropped);
/* dropped [S]: the task condition of this set is dropped, whatever draw_dropped says of it. */
void draw_condition_dropped(const draw_plan *d, int64_t batch, bool *dropped);
/* level [S]: the timestep that this set's context is noised to, uniform in 0..context_noise; 0 is no noise. */
void draw_context_levels(const draw_plan *d, int64_t batch, int *level);
/* noise [n] of an image's context, standard normal. */
void draw_context_noise(const draw_plan *d, int64_t batch, int set, int image, int64_t n, float *noise);
/* u [S*N, n], uniform in [0,1): whatever else is to be decided for each image. */
void draw_uniform(const draw_plan *d, int64_t batch, int n, float *u);
/* [S]: true for half of the sets (mirroring). */
void draw_flips(const draw_plan *d, int64_t batch, bool *flip);

#endif
