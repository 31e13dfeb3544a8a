/* The fast kernels for AVX2 and FMA: vectors of 8 floats. */
#include <immintrin.h>

#define V 8
#define TABLE fast_avx2
#define ISA "avx2"
#define VMAX(a, b) ((vf)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define VMIN(a, b) ((vf)_mm256_min_ps((__m256)(a), (__m256)(b)))
#define CHOOSE(mask, yes, no) ((vf)_mm256_blendv_ps((__m256)(no), (__m256)(yes), (__m256)(mask)))
#define VHALF(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p)))
#define TILE_ROWS 6
#define TAIL_ROWS 4
#define TWIN_ROWS 0
#define WORDS "cpu/words_avx2.inc.c"
#include "cpu/fast.inc.c"
