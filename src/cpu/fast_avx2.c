/* The fast kernels for AVX2 and FMA: vectors of 8 floats. */
#include <immintrin.h>

/* As vec.inc.c's vsum and vtop. */
static inline float avx2_sum(__m256 x)
{
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float avx2_top(__m256 x)
{
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

#define V 8
#define TABLE fast_avx2
#define ISA "avx2"
#define VMAX(a, b) ((vf)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define VMIN(a, b) ((vf)_mm256_min_ps((__m256)(a), (__m256)(b)))
#define CHOOSE(mask, yes, no) ((vf)_mm256_blendv_ps((__m256)(no), (__m256)(yes), (__m256)(mask)))
#define VSUM(x) avx2_sum((__m256)(x))
#define VTOP(x) avx2_top((__m256)(x))
#define VHALF(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p)))
#define TILE_ROWS 6
#define TAIL_ROWS 4
#define TWIN_ROWS 0
#define WORDS "cpu/words_avx2.inc.c"
#include "cpu/fast.inc.c"
