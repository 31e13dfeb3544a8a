/* The fast kernels for AVX-512 with VNNI: those of fast_avx512.c, and products of 16-bit integers. */
#include "cpu/avx512.inc.c"

#define TABLE fast_avx512vnni
#define ISA "avx512vnni"
#define WORDS
#include "cpu/fast.inc.c"
