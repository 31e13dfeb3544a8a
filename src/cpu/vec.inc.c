/* Vectors of V floats in GCC's vector extension: one text for every instruction set. The including file says what V is
 * (4, 8 or 16), and VMAX, VMIN and CHOOSE, which the extension lacks; VSUM and VTOP over a vector's elements and VHALF,
 * V floats from 16-bit ones, where it has something better than what stands here.
 * exp and the normal distribution are accurate to about 2e-7 relative over all floats. */
#include <math.h>
#include <string.h>

#include "cpu/fast.h"

/* Before a loop: one of n turns at most is unrolled whole, so that its arrays may stay in registers; or n turns become
 * one. */
#define PRAGMA(text) _Pragma(#text)
#ifdef __clang__
#define UNROLL(n) PRAGMA(clang loop unroll(full))
#define UNROLL_SOME(n) PRAGMA(unroll n)
#else
#define UNROLL(n) PRAGMA(GCC unroll n)
#define UNROLL_SOME(n) PRAGMA(GCC unroll n)
#endif

typedef float vf __attribute__((vector_size(4 * V)));
typedef int32_t vi __attribute__((vector_size(4 * V)));
typedef float vf_unaligned __attribute__((vector_size(4 * V), aligned(4), may_alias));
typedef int32_t vi_unaligned __attribute__((vector_size(4 * V), aligned(4), may_alias));

static inline vf load(const float *p)
{
    return *(const vf_unaligned *)p;
}

static inline void store(float *p, vf x)
{
    *(vf_unaligned *)p = x;
}

static inline vi load_whole(const void *p)
{
    return *(const vi_unaligned *)p;
}

static inline void store_whole(void *p, vi x)
{
    *(vi_unaligned *)p = x;
}

/* The first n < V elements; the others read as 0. */
static inline vf load_part(const float *p, int64_t n)
{
    float t[V] = {0};
    for (int64_t i = 0; i < n; i++) t[i] = p[i];
    return load(t);
}

static inline void store_part(float *p, vf x, int64_t n)
{
    float t[V];
    store(t, x);
    for (int64_t i = 0; i < n; i++) p[i] = t[i];
}

/* As to_f32. */
static inline void widen(float *dst, const void *src, dtype t, int64_t n)
{
    int64_t i = 0;
#ifdef VHALF
    for (const uint16_t *from = src; t == DT_F16 && i + V <= n; i += V) store(dst + i, (vf)VHALF(from + i));
#endif
    to_f32(dst + i, (const char *)src + (size_t)i * dtype_size(t), t, n - i);
}

static inline vf splat(float x)
{
    return x - (vf){0};
}

/* mask: -1 or 0 per lane, as comparisons give. */
static inline vf choose(vi mask, vf yes, vf no)
{
    return CHOOSE(mask, yes, no);
}

/* Where one is NaN, b. */
static inline vf vmax(vf a, vf b)
{
    return VMAX(a, b);
}

static inline vf vmin(vf a, vf b)
{
    return VMIN(a, b);
}

static inline vf vabs(vf x)
{
    return (vf)((vi)x & 0x7fffffff);
}

static inline float vsum(vf x)
{
#ifdef VSUM
    return VSUM(x);
#else
    float t[V];
    store(t, x);
    for (int half = V / 2; half; half /= 2)
        for (int i = 0; i < half; i++) t[i] += t[i + half];
    return t[0];
#endif
}

static inline float vtop(vf x)
{
#ifdef VTOP
    return VTOP(x);
#else
    float t[V];
    store(t, x);
    for (int half = V / 2; half; half /= 2)
        for (int i = 0; i < half; i++) t[i] = t[i] > t[i + half] ? t[i] : t[i + half];
    return t[0];
#endif
}

/* 2^n for -126 <= n <= 127. */
static inline vf power2(vi n)
{
    return (vf)((n + 127) << 23);
}

/* For |x| < 127 ln 2: n with x = n ln 2 + r, and e^r by a polynomial. NaN gives NaN. */
static inline vf vexp_parts(vf x, vi *whole)
{
    const vf magic = splat(12582912.0f);
    const vf n = (x * 1.44269504f + magic) - magic;
    const vf r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    vf p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    *whole = __builtin_convertvector(n, vi);
    return p * r * r + r + 1.0f;
}

