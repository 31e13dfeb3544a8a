/* The table of cases: every op at small, odd and extreme sizes. kernels_test compares each backend with the double
 * reference on them, gradients_test checks gradients by finite differences on them. A new kernel needs no new test; a
 * new op needs a row here (kernels_test fails without). */
#ifndef OP_CASES_H
#define OP_CASES_H

#include "graph/graph.h"

/* How inputs are drawn. */
typedef enum draw {
    NORMAL, BIG /* x 30 */, TINY /* x 1e-4 */, SHIFTED /* + 50 */, CONSTANT /* all 1 */, WHOLE /* x 3, rounded */
} draw;

typedef struct op_case {
    op_id op;
    shape in[MAX_INPUTS];     /* rank 0: absent */
    attr a;
    draw draw;
    dtype weight;             /* not DT_BOOL: input 1 is a parameter stored in this type */
    const int32_t *ints;      /* attention's lens, rows' ids; NULL: none */
    double tolerance;         /* 0: the op's usual one */
} op_case;

/* A constant shape; S(0): an input that the harness computes (statistics, a forward result). */
#define S(...) {sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {__VA_ARGS__}}
#define L(...) (const int32_t[]){__VA_ARGS__}
#define CONV(s, t, b, l, r) .a = {.stride = s, .pad = {t, b, l, r}}
#define CONV_TO(sh, s, t, b, l, r) .a = {.shape = sh, .stride = s, .pad = {t, b, l, r}}
#define EACH_SIZE(op, ...) \
    {op, {S(1)}, __VA_ARGS__}, {op, {S(3, 5)}, __VA_ARGS__}, {op, {S(2, 7, 9, 13)}, __VA_ARGS__}, \
    {op, {S(4, 70000)}, __VA_ARGS__}, {op, {S(2, 33)}, __VA_ARGS__, .draw = BIG}, \
    {op, {S(2, 33)}, __VA_ARGS__, .draw = TINY}
#define EACH_SIZE_2(op, ...) \
    {op, {S(1), S(1)}, __VA_ARGS__}, {op, {S(3, 5), S(3, 5)}, __VA_ARGS__}, \
    {op, {S(2, 7, 9, 13), S(2, 7, 9, 13)}, __VA_ARGS__}, {op, {S(4, 70000), S(4, 70000)}, __VA_ARGS__}, \
    {op, {S(2, 33), S(2, 33)}, __VA_ARGS__, .draw = BIG}
#define EACH_BROADCAST(op) \
    EACH_SIZE_2(op, {.axis = 0}), {op, {S(2, 5, 7, 12), S(2, 1, 1, 12)}}, {op, {S(2, 5, 7, 12), S(12)}}, \
    {op, {S(2, 5, 7, 12), S(2, 5, 7, 1)}}, {op, {S(2, 5, 7, 12), S(1)}}, {op, {S(2, 5, 7, 12), S(5, 1, 12)}}, \
    {op, {S(2, 5, 7, 12), S(2, 5, 1, 12)}}, {op, {S(3, 40, 40, 32), S(3, 1, 1, 32)}}, {op, {S(6, 4, 3), S(6, 1, 1)}}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"   /* rows name only what they need */
