/* The noise that an image begins with, ours (base/rng.h) and that of other programs, so that their seeds give the same
 * pictures here (formats.md 6; P7). Plain data and pure functions. */
#ifndef BASE_NOISE_H
#define BASE_NOISE_H

#include <stddef.h>
#include <stdint.h>

/* Image `index` of `seed` into dst [n]. kind: "m2m", "cpu" or "cuda"; the latter two with seed + index, as people count
 * seeds there. */
void noise_of_image(const char *kind, uint64_t seed, int64_t index, float *dst, size_t n);

/* Call number `call` (0, 1, …) of stable-diffusion.cpp's "cuda" generator with that seed, as torch.randn on CUDA for
 * sizes that its kernel makes in one sweep. */
void noise_cuda(uint64_t seed, uint32_t call, float *dst, size_t n);

/* torch.Generator("cpu"), an MT19937. */
typedef struct noise_torch {
    uint32_t state[624];
    int at;
    int has_kept;              /* requests for less than 16 numbers come in pairs: */
    double kept;               /* the second one waits here */
} noise_torch;

noise_torch noise_torch_seed(uint64_t seed);
/* Its next 32 bits, which are also those of NumPy's RandomState(seed). */
uint32_t noise_torch_bits(noise_torch *r);
/* The next torch.randn(n, generator=…) in float32; equal up to the last bits (torch's vectorized sine and
 * logarithm). */
void noise_torch_normal(noise_torch *r, float *dst, size_t n);

#endif
