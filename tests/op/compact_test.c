/* Weights that are packed at every use (a full-size model in 16 bits, lib/model.c) give the bits of kept ones. */
#include "base/rng.h"
#include "nn/layers.h"
#include "op/harness.h"

enum { SIDE = 8, WIDTH = 32, RUNS = 2, WIDE = 4112 };   /* passes of fast_linear.inc.c: to WIDE three, back two */

static void fill(param *p, dtype type, uint64_t stream)
{
    const int64_t n = shape_count(p->shape);
    float *drawn = malloc((size_t)n * sizeof *drawn);
    p->data = malloc((size_t)n * dtype_size(type));
    assert_true(drawn && p->data);
    rng_normal(11, RNG_NOISE, stream, drawn, n);
    p->type = type;
    from_f32(p->data, drawn, type, n);
    free(drawn);
}

/* 3x3 (Winograd unless exact), 1x1 and strided convolution, linear alone and with GEGLU. */
static node *net(nn *n, node *x)
{
    x = nn_conv(n, "square", x, WIDTH, 3, 1, 1);
    x = nn_conv(n, "point", x, WIDTH, 1, 1, 0);
    x = nn_conv(n, "down", x, WIDTH, 3, 2, 1);
    x = nn_linear(n, "line", x, 2 * WIDTH, true);
    x = nn_linear(n, "wide", x, 2 * WIDE, true);
    x = geglu(n->g, x);
    return nn_linear(n, "back", x, 2 * WIDTH, true);
}

static void run(dtype type, bool compact, bool exact, float *out)
{
    m2m_error err = {0};
    paramset *params = paramset_new();
    backend *be = backend_cpu_open(2, NULL, &err);
    assert_true(params && be);
    backend_cpu_exact(be, exact);
    nn n;
    must(nn_begin(&n, params, &err), &err);
    node *x = graph_input(n.g, "x", DT_F32, SHAPE(1, SIDE, SIDE, WIDTH)), *y = net(&n, x);
    must(nn_finish(&n, &err), &err);
    for (int i = 0; i < paramset_count(params); i++) {
        fill(paramset_at(params, i), type, (uint64_t)i);
        paramset_at(params, i)->compact = compact;
    }
    exec *e = exec_new(n.g, be, &y, 1, &err);
    if (!e) fail_msg("%s", err.msg);
    float in[SIDE * SIDE * WIDTH];
    rng_normal(12, RNG_NOISE, 0, in, SIDE * SIDE * WIDTH);
    must(exec_write(e, x, in, &err), &err);
    for (int k = 0; k < RUNS; k++) must(exec_run(e, &err), &err);
    exec_read(e, y, out);
    exec_free(e);
    nn_end(&n);
    for (int i = 0; i < paramset_count(params); i++) free(paramset_at(params, i)->data);
    paramset_free(params);
    be->close(be);
}

static void packed_at_use_they_give_the_kept_ones_bits(void **state)
{
    (void)state;
    static const dtype types[] = {DT_F16, DT_BF16, DT_F32};
    enum { N = SIDE / 2 * SIDE / 2 * 2 * WIDTH };
    float kept[N], packed[N];
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (int exact = 0; exact < 2; exact++) {
            run(types[t], false, exact, kept);
            run(types[t], true, exact, packed);
            if (memcmp(kept, packed, sizeof kept)) fail_msg("type %zu, exact %d: other bits", t, exact);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(packed_at_use_they_give_the_kept_ones_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
