/* The fast kernels for AVX-512 with VNNI: those of fast_avx512.c, products of 16-bit integers by one instruction,
 * and of 8-bit integers. */
#include "cpu/avx512.inc.c"

#define TABLE fast_avx512vnni
#define ISA "avx512vnni"
#define WORDS "cpu/words_avx512.inc.c"
#define BYTES
#include "cpu/fast.inc.c"
