/* What products of 16-bit integers (words_gemm.inc.c) want to know of AVX-512: conversions of V floats and integers.
 * With VNNI one instruction multiplies and adds; without, two. */

static inline vi words_whole(vf x)
{
    return (vi)_mm512_cvtps_epi32((__m512)x);
}

/* V floats as integers, nearest and within 16 bits. */
static inline void words_store(int16_t *to, vf x)
{
    _mm256_storeu_si256((__m256i *)to, _mm512_cvtsepi32_epi16((__m512i)words_whole(x)));
}

static inline vf words_load(const int16_t *p)
{
    return (vf)_mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)p)));
}

/* The low halves of each 32 bits, low's below high's. */
static inline vi words_pair(vi low, vi high)
{
    return (vi)_mm512_mask_blend_epi16(0xaaaaaaaa, (__m512i)low, _mm512_slli_epi32((__m512i)high, 16));
}

static inline vf words_root(vf x)
{
    return (vf)_mm512_sqrt_ps((__m512)x);
}

/* As vexp2_below, in fewer operations: 3e-6 relative, far below what rounding to words costs. NaN stays. 2^-126 would
 * be denormal, which is slow. */
static inline vf words_exp2_below(vf x)
{
    x = vmax(splat(-125.0f), x);
    const __m512 whole = _mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    return (vf)_mm512_scalef_ps((__m512)vexp2_coarse(x - (vf)whole), whole);
}

#ifdef BYTES
/* sum += a . b in pairs. As an instruction: gcc 12 copies the sums round the intrinsic. */
static inline __attribute__((always_inline)) void words_add(vi *sum, vi a, vi b)
{
    __asm__("vpdpwssd %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
}

/* The same in fours: a without sign, b with. */
static inline __attribute__((always_inline)) void bytes_add(vi *sum, vi a, vi b)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
}

/* V floats as integers within -128 .. 127, and 128 added. */
static inline void bytes_store(uint8_t *to, vf x)
{
    _mm_storeu_si128((__m128i *)to, _mm512_cvtusepi32_epi8((__m512i)(words_whole(x) + 128)));
}
#else
static inline __attribute__((always_inline)) void words_add(vi *sum, vi a, vi b)
{
    *sum += (vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
}
#endif
