/* The reference kernels compiled for double: the same text, ref_*.inc.c, serves both element types. */
#define real double
#include "cpu/ref_math.inc.c"
#include "cpu/ref_product.inc.c"
#include "cpu/ref_norm.inc.c"
#include "cpu/ref_attention.inc.c"
#include "cpu/ref_move.inc.c"

/* One row per op: an op without a reference does not compile. */
const kernel ref_f64_kernels[OP_COUNT] = {
#define OP(name, ...) [OP_##name] = {.run = ref_##name},
#include "graph/ops.def"
#undef OP
};
