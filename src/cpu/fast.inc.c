/* All fast kernels for one instruction set and their table, TABLE. The including file defines V and the few operations
 * that GCC's vectors lack; WORDS, where there are products of integers, names the file with theirs. */
#include "cpu/vec.inc.c"
#include "cpu/gemm.inc.c"
#include "cpu/fast_math.inc.c"
#include "cpu/fast_linear.inc.c"
#include "cpu/conv_view.inc.c"
#include "cpu/winograd.inc.c"
#include "cpu/winograd_dw.inc.c"
#include "cpu/fast_conv.inc.c"
#include "cpu/fast_norm.inc.c"
#include "cpu/fast_attention.inc.c"
#include "cpu/fast_move.inc.c"
#include "cpu/fast_train.inc.c"
#include "cpu/fast_peak.inc.c"
#ifdef WORDS
#include WORDS
#include "cpu/words_gemm.inc.c"
#ifdef TILES
#include "cpu/digits_gemm.inc.c"
#define WIDTH_BYTES (&of_digits[1])
#define WIDTH_WORDS(be) digits_width(be)
#elif defined BYTES
#include "cpu/bytes_gemm.inc.c"
#define WIDTH_BYTES (&of_bytes)
#else
#define WIDTH_BYTES (&of_words)
#endif
#ifndef WIDTH_WORDS
#define WIDTH_WORDS(be) ((void)(be), &of_words)
#endif
#include "cpu/words_linear.inc.c"
#ifdef TILES
#include "cpu/digits_winograd.inc.c"
#define BY_WINOGRAD(name) digits_wino_##name
#else
#include "cpu/words_winograd.inc.c"
#define BY_WINOGRAD(name) words_wino_##name
#endif
#include "cpu/words_conv.inc.c"
#ifdef TILES
#include "cpu/digits_attention.inc.c"
#include "cpu/bf16_attention.inc.c"
#define words_attention tiles_attention
#define words_attention_scratch tiles_attention_scratch
#define words_attention_tiles tiles_attention_tiles
#else
#include "cpu/words_attention.inc.c"
#define words_attention_tiles NULL
#endif
#endif

#define ROW(name, ...) [OP_##name] = {.run = fast_##name, __VA_ARGS__}
#define PACKED(name, ...) ROW(name, .scratch = name##_scratch, .prepare = name##_prepare, .packs = true, __VA_ARGS__)

#ifdef WORDS
#define WORDS_PACKED(name, ...) \
    [OP_##name] = {.run = words_##name, .scratch = words_##name##_scratch, .prepare = words_##name##_prepare, \
                   .packs = true, __VA_ARGS__}

#define WORDS_ROWS_OF_TABLE                                                                                    \
    WORDS_PACKED(linear, .fuses = words_linear_fuses, .work = words_linear_work, .tiles = words_linear_tiles), \
    WORDS_PACKED(conv2d, .work = words_conv2d_work, .tiles = words_conv2d_tiles),                              \
    [OP_attention] = {.run = words_attention, .scratch = words_attention_scratch, .tiles = words_attention_tiles}

static const kernel words[OP_COUNT] = {WORDS_ROWS_OF_TABLE};
#endif

const fast_table TABLE = {
    .isa = ISA,
    .kernels = {
        ROW(add, .in_place = true), ROW(sub, .in_place = true), ROW(mul, .in_place = true),
        ROW(scale, .in_place = true), ROW(silu, .in_place = true), ROW(silu_grad, .in_place = true),
        ROW(gelu, .in_place = true), ROW(gelu_grad, .in_place = true), ROW(exp, .in_place = true),
        ROW(abs, .in_place = true), ROW(sign, .in_place = true), ROW(clamp, .in_place = true),
        ROW(clamp_grad, .in_place = true), ROW(geglu), ROW(geglu_grad),
        PACKED(linear_dx), ROW(linear_dw, .scratch = linear_dw_scratch),
        PACKED(conv2d_dx, .work = conv2d_work),
        ROW(conv2d_dw, .scratch = conv2d_dw_scratch, .work = conv2d_dw_work),
        ROW(group_norm, .scratch = group_norm_scratch), ROW(group_norm_grad, .scratch = group_norm_grad_scratch),
        ROW(group_stats, .scratch = group_stats_scratch), ROW(group_norm_by, .scratch = group_norm_by_scratch),
        ROW(layer_norm), ROW(layer_norm_grad, .scratch = layer_norm_grad_scratch),
        ROW(attention_grad, .scratch = attention_grad_scratch),
        ROW(concat), ROW(slice), ROW(slice_grad), ROW(permute), ROW(resize_nearest), ROW(resize_nearest_grad),
        ROW(avg_pool), ROW(avg_pool_grad), ROW(window_max), ROW(window_mean),
        ROW(sum_to, .scratch = sum_to_scratch), ROW(broadcast_to),
#ifdef TILES
        WORDS_ROWS_OF_TABLE,
#else
        PACKED(linear, .fuses = linear_fuses), PACKED(conv2d, .work = conv2d_work),
        ROW(attention, .scratch = attention_scratch),
#endif
    },
    .adamw = fast_adamw, .lerp = fast_lerp, .accumulate = fast_accumulate, .sum_squares = fast_sum_squares,
    .peak = fast_peak,
#ifdef TILES
    .tiles_peak = digits_peak,
#endif
#ifdef WORDS
    .words = words, .words_peak = words_peak,
#ifdef BYTES
    .bytes = true,
#endif
#endif
};
