/* What vec.inc.c and gemm.inc.c want to know of AVX-512: vectors of 16 floats, tiles of 8 rows. */
#include <immintrin.h>

#define V 16
#define VMAX(a, b) ((vf)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define VMIN(a, b) ((vf)_mm512_min_ps((__m512)(a), (__m512)(b)))
#define CHOOSE(mask, yes, no) \
    ((vf)_mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)(mask)), (__m512)(no), (__m512)(yes)))
#define VSUM(x) _mm512_reduce_add_ps((__m512)(x))
#define VTOP(x) _mm512_reduce_max_ps((__m512)(x))
#define VHALF(p) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(p)))
#define TILE_ROWS 8
#define TAIL_ROWS 4
#define TWIN_ROWS 6