static const op_case cases[] = {
    EACH_BROADCAST(OP_add),
    EACH_BROADCAST(OP_sub),
    EACH_BROADCAST(OP_mul),
    EACH_SIZE(OP_scale, {.alpha = 1.5f, .beta = -0.25f}),
    EACH_SIZE(OP_silu, {.axis = 0}),
    EACH_SIZE_2(OP_silu_grad, {.axis = 0}),
    EACH_SIZE(OP_gelu, {.axis = 0}),
    EACH_SIZE_2(OP_gelu_grad, {.axis = 0}),
    EACH_SIZE(OP_exp, {.axis = 0}),
    EACH_SIZE(OP_abs, {.axis = 0}),
    EACH_SIZE(OP_sign, {.axis = 0}),
    EACH_SIZE(OP_clamp, {.alpha = -0.5f, .beta = 0.75f}),
    EACH_SIZE_2(OP_clamp_grad, {.alpha = -0.5f, .beta = 0.75f}),
    {OP_geglu, {S(1, 2)}},
    {OP_geglu, {S(3, 5, 26)}},
    {OP_geglu, {S(64, 512)}},
    {OP_geglu, {S(3, 34)}, .draw = BIG},
    {OP_geglu_grad, {S(1, 2), S(1, 1)}},
    {OP_geglu_grad, {S(3, 5, 26), S(3, 5, 13)}},
    {OP_geglu_grad, {S(64, 512), S(64, 256)}},
    {OP_geglu_grad, {S(3, 34), S(3, 17)}, .draw = BIG},

    {OP_linear, {S(1, 1), S(1, 1), S(1)}},
    {OP_linear, {S(3, 5, 7), S(9, 7)}},
    {OP_linear, {S(33, 64), S(96, 64), S(96)}},
    {OP_linear, {S(7, 1000), S(35, 1000), S(35)}, .weight = DT_F32},
    {OP_linear, {S(250, 40), S(130, 40), S(130)}},
    {OP_linear, {S(2, 9, 320), S(100, 320), S(100)}, .weight = DT_BF16},
    {OP_linear, {S(5, 48), S(64, 48)}, .weight = DT_F16},
    {OP_linear, {S(1, 2048), S(17, 2048)}},
    {OP_linear, {S(45, 1344), S(80, 1344), S(80)}, .weight = DT_F16},      /* several depths */
    {OP_linear, {S(1100, 352), S(72, 352), S(72)}, .weight = DT_F16},      /* more rows than are rounded at once */
    {OP_linear, {S(300, 352), S(200, 352), S(200)}, .weight = DT_BF16},
    {OP_linear_dx, {S(1, 1), S(1, 1)}},
    {OP_linear_dx, {S(3, 5, 7), S(7, 9)}},
    {OP_linear_dx, {S(33, 64), S(64, 96)}},
    {OP_linear_dx, {S(250, 40), S(40, 130)}, .weight = DT_F32},
    {OP_linear_dx, {S(5, 48), S(48, 64)}, .weight = DT_BF16},
    {OP_linear_dw, {S(1, 1), S(1, 1)}, {.shape = S(1, 1)}},
    {OP_linear_dw, {S(3, 5, 7), S(3, 5, 9)}, {.shape = S(7, 9)}},
    {OP_linear_dw, {S(600, 50), S(600, 70)}, {.shape = S(50, 70)}},
    {OP_linear_dw, {S(300, 256), S(300, 64)}, {.shape = S(256, 64)}},

    {OP_conv2d, {S(1, 1, 1, 1), S(1, 1, 1, 1), S(1)}, CONV(1, 0, 0, 0, 0)},
    {OP_conv2d, {S(1, 1, 1, 3), S(5, 3, 3, 3), S(5)}, CONV(1, 1, 1, 1, 1)},
    {OP_conv2d, {S(2, 5, 7, 4), S(9, 4, 3, 3)}, CONV(1, 1, 1, 1, 1)},
    {OP_conv2d, {S(2, 9, 6, 3), S(16, 3, 3, 3), S(16)}, CONV(2, 1, 1, 1, 1), .weight = DT_F32},
    {OP_conv2d, {S(1, 8, 8, 5), S(6, 5, 3, 3), S(6)}, CONV(2, 0, 1, 0, 1)},
    {OP_conv2d, {S(2, 6, 5, 40), S(33, 40, 1, 1), S(33)}, CONV(1, 0, 0, 0, 0), .weight = DT_BF16},
    {OP_conv2d, {S(1, 9, 9, 8), S(24, 8, 5, 5), S(24)}, CONV(1, 2, 2, 2, 2)},
    {OP_conv2d, {S(2, 9, 7, 704), S(40, 704, 3, 3), S(40)}, CONV(2, 1, 1, 1, 1), .weight = DT_BF16},
    {OP_conv2d, {S(1, 14, 14, 3), S(20, 3, 7, 7), S(20)}, CONV(7, 0, 0, 0, 0)},
    {OP_conv2d, {S(3, 16, 16, 64), S(64, 64, 3, 3), S(64)}, CONV(1, 1, 1, 1, 1), .weight = DT_F32},
    {OP_conv2d, {S(2, 4, 4, 96), S(80, 96, 3, 3), S(80)}, CONV(1, 1, 1, 1, 1), .weight = DT_BF16},
    {OP_conv2d, {S(5, 8, 8, 48), S(72, 48, 3, 3)}, CONV(1, 1, 1, 1, 1)},
    {OP_conv2d, {S(1, 13, 11, 320), S(64, 320, 3, 3), S(64)}, CONV(1, 1, 1, 1, 1), .weight = DT_F16},
    {OP_conv2d, {S(1, 33, 35, 32), S(32, 32, 3, 3), S(32)}, CONV(1, 1, 1, 1, 1), .weight = DT_F32, .draw = BIG},
    {OP_conv2d, {S(3, 29, 31, 352), S(17, 352, 3, 3), S(17)}, CONV(1, 1, 1, 1, 1), .weight = DT_F16},   /* blocks */
    {OP_conv2d, {S(2, 18, 17, 64), S(64, 64, 3, 3), S(64)}, CONV(1, 1, 1, 1, 1), .weight = DT_F32, .draw = SHIFTED},
    {OP_conv2d, {S(2, 9, 14, 176), S(276, 176, 3, 3), S(276)}, CONV(1, 1, 1, 1, 1)},   /* groups of panels, chunks */
    {OP_conv2d, {S(2, 9, 8, 24), S(20, 24, 1, 7), S(20)}, CONV(1, 0, 0, 3, 3), .weight = DT_F32},
    {OP_conv2d, {S(2, 9, 8, 24), S(20, 24, 7, 1), S(20)}, CONV(1, 3, 3, 0, 0), .weight = DT_F32},
    {OP_conv2d, {S(1, 3, 5, 32), S(32, 32, 1, 3)}, CONV(1, 0, 0, 1, 1)},
    {OP_conv2d, {S(1, 6, 3, 17), S(9, 17, 3, 1), S(9)}, CONV(1, 1, 1, 0, 0)},
    {OP_conv2d_dx, {S(1, 1, 1, 1), S(1, 1, 1, 1)}, CONV_TO(S(1, 1, 1, 1), 1, 0, 0, 0, 0)},
    {OP_conv2d_dx, {S(2, 5, 7, 9), S(9, 4, 3, 3)}, CONV_TO(S(2, 5, 7, 4), 1, 1, 1, 1, 1)},
    {OP_conv2d_dx, {S(2, 5, 3, 16), S(16, 3, 3, 3)}, CONV_TO(S(2, 9, 6, 3), 2, 1, 1, 1, 1)},
    {OP_conv2d_dx, {S(1, 4, 4, 6), S(6, 5, 3, 3)}, CONV_TO(S(1, 8, 8, 5), 2, 0, 1, 0, 1)},
    {OP_conv2d_dx, {S(3, 16, 16, 64), S(64, 48, 3, 3)}, CONV_TO(S(3, 16, 16, 48), 1, 1, 1, 1, 1), .weight = DT_F32},
    {OP_conv2d_dx, {S(3, 7, 10, 64), S(64, 80, 3, 3)}, CONV_TO(S(3, 7, 10, 80), 1, 1, 1, 1, 1), .weight = DT_BF16},
    {OP_conv2d_dx, {S(1, 8, 8, 336), S(336, 272, 3, 3)}, CONV_TO(S(1, 8, 8, 272), 1, 1, 1, 1, 1)},
    {OP_conv2d_dx, {S(2, 2, 2, 20), S(20, 3, 7, 7)}, CONV_TO(S(2, 14, 14, 3), 7, 0, 0, 0, 0)},
    {OP_conv2d_dw, {S(1, 1, 1, 1), S(1, 1, 1, 1)}, CONV_TO(S(1, 1, 1, 1), 1, 0, 0, 0, 0)},
    {OP_conv2d_dw, {S(2, 5, 7, 9), S(2, 5, 7, 4)}, CONV_TO(S(9, 4, 3, 3), 1, 1, 1, 1, 1)},
    {OP_conv2d_dw, {S(2, 5, 3, 16), S(2, 9, 6, 3)}, CONV_TO(S(16, 3, 3, 3), 2, 1, 1, 1, 1)},
    {OP_conv2d_dw, {S(1, 4, 4, 6), S(1, 8, 8, 5)}, CONV_TO(S(6, 5, 3, 3), 2, 0, 1, 0, 1)},
    {OP_conv2d_dw, {S(3, 16, 16, 64), S(3, 16, 16, 48)}, CONV_TO(S(64, 48, 3, 3), 1, 1, 1, 1, 1)},
    {OP_conv2d_dw, {S(3, 7, 10, 200), S(3, 7, 10, 80)}, CONV_TO(S(200, 80, 3, 3), 1, 1, 1, 1, 1)},
    {OP_conv2d_dw, {S(4, 8, 8, 64), S(4, 8, 8, 64)}, CONV_TO(S(64, 64, 1, 1), 1, 0, 0, 0, 0)},
    {OP_conv2d_dw, {S(2, 30, 31, 112), S(2, 30, 31, 48)}, CONV_TO(S(112, 48, 3, 3), 1, 1, 1, 1, 1)},
    {OP_conv2d_dw, {S(7, 4, 4, 32), S(7, 4, 4, 64)}, CONV_TO(S(32, 64, 3, 3), 1, 1, 1, 1, 1)},

    {OP_group_norm, {S(1, 1, 1, 1), S(1), S(1)}, {.groups = 1, .eps = 1e-5f}},
    {OP_group_norm, {S(2, 5, 7, 12), S(12), S(12)}, {.groups = 4, .eps = 1e-5f}},
    {OP_group_norm, {S(3, 9, 20), S(20), S(20)}, {.groups = 5, .eps = 1e-6f, .silu = true}},
    {OP_group_norm, {S(2, 24, 24, 64), S(64), S(64)}, {.groups = 32, .eps = 1e-5f, .silu = true}},
    {OP_group_norm, {S(9, 4, 4, 96), S(96), S(96)}, {.groups = 32, .eps = 1e-5f, .silu = true}},
    {OP_group_norm, {S(1, 16, 16, 32), S(32), S(32)}, {.groups = 8, .eps = 1e-6f}, .draw = SHIFTED, .tolerance = 3e-5},
    {OP_group_norm, {S(1, 4, 4, 32), S(32), S(32)}, {.groups = 8, .eps = 1e-6f}, .draw = CONSTANT},
    {OP_group_stats, {S(1, 1, 1, 1)}, {.groups = 1}},
    {OP_group_stats, {S(2, 5, 7, 12)}, {.groups = 4}},
    {OP_group_stats, {S(2, 24, 24, 64)}, {.groups = 32}},
    {OP_group_stats, {S(1, 16, 16, 32)}, {.groups = 8}, .draw = SHIFTED, .tolerance = 3e-5},
    {OP_group_norm_by, {S(1, 1, 1, 1), S(1), S(1), S(1, 1, 2)}, {.groups = 1}},
    {OP_group_norm_by, {S(2, 5, 7, 12), S(12), S(12), S(2, 4, 2)}, {.groups = 4}},
    {OP_group_norm_by, {S(3, 9, 20), S(20), S(20), S(3, 5, 2)}, {.groups = 5, .silu = true}},
    {OP_group_norm_by, {S(2, 24, 24, 64), S(64), S(64), S(2, 32, 2)}, {.groups = 32, .silu = true}},
    {OP_group_norm_grad, {S(2, 3, 1, 4), S(4), S(4), S(0), S(2, 3, 1, 4)}, {.groups = 2, .eps = 1e-5f}},
    {OP_group_norm_grad, {S(2, 5, 7, 12), S(12), S(12), S(0), S(2, 5, 7, 12)}, {.groups = 4, .eps = 1e-5f}},
    {OP_group_norm_grad, {S(3, 9, 20), S(20), S(20), S(0), S(3, 9, 20)}, {.groups = 5, .eps = 1e-6f, .silu = true}},
    {OP_group_norm_grad, {S(9, 16, 16, 64), S(64), S(64), S(0), S(9, 16, 16, 64)},
        {.groups = 32, .eps = 1e-5f, .silu = true}},
    {OP_layer_norm, {S(1, 1), S(1), S(1)}, {.eps = 1e-5f}},
    {OP_layer_norm, {S(3, 5, 13), S(13), S(13)}, {.eps = 1e-5f}},
    {OP_layer_norm, {S(300, 96), S(96), S(96)}, {.eps = 1e-5f}},
    {OP_layer_norm, {S(4, 320), S(320), S(320)}, {.eps = 1e-5f}, .draw = SHIFTED, .tolerance = 3e-5},
    {OP_layer_norm_grad, {S(2, 3), S(3), S(0), S(2, 3)}, {.eps = 1e-5f}},
    {OP_layer_norm_grad, {S(3, 5, 13), S(13), S(0), S(3, 5, 13)}, {.eps = 1e-5f}},
    {OP_layer_norm_grad, {S(300, 96), S(96), S(0), S(300, 96)}, {.eps = 1e-5f}},

    {OP_unit, {S(1, 1)}},
    {OP_unit, {S(3, 5, 7)}},
    {OP_unit, {S(130, 96)}},
    {OP_unit, {S(2, 33)}, .draw = BIG},
    {OP_unit, {S(2, 33)}, .draw = TINY},
    {OP_unit_grad, {S(1, 1), S(1, 1), S(1)}},
    {OP_unit_grad, {S(3, 5, 7), S(3, 5, 7), S(15)}},
    {OP_unit_grad, {S(130, 96), S(130, 96), S(130)}},
    {OP_log_softmax, {S(1, 1)}},
    {OP_log_softmax, {S(3, 5, 7)}},
    {OP_log_softmax, {S(130, 96)}},
    {OP_log_softmax, {S(5, 33)}, .draw = BIG},
    {OP_log_softmax, {S(5, 33)}, .draw = SHIFTED},
    {OP_log_softmax_grad, {S(1, 1), S(1, 1)}},
    {OP_log_softmax_grad, {S(3, 5, 7), S(3, 5, 7)}},
    {OP_log_softmax_grad, {S(130, 96), S(130, 96)}},

    {OP_attention, {S(1, 1, 1), S(1, 1, 1), S(1, 1, 1)}, {.heads = 1, .alpha = 1}},
    {OP_attention, {S(2, 5, 12), S(2, 7, 12), S(2, 7, 12)}, {.heads = 2, .alpha = 0.4f}},
    {OP_attention, {S(6, 9, 16), S(2, 11, 16), S(2, 11, 16)}, {.heads = 2, .alpha = 0.35f},
        .ints = L(0, 11, 1, 7, 0, 10)},
    {OP_attention, {S(2, 100, 128), S(2, 300, 128), S(2, 300, 128)}, {.heads = 2, .alpha = 0.125f}},
    {OP_attention, {S(3, 64, 64), S(1, 256, 64), S(1, 256, 64)}, {.heads = 4, .alpha = 0.25f}, .ints = L(0, 128, 256)},
    {OP_attention, {S(2, 150, 64), S(2, 300, 64), S(2, 300, 64)}, {.heads = 2, .alpha = 0.2f}},   /* groups */
    {OP_attention, {S(1, 50, 512), S(1, 130, 512), S(1, 130, 512)}, {.heads = 1, .alpha = 0.0442f}},
    {OP_attention, {S(1, 49, 160), S(1, 77, 160), S(1, 77, 160)}, {.heads = 1, .alpha = 0.08f}},
    {OP_attention, {S(1, 110, 160), S(1, 77, 160), S(1, 77, 160)}, {.heads = 1, .alpha = 0.08f}},
    {OP_attention, {S(1, 20, 32), S(1, 140, 32), S(1, 140, 32)}, {.heads = 4, .alpha = 0.35f}, .draw = BIG,
        .tolerance = 2e-4},
    /* later blocks of keys far above the first's maximum, and somewhat */
    {OP_attention, {S(2, 30, 32), S(2, 700, 32), S(2, 700, 32)}, {.heads = 4, .alpha = 0.35f}, .draw = BIG,
        .tolerance = 2e-4},
    {OP_attention, {S(2, 30, 32), S(2, 700, 32), S(2, 700, 32)}, {.heads = 4, .alpha = 0.007f}, .draw = BIG,
        .tolerance = 1e-5},
    /* the same where bf16 has exact scores, as alpha is 4 ln 2: up to 600, which 16 bits of integers hardly divide */
    {OP_attention, {S(2, 30, 64), S(2, 700, 64), S(2, 700, 64)}, {.heads = 2, .alpha = 2.7725887f}, .draw = WHOLE,
        .tolerance = 8e-3},
    /* scores that are all -256 */
    {OP_attention, {S(1, 20, 64), S(1, 140, 64), S(1, 140, 64)}, {.heads = 1, .alpha = -4}, .draw = CONSTANT},
    {OP_attention_grad, {S(1, 1, 1), S(1, 1, 1), S(1, 1, 1), S(0), S(0), S(1, 1, 1)}, {.heads = 1, .alpha = 1}},
    {OP_attention_grad, {S(2, 5, 12), S(2, 7, 12), S(2, 7, 12), S(0), S(0), S(2, 5, 12)}, {.heads = 2, .alpha = 0.4f}},
    {OP_attention_grad, {S(6, 9, 16), S(2, 11, 16), S(2, 11, 16), S(0), S(0), S(6, 9, 16)},
        {.heads = 2, .alpha = 0.35f}, .ints = L(0, 11, 1, 7, 0, 10)},
    {OP_attention_grad, {S(2, 100, 64), S(2, 300, 64), S(2, 300, 64), S(0), S(0), S(2, 100, 64)},
        {.heads = 1, .alpha = 0.125f}},
    {OP_attention_grad, {S(3, 64, 64), S(1, 256, 64), S(1, 256, 64), S(0), S(0), S(3, 64, 64)},
        {.heads = 4, .alpha = 0.25f}, .ints = L(0, 128, 256)},

    {OP_concat, {S(2, 3, 5), S(2, 3, 4)}, {.axis = 2}},
    {OP_concat, {S(2, 3, 5), S(1, 3, 5)}, {.axis = 0}},
    {OP_concat, {S(2, 3, 5, 1), S(2, 9, 5, 1)}, {.axis = 1}},
    {OP_concat, {S(2, 20, 20, 32), S(2, 20, 20, 48)}, {.axis = 3}},
    {OP_slice, {S(2, 3, 5)}, {.axis = 2, .start = 1, .count = 3}},
    {OP_slice, {S(4, 3, 5)}, {.axis = 0, .start = 3, .count = 1}},
    {OP_slice, {S(2, 20, 40, 32)}, {.axis = 1, .start = 4, .count = 15}},
    {OP_slice_grad, {S(2, 3, 3)}, {.shape = S(2, 3, 5), .axis = 2, .start = 1, .count = 3}},
    {OP_slice_grad, {S(1, 3, 5)}, {.shape = S(4, 3, 5), .axis = 0, .start = 3, .count = 1}},
    {OP_gather_rows, {S(1, 1), S(1)}, .ints = L(0)},
    {OP_gather_rows, {S(5, 7), S(2, 4)}, .ints = L(4, 0, 0, 3, 2, 0, 4, 4)},
    {OP_gather_rows, {S(60, 96), S(3)}, .ints = L(59, 1, 59)},
    {OP_gather_rows_grad, {S(1, 1), S(1)}, {.shape = S(1, 1)}, .ints = L(0)},
    {OP_gather_rows_grad, {S(2, 4, 7), S(2, 4)}, {.shape = S(5, 7)}, .ints = L(4, 0, 0, 3, 2, 0, 4, 4)},
    {OP_gather_rows_grad, {S(3, 96), S(3)}, {.shape = S(60, 96)}, .ints = L(59, 1, 59)},
    {OP_reshape, {S(2, 3, 5)}, {.shape = S(6, 5)}},
    {OP_permute, {S(2, 3, 5, 7)}, {.perm = {0, 3, 1, 2}}},
    {OP_permute, {S(2, 30, 50, 7)}, {.perm = {0, 2, 3, 1}}},
    {OP_permute, {S(2, 3, 4, 5, 6)}, {.perm = {4, 2, 0, 3, 1}}},
    {OP_permute, {S(33, 65)}, {.perm = {1, 0}}},
    {OP_permute, {S(2, 3, 4)}, {.perm = {0, 1, 2}}},
    {OP_permute, {S(3, 4, 5, 6)}, {.perm = {0, 2, 1, 3}}},
    {OP_resize_nearest, {S(2, 3, 4, 5)}, {.shape = S(2, 6, 8, 5)}},
    {OP_resize_nearest, {S(1, 3, 4, 8)}, {.shape = S(1, 5, 7, 8)}},
    {OP_resize_nearest, {S(1, 6, 5, 3)}, {.shape = S(1, 4, 2, 3)}},
    {OP_resize_nearest_grad, {S(2, 6, 8, 5)}, {.shape = S(2, 3, 4, 5)}},
    {OP_resize_nearest_grad, {S(1, 5, 7, 8)}, {.shape = S(1, 3, 4, 8)}},
    {OP_resize_nearest_grad, {S(1, 4, 2, 3)}, {.shape = S(1, 6, 5, 3)}},
    {OP_avg_pool, {S(2, 4, 6, 5)}, {.stride = 2}},
    {OP_avg_pool, {S(1, 9, 6, 9)}, {.stride = 3}},
    {OP_avg_pool, {S(3, 2, 2, 1)}, {.stride = 1}},
    {OP_avg_pool_grad, {S(2, 2, 3, 5)}, {.shape = S(2, 4, 6, 5), .stride = 2}},
    {OP_avg_pool_grad, {S(1, 3, 2, 9)}, {.shape = S(1, 9, 6, 9), .stride = 3}},
    {OP_window_max, {S(1, 1, 1, 1)}, {.dim = 1, .stride = 1}},
    {OP_window_max, {S(2, 9, 8, 5)}, {.dim = 3, .stride = 2}},
    {OP_window_max, {S(1, 7, 6, 33)}, {.dim = 3, .stride = 1, .pad = {1, 1, 1, 1}}},
    {OP_window_max, {S(1, 2, 2, 4)}, {.dim = 5, .stride = 1, .pad = {3, 3, 3, 3}}},
    {OP_window_max, {S(3, 40, 41, 64)}, {.dim = 3, .stride = 2}, .draw = SHIFTED},
    {OP_window_mean, {S(1, 1, 1, 1)}, {.dim = 1, .stride = 1}},
    {OP_window_mean, {S(2, 9, 8, 5)}, {.dim = 3, .stride = 1, .pad = {1, 1, 1, 1}}},
    {OP_window_mean, {S(1, 7, 6, 33)}, {.dim = 3, .stride = 2}},
    {OP_window_mean, {S(1, 2, 3, 4)}, {.dim = 4, .stride = 2, .pad = {3, 3, 3, 3}}},
    {OP_window_mean, {S(3, 40, 41, 64)}, {.dim = 3, .stride = 1, .pad = {1, 1, 1, 1}}, .draw = BIG},
    {OP_sum_to, {S(2, 3, 5)}, {.shape = S(1)}},
    {OP_sum_to, {S(2, 3, 5)}, {.shape = S(5)}},
    {OP_sum_to, {S(2, 3, 5)}, {.shape = S(2, 1, 5)}},
    {OP_sum_to, {S(2, 3, 5)}, {.shape = S(2, 3, 1)}},
    {OP_sum_to, {S(4, 3, 5, 6)}, {.shape = S(4, 1, 5, 1)}},
    {OP_sum_to, {S(4, 3, 5, 6)}, {.shape = S(1, 3, 1, 6)}},
    {OP_sum_to, {S(4, 3, 5, 6)}, {.shape = S(3, 1, 6)}},
    {OP_sum_to, {S(30, 1000, 20)}, {.shape = S(1)}},
    {OP_sum_to, {S(5000, 20)}, {.shape = S(20)}},
    {OP_sum_to, {S(2, 3)}, {.shape = S(2, 3)}},
    {OP_broadcast_to, {S(1)}, {.shape = S(2, 3, 5)}},
    {OP_broadcast_to, {S(5)}, {.shape = S(2, 3, 5)}},
    {OP_broadcast_to, {S(2, 1, 5)}, {.shape = S(2, 3, 5)}},
    {OP_broadcast_to, {S(2, 3, 1)}, {.shape = S(2, 3, 5)}},
    {OP_broadcast_to, {S(3, 1, 6)}, {.shape = S(4, 3, 5, 6)}},
    {OP_broadcast_to, {S(2, 1, 1, 20)}, {.shape = S(2, 40, 30, 20)}},
    {OP_timestep_embedding, {S(3)}, {.dim = 32, .flip = true}},
    {OP_timestep_embedding, {S(1)}, {.dim = 7, .alpha = 1}},
    {OP_timestep_embedding, {S(4)}, {.dim = 320, .flip = true}},
};
#pragma GCC diagnostic pop

enum { CASES = sizeof cases / sizeof *cases };

#endif
