#include "base/rng.h"

#include <math.h>

void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

static void block(uint64_t seed, uint32_t stream, uint32_t index, uint32_t number, uint32_t out[4])
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, counter[4] = {number, index, stream, 0};
    philox(counter, key, out);
}

void rng_uniform(uint64_t seed, uint32_t stream, uint32_t index, float *dst, size_t n)
{
    uint32_t word[4];
    for (size_t i = 0; i < n; i++) {
        if (i % 4 == 0) block(seed, stream, index, (uint32_t)(i / 4), word);
        dst[i] = (float)(word[i % 4] >> 8) * 0x1p-24f;
    }
}

void rng_normal(uint64_t seed, uint32_t stream, uint32_t index, float *dst, size_t n)
{
    uint32_t word[4];
    for (size_t i = 0; i < n; i++) {
        if (i % 4 == 0) block(seed, stream, index, (uint32_t)(i / 4), word);
        const uint32_t *pair = word + (i % 4 / 2 * 2);
        double u = (pair[0] + 0.5) * 0x1p-32, angle = (pair[1] + 0.5) * 0x1p-32 * 6.283185307179586;
        double radius = sqrt(-2.0 * log(u));
        dst[i] = (float)(radius * (i % 2 ? sin(angle) : cos(angle)));
    }
}

rng rng_make(uint64_t seed, uint32_t stream, uint32_t index)
{
    return (rng){.seed = seed, .stream = stream, .index = index};
}

uint32_t rng_u32(rng *r)
{
    uint32_t word[4];
    block(r->seed, r->stream, r->index, r->at / 4, word);
    return word[r->at++ % 4];
}

uint32_t rng_below(rng *r, uint32_t n)
{
    uint32_t reject = (uint32_t)(-n) % n, x;      /* 2^32 mod n: the words below it would favour small results */
    do x = rng_u32(r);
    while (x < reject);
    return x % n;
}

double rng_real(rng *r) { return rng_u32(r) * 0x1p-32; }
double rng_between(rng *r, double lo, double hi) { return lo + (hi - lo) * rng_real(r); }

void rng_shuffle(rng *r, int *items, int n)
{
    for (int i = n - 1; i > 0; i--) {
        int k = (int)rng_below(r, (uint32_t)i + 1), t = items[i];
        items[i] = items[k];
        items[k] = t;
    }
}
