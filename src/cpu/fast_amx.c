/* The fast kernels for AMX: those of fast_avx512vnni.c with linear layers, convolutions and attention by tiles of 8-bit
 * digits, in float32 too. */
#include "cpu/avx512.inc.c"

#define TABLE fast_amx
#define ISA "amx"
#define WORDS "cpu/words_avx512.inc.c"
#define BYTES
#define TILES
#include "cpu/fast.inc.c"
