/* Counter-based random numbers (Philox4x32-10): every number is a function of (seed, stream,
 * index, element), so any part can be drawn alone, in any order, on any number of threads, and
 * nothing needs to be stored to go on later.
 *
 * key = seed; counter = (element/4, index, stream, 0). Streams keep uses apart: see the enum. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* The uses. Numbers are part of what seeds mean: never renumber. Weights use a hash of their
 * name as stream. */
enum {
    RNG_NOISE = 0,
    RNG_TIMESTEP = 1,
    RNG_DROP = 2,
    RNG_TRAIN_NOISE = 3,
    RNG_ORDER = 4,
    RNG_COMPOSE = 5,
    RNG_VAE = 6,
    RNG_MIS = 7,
    RNG_IMPORT = 8,
    RNG_STEP = 9,  /* + 256 * step of the sampler */
    RNG_START = 10, /* weights that training draws by a rule of its own */
    RNG_CONTEXT = 11, /* what generated context images are noised with */
    RNG_SETS = 12 /* a test set's seed */
};

/* One block: four words for a counter and a key. */
void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* dst[i] in [0,1), 24 bits. */
void rng_uniform(uint64_t seed, uint32_t stream, uint32_t index, float *dst, size_t n);
/* dst[i] of a normal distribution (Box-Muller on pairs). The same prefix for any n. */
void rng_normal(uint64_t seed, uint32_t stream, uint32_t index, float *dst, size_t n);

/* A sequence of draws, for code that walks: plain data, may be copied and stored. */
typedef struct rng {
    uint64_t seed;
    uint32_t stream, index;
    uint32_t at;             /* words drawn so far */
} rng;

rng rng_make(uint64_t seed, uint32_t stream, uint32_t index);
uint32_t rng_u32(rng *r);
uint32_t rng_below(rng *r, uint32_t n);          /* 0..n-1 without bias; n >= 1 */
double rng_real(rng *r);                         /* [0,1) */
double rng_between(rng *r, double lo, double hi);
void rng_shuffle(rng *r, int *items, int n);

#endif
