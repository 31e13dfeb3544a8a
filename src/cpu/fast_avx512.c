/* The fast kernels for AVX-512 (F, BW, VL, DQ). */
#include "cpu/avx512.inc.c"

#define TABLE fast_avx512
#define ISA "avx512"
#define WORDS "cpu/words_avx512.inc.c"
#include "cpu/fast.inc.c"
