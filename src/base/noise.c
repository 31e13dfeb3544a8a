#include "base/noise.h"

#include "base/rng.h"

#include <math.h>
#include <string.h>

void noise_cuda(uint64_t seed, uint32_t call, float *dst, size_t n)
{
    const float unit = 0x1p-32f, turn = 0x1p-32f * 6.2831855f;
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (size_t i = 0; i < n; i++) {
        uint32_t word[4];
        const uint32_t counter[4] = {call, 0, (uint32_t)i, 0};
        philox(counter, key, word);
        float u = (float)word[0] * unit + unit / 2, angle = (float)word[1] * turn + turn / 2;
        dst[i] = sqrtf(-2.0f * logf(u)) * sinf(angle);
    }
}

/* ---- torch on the CPU ---- */

noise_torch noise_torch_seed(uint64_t seed)
{
    noise_torch r = {.state = {(uint32_t)seed}, .at = 624};
    for (uint32_t i = 1; i < 624; i++) {
        uint32_t before = r.state[i - 1];
        r.state[i] = 1812433253u * (before ^ before >> 30) + i;
    }
    return r;
}

static void turn_over(uint32_t s[624])
{
    for (int i = 0; i < 624; i++) {
        uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % 624] & 0x7fffffffu);
        s[i] = s[(i + 397) % 624] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
}

uint32_t noise_torch_bits(noise_torch *r)
{
    if (r->at == 624) {
        turn_over(r->state);
        r->at = 0;
    }
    uint32_t y = r->state[r->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

static double uniform53(noise_torch *r)
{
    uint64_t high = noise_torch_bits(r);
    return (double)((high << 32 | noise_torch_bits(r)) & ((1ull << 53) - 1)) * 0x1p-53;
}

static float uniform24(noise_torch *r)
{
    return (float)(noise_torch_bits(r) & 0xffffff) * 0x1p-24f;
}

/* 16 uniform numbers become 16 normal ones: the first 8 give radii, the last 8 angles. */
static void make_normal(float d[16])
{
    for (int i = 0; i < 8; i++) {
        float radius = sqrtf(-2.0f * logf(1.0f - d[i])), angle = 6.2831855f * d[i + 8];
        d[i] = radius * cosf(angle);
        d[i + 8] = radius * sinf(angle);
    }
}

/* Fewer than 16: in double, in pairs. */
static void few(noise_torch *r, float *dst, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (r->has_kept) {
            dst[i] = (float)r->kept;
            r->has_kept = 0;
            continue;
        }
        double u1 = uniform53(r), u2 = uniform53(r);
        double radius = sqrt(-2.0 * log1p(-u2)), angle = 6.283185307179586 * u1;
        dst[i] = (float)(radius * cos(angle));
        r->kept = radius * sin(angle);
        r->has_kept = 1;
    }
}

void noise_torch_normal(noise_torch *r, float *dst, size_t n)
{
    if (n < 16) {
        few(r, dst, n);
        return;
    }
    for (size_t i = 0; i < n; i++) dst[i] = uniform24(r);
    for (size_t i = 0; i + 16 <= n; i += 16) make_normal(dst + i);
    if (n % 16) { /* the last 16 are drawn again */
        float *last = dst + n - 16;
        for (int i = 0; i < 16; i++) last[i] = uniform24(r);
        make_normal(last);
    }
}

void noise_of_image(const char *kind, uint64_t seed, int64_t index, float *dst, size_t n)
{
    if (!strcmp(kind, "cpu")) {
        noise_torch r = noise_torch_seed(seed + (uint64_t)index);
        noise_torch_normal(&r, dst, n);
    } else if (!strcmp(kind, "cuda")) {
        noise_cuda(seed + (uint64_t)index, 0, dst, n);
    } else {
        rng_normal(seed, RNG_NOISE, (uint32_t)index, dst, n);
    }
}
