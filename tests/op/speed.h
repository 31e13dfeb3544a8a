/* Timing of kernels at the shapes of real models: kernels_test time [threads [isa [op or part of a shape [how]]]]. The
 * best of several runs. */
#ifndef OP_SPEED_H
#define OP_SPEED_H

#include <time.h>

#include "op/harness.h"

#define CONV3(b, h, w, i, o) {OP_conv2d, {S(b, h, w, i), S(o, i, 3, 3), S(o)}, CONV(1, 1, 1, 1, 1), .weight = DT_F32}
#define CONV3_DX(b, h, w, i, o) \
    {OP_conv2d_dx, {S(b, h, w, o), S(o, i, 3, 3)}, CONV_TO(S(b, h, w, i), 1, 1, 1, 1, 1), .weight = DT_F32}
#define CONV3_DW(b, h, w, i, o) {OP_conv2d_dw, {S(b, h, w, o), S(b, h, w, i)}, CONV_TO(S(o, i, 3, 3), 1, 1, 1, 1, 1)}
#define CONV3_ALL(...) CONV3(__VA_ARGS__), CONV3_DX(__VA_ARGS__), CONV3_DW(__VA_ARGS__)
#define LINEAR(m, i, o) {OP_linear, {S(m, i), S(o, i), S(o)}, .weight = DT_F32}
#define LINEAR_ALL(m, i, o) LINEAR(m, i, o), {OP_linear_dx, {S(m, o), S(o, i)}, .weight = DT_F32}, \
    {OP_linear_dw, {S(m, o), S(m, i)}, {.shape = S(o, i)}}
#define ATTEND(b, lq, lk, c, h) {OP_attention, {S(b, lq, c), S(b, lk, c), S(b, lk, c)}, {.heads = h, .alpha = 0.125f}}
#define ATTEND_DX(b, lq, lk, c, h)                                                           \
    {                                                                                        \
        OP_attention_grad, {S(b, lq, c), S(b, lk, c), S(b, lk, c), S(0), S(0), S(b, lq, c)}, \
        {                                                                                    \
            .heads = h, .alpha = 0.125f                                                      \
        }                                                                                    \
    }

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
static const op_case speed_cases[] = {
    /* the small model in training */
    CONV3_ALL(20, 16, 16, 64, 64),
    CONV3_ALL(20, 16, 16, 128, 64),
    CONV3_ALL(20, 8, 8, 128, 128),
    CONV3_ALL(20, 4, 4, 256, 256),
    CONV3_ALL(20, 4, 4, 512, 256),
    LINEAR_ALL(5120, 64, 64),
    LINEAR_ALL(1280, 128, 1024),
    LINEAR_ALL(320, 256, 256),
    ATTEND(20, 256, 256, 64, 4),
    ATTEND_DX(20, 256, 256, 64, 4),
    ATTEND(20, 64, 256, 128, 4),
    ATTEND_DX(20, 64, 256, 128, 4),
    /* SD 2.1's U-Net, 64x64, batch 2 */
    CONV3(2, 64, 64, 320, 320),
    CONV3(2, 32, 32, 640, 640),
    CONV3(2, 16, 16, 1280, 1280),
    CONV3(2, 8, 8, 1280, 1280),
    CONV3(2, 32, 32, 1920, 640),
    CONV3(2, 16, 16, 2560, 1280),
    CONV3(2, 64, 64, 960, 320),
    CONV3(2, 64, 64, 320, 4),
    LINEAR(8192, 320, 320),
    LINEAR(8192, 320, 2560),
    LINEAR(8192, 1280, 320),
    LINEAR(2048, 640, 5120),
    LINEAR(2048, 640, 640),
    LINEAR(512, 1280, 1280),
    LINEAR(512, 1280, 10240),
    LINEAR(154, 1024, 1280),
    LINEAR(2, 1280, 1280),
    ATTEND(2, 4096, 4096, 320, 5),
    ATTEND(1, 4096, 20480, 320, 5),
    ATTEND(2, 1024, 1024, 640, 10),
    ATTEND(2, 4096, 77, 320, 5),
    {OP_group_norm, {S(2, 64, 64, 320), S(320), S(320)}, {.groups = 32, .eps = 1e-5f, .silu = true}},
    {OP_layer_norm, {S(8192, 320), S(320), S(320)}, {.eps = 1e-5f}},
    {OP_geglu, {S(8192, 2560)}},
    {OP_add, {S(8192, 320), S(8192, 320)}},
    {OP_silu, {S(8192, 320)}},
    /* the VAE's decoder */
    CONV3(1, 64, 64, 512, 512),
    CONV3(1, 256, 256, 256, 256),
    CONV3(1, 512, 512, 128, 128),
    ATTEND(1, 4096, 4096, 512, 1),
    /* norms and elementwise ops in training */
    {OP_group_norm, {S(20, 16, 16, 64), S(64), S(64)}, {.groups = 32, .eps = 1e-5f, .silu = true}},
    {OP_group_norm_grad,
     {S(20, 16, 16, 64), S(64), S(64), S(0), S(20, 16, 16, 64)},
     {.groups = 32, .eps = 1e-5f, .silu = true}},
    {OP_layer_norm, {S(5120, 64), S(64), S(64)}, {.eps = 1e-5f}},
    {OP_layer_norm_grad, {S(5120, 64), S(64), S(0), S(5120, 64)}, {.eps = 1e-5f}},
    {OP_geglu, {S(5120, 512)}},
    {OP_geglu_grad, {S(5120, 512), S(5120, 256)}},
    {OP_sum_to, {S(5120, 512)}, {.shape = S(512)}},
};
#pragma GCC diagnostic pop

