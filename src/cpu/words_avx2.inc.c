/* What products of 16-bit integers (words_gemm.inc.c) want to know of AVX2: conversions of V floats and integers, and
 * the product in two instructions (on Zen 3 together 1.6 times as fast as multiply-adds in float). */

static inline vi words_whole(vf x)
{
    return (vi)_mm256_cvtps_epi32((__m256)x);
}

/* V floats as integers, nearest and within 16 bits. */
static inline void words_store(int16_t *to, vf x)
{
    const __m256i whole = (__m256i)words_whole(x);
    _mm_storeu_si128((__m128i *)to,
                     _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1)));
}

static inline vf words_load(const int16_t *p)
{
    return (vf)_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)p)));
}

/* The low halves of each 32 bits, low's below high's. */
static inline vi words_pair(vi low, vi high)
{
    return (vi)_mm256_blend_epi16((__m256i)low, _mm256_slli_epi32((__m256i)high, 16), 0xaa);
}

static inline vf words_root(vf x)
{
    return (vf)_mm256_sqrt_ps((__m256)x);
}

/* As vexp2_below, in fewer operations: 3e-6 relative, far below what rounding to words costs. NaN stays. */
static inline vf words_exp2_below(vf x)
{
    vf r;
    const vf whole = vexp2_parts(x, &r);
    return vexp2_coarse(r) * whole;
}

static inline __attribute__((always_inline)) void words_add(vi *sum, vi a, vi b)
{
    *sum += (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
}
