/* The fast kernels for any x86-64 (SSE2) or other machine: vectors of 4 floats. */
#define V 4
#define TABLE fast_generic
#define ISA "generic"
#define VMAX(a, b) CHOOSE((a) > (b), a, b)
#define VMIN(a, b) CHOOSE((a) < (b), a, b)
#define CHOOSE(mask, yes, no) ((vf)(((vi)(yes) & (mask)) | ((vi)(no) & ~(mask))))
#define TILE_ROWS 6
#define TAIL_ROWS 4
#define TWIN_ROWS 0
#include "cpu/fast.inc.c"
