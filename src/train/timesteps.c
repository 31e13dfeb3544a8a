#include "train/timesteps.h"

#include "base/error.h"
#include "base/rng.h"

/* These are not among the streams of rng.h; the batch's own seed keeps them from meeting any other use. */
enum { DRAW_FLIPS = 1 << 16, DRAW_CONDITIONS, DRAW_UNIFORM, DRAW_LEVELS, DRAW_CONTEXT };

/* A seed for one batch: rng's indices of 32 bits are too few for (batch, set, draw, image). */
static uint64_t batch_seed(const draw_plan *d, int64_t batch)
{
    const uint32_t counter[4] = {
        (uint32_t)batch, (uint32_t)((uint64_t)batch >> 32), (uint32_t)d->purpose, 0x6d326d};
    const uint32_t key[2] = {(uint32_t)d->seed, (uint32_t)(d->seed >> 32)};
    uint32_t out[4];
    check(d->sets <= DRAW_MAX_SETS && d->draws <= DRAW_MAX_DRAWS && d->images <= DRAW_MAX_IMAGES,
        "batch of %d sets, %d draws, %d images", d->sets, d->draws, d->images);
    philox(counter, key, out);
    return out[0] | (uint64_t)out[1] << 32;
}

/* Fixed radices: a set's draws do not depend on how many others there are. */
static uint32_t row_index(int set, int draw, int image)
{
    return ((uint32_t)set * DRAW_MAX_DRAWS + (uint32_t)draw) * DRAW_MAX_IMAGES + (uint32_t)image;
}

void draw_timesteps(const draw_plan *d, int64_t batch, float *t)
{
    uint64_t seed = batch_seed(d, batch);
    uint32_t count = (uint32_t)(d->t_last - d->t_first + 1);
    for (int set = 0; set < d->sets; set++)
        for (int draw = 0; draw < d->draws; draw++)
            for (int image = 0; image < d->images; image++) {
                rng r =
                    rng_make(seed, RNG_TIMESTEP, row_index(set, draw, d->per_image ? image : 0));
                *t++ = (float)(d->t_first + (int)rng_below(&r, count));
            }
}

void draw_noise(const draw_plan *d, int64_t batch, int64_t n, float *noise)
{
    uint64_t seed = batch_seed(d, batch);
    for (int set = 0; set < d->sets; set++)
        for (int draw = 0; draw < d->draws; draw++)
            for (int image = 0; image < d->images; image++, noise += n)
                rng_normal(seed, RNG_TRAIN_NOISE, row_index(set, draw, image), noise, (size_t)n);
}

void draw_uniform(const draw_plan *d, int64_t batch, int n, float *u)
{
    uint64_t seed = batch_seed(d, batch);
    for (int set = 0; set < d->sets; set++)
        for (int image = 0; image < d->images; image++, u += n)
            rng_uniform(seed, DRAW_UNIFORM, row_index(set, 0, image), u, (size_t)n);
}

void draw_context_levels(const draw_plan *d, int64_t batch, int *level)
{
    uint64_t seed = batch_seed(d, batch);
    for (int set = 0; set < d->sets; set++) {
        rng r = rng_make(seed, DRAW_LEVELS, (uint32_t)set);
        level[set] = (int)rng_below(&r, (uint32_t)d->context_noise + 1);
    }
}

void draw_context_noise(const draw_plan *d, int64_t batch, int set, int image, int64_t n, float *noise)
{
    rng_normal(batch_seed(d, batch), DRAW_CONTEXT, row_index(set, 0, image), noise, (size_t)n);
}

static void decide(uint64_t seed, uint32_t stream, int sets, double share, bool *yes)
{
    for (int set = 0; set < sets; set++) {
        rng r = rng_make(seed, stream, (uint32_t)set);
        yes[set] = rng_real(&r) < share;
    }
}

void draw_dropped(const draw_plan *d, int64_t batch, bool *dropped)
{
    decide(batch_seed(d, batch), RNG_DROP, d->sets, d->drop, dropped);
}

void draw_condition_dropped(const draw_plan *d, int64_t batch, bool *dropped)
{
    decide(batch_seed(d, batch), DRAW_CONDITIONS, d->sets, d->drop_condition, dropped);
}

void draw_flips(const draw_plan *d, int64_t batch, bool *flip)
{
    decide(batch_seed(d, batch), DRAW_FLIPS, d->sets, 0.5, flip);
}