/* e^x, with 2^n in two steps so that under- and overflow are gradual. */
static inline vf vexp(vf x)
{
    vi n;
    const vf p = vexp_parts(vmin(splat(100.0f), vmax(splat(-110.0f), x)), &n);
    return p * power2(n >> 1) * power2(n - (n >> 1));
}

/* For |x * unit| <= 126, x * unit = n + r with |r| <= 1/2: 2^n, and r. NaN stays, in r. */
static inline vf vexp2_split(vf x, float unit, vf *r)
{
    const vf magic = splat(12582912.0f + 127);   /* leaves n + 127, an exponent's bits, at the low end */
    const vf t = x * unit + magic;
    *r = x * unit - (t - magic);
    return (vf)((vi)t << 23);
}

/* The same of x <= 126. Below 2^-126 it stays there, where its use makes 1e-38 as good as 0. */
static inline vf vexp2_parts(vf x, vf *r) { return vexp2_split(vmax(splat(-126.0f), x), 1, r); }

/* 2^x for |x| <= 1/2, 1.6e-7 relative. */
static inline vf vexp2_polynomial(vf x)
{
    vf p = splat(1.326472615e-3f);
    p = p * x + 9.671512991e-3f;
    p = p * x + 5.550733581e-2f;
    p = p * x + 2.402224243e-1f;
    p = p * x + 6.931470037e-1f;
    return p * x + 1.0f;
}

/* 2^x for x <= 0 (1 at most by rounding), or up to 126, 1.6e-7 relative; see vexp2_parts. */
static inline vf vexp2_below(vf x)
{
    vf r;
    const vf whole = vexp2_parts(x, &r);
    return vexp2_polynomial(r) * whole;
}

/* e^x of x brought into -87 .. 87, where its use makes 1e-38 as good as 0: probabilities, sigmoids. */
static inline vf vexp_within(vf x)
{
    vf r;
    const vf whole = vexp2_split(vmin(splat(87.0f), vmax(splat(-87.0f), x)), 1.44269504f, &r);
    return vexp2_polynomial(r) * whole;
}

/* 2^x for |x| <= 1/2, 3e-6 relative. */
static inline vf vexp2_coarse(vf x)
{
    vf p = splat(9.570101687e-3f);
    p = p * x + 5.59178603e-2f;
    p = p * x + 2.402474483e-1f;
    p = p * x + 6.931218147e-1f;
    return p * x + 9.999992614e-1f;
}

static inline vf vsigmoid(vf x)
{
    return 1.0f / (1.0f + vexp_within(-x));
}

/* d silu / dx */
static inline vf vsilu_slope(vf x)
{
    const vf s = vsigmoid(x);
    return s * (1.0f + x * (1.0f - s));
}

/* The normal distribution function, through erfc's Chebyshev form (Numerical Recipes, 6.2: 1.2e-7 relative), whose
 * exponent is here one of 2, with the half that makes it a distribution. */
static inline vf vphi(vf x)
{
    const vf t = 1.0f / (1.0f + 0.353553391f * vabs(x));
    vf p = splat(0.246517298f);
    p = p * t + -1.18611495f;
    p = p * t + 2.14747446f;
    p = p * t + -1.63775315f;
    p = p * t + 0.402321582f;
    p = p * t + -0.26875686f;
    p = p * t + 0.139630057f;
    p = p * t + 0.539700616f;
    p = p * t + 1.4427292f;
    p = p * t + -2.82574822f;
    const vf tail = t * vexp2_below(p - 0.72134752f * (x * x));
    return choose(x < 0.0f, tail, 1.0f - tail);
}

static inline vf vgelu_slope(vf x)
{
    return vphi(x) + x * vexp_within(-0.5f * x * x) * 0.39894228f;
}

/* V elements at p + i of a row of n; those past its end read as 0 and are not written. */
static inline vf load_row(const float *p, int64_t i, int64_t n)
{
    return n - i >= V ? load(p + i) : load_part(p + i, n - i);
}

static inline void store_row(float *p, int64_t i, int64_t n, vf x)
{
    if (n - i >= V) store(p + i, x);
    else store_part(p + i, x, n - i);
}