static double speed_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Bytes that must cross memory once: inputs and result. */
static double speed_bytes(const node *n)
{
    double bytes = 4.0 * (double)shape_count(n->shape);
    for (int k = 0; k < n->n_in; k++)
        if (n->in[k]) bytes += 4.0 * (double)shape_count(n->in[k]->shape);
    return bytes;
}

static void speed_case(const op_case *c, backend *be)
{
    m2m_error err = {0};
    built *b = case_build(c);
    exec *x = exec_new(b->g, be, &b->n, 1, &err);
    if (!x) fail_msg("%s", err.msg);
    case_write(b, c, x);
    must(exec_run(x, &err), &err);
    exec_profile(x, true);
    double best = INFINITY, start = speed_now();
    for (int k = 0; k < 50 && (k < 5 || speed_now() - start < 0.4); k++) {
        exec_profile(x, true);
        must(exec_run(x, &err), &err);
        best = fmin(best, exec_times(x)[b->n->id].seconds);
    }
    char text[256];
    const double flops = node_flops(b->n);
    printf("%-64s %9.3f ms", case_text(c, text, sizeof text), 1e3 * best);
    if (flops > 0) printf("  %7.1f GFLOP/s\n", 1e-9 * flops / best);
    else printf("  %7.1f GB/s\n", 1e-9 * speed_bytes(b->n) / best);
    fflush(stdout);
    exec_free(x);
    case_free(b);
}

static int speed_run(int argc, char **argv)
{
    m2m_error err = {0};
    const char *isa = argc > 2 && strcmp(argv[2], "-") ? argv[2] : NULL;
    backend *be = backend_cpu_open(argc > 1 ? atoi(argv[1]) : 2, isa, &err);
    if (!be) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    const char *how = argc > 4 ? argv[4] : "";   /* exact, words, bytes */
    backend_cpu_exact(be, !strcmp(how, "exact"));
    if (!strcmp(how, "words") || !strcmp(how, "bytes")) backend_cpu_words(be, !strcmp(how, "bytes"));
    printf("%s: %s %s\n", be->name, be->detail, how);
    char text[256];
    for (size_t i = 0; i < sizeof speed_cases / sizeof *speed_cases; i++)
        if (argc <= 3 || !strcmp(argv[3], "-") || strstr(case_text(&speed_cases[i], text, sizeof text), argv[3]))
            speed_case(&speed_cases[i], be);
    be->close(be);
    return 0;
}

#endif
