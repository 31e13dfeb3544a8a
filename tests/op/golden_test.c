/* Values and gradients of the main ops against PyTorch's (tests/golden/ops), on the fast backend and on the float
 * reference. Images lie channels first in the files; the graph turns them, as models do. */
#include "op/harness.h"
#include "tensor/safetensors.h"

typedef struct golden {
    safetensors *file;
    graph *g;
    node *in[3];               /* as the file has them */
    const char *name[3];
    int count;
    node *lens;                /* of image-set attention, else NULL */
    int64_t images, tokens;    /* of a set; of an image */
} golden;

#define GOLDEN_CONV(s, t, b, l, r) {.stride = s, .pad = {t, b, l, r}}

typedef node *golden_op(golden *t, attr a);

static const tensor *golden_tensor(const golden *t, const char *name)
{
    const tensor *found = safetensors_find(t->file, name);
    if (!found) fail_msg("%s has no %s", safetensors_path(t->file), name);
    return found;
}

static node *golden_in(golden *t, const char *name)
{
    t->name[t->count] = name;
    return t->in[t->count++] = graph_input(t->g, name, DT_F32, golden_tensor(t, name)->shape);
}

static node *op_conv(golden *t, attr a)
{
    node *x = to_channels_last(t->g, golden_in(t, "x")), *w = golden_in(t, "weight"), *b = golden_in(t, "bias");
    return to_channels_first(t->g, conv2d_op(t->g, x, w, b, a.stride, a.pad));
}

static node *op_group(golden *t, attr a)
{
    node *x = to_channels_last(t->g, golden_in(t, "x")), *w = golden_in(t, "weight"), *b = golden_in(t, "bias");
    return to_channels_first(t->g, group_norm_op(t->g, x, w, b, a.groups, a.eps, false));
}

static node *op_layer(golden *t, attr a)
{
    node *x = golden_in(t, "x"), *w = golden_in(t, "weight"), *b = golden_in(t, "bias");
    return layer_norm_op(t->g, x, w, b, a.eps);
}

static node *op_linear(golden *t, attr a)
{
    (void)a;
    node *x = golden_in(t, "input"), *w = golden_in(t, "weight"), *b = golden_in(t, "bias");
    return linear_op(t->g, x, w, b);
}

static node *op_silu(golden *t, attr a) { (void)a; return silu(t->g, golden_in(t, "x")); }
static node *op_gelu(golden *t, attr a) { (void)a; return gelu(t->g, golden_in(t, "x")); }
static node *op_geglu(golden *t, attr a) { (void)a; return geglu(t->g, golden_in(t, "x")); }

static node *op_upsample(golden *t, attr a)
{
    node *x = to_channels_last(t->g, golden_in(t, "x"));
    return to_channels_first(t->g, resize_nearest(t->g, x, a.shape.dim[0], a.shape.dim[1]));
}

/* [B,heads,L,D] <-> [B,L,heads*D] */
static node *join_heads(graph *g, node *x)
{
    const shape s = x->shape;
    return reshape(g, permute(g, x, (int[]){0, 2, 1, 3}), SHAPE(s.dim[0], s.dim[2], s.dim[1] * s.dim[3]));
}

static node *split_heads(graph *g, node *x, int64_t heads)
{
    const shape s = x->shape;
    return permute(g, reshape(g, x, SHAPE(s.dim[0], s.dim[1], heads, s.dim[2] / heads)), (int[]){0, 2, 1, 3});
}

static node *op_attention(golden *t, attr a)
{
    (void)a;
    node *q = golden_in(t, "q"), *k = golden_in(t, "k"), *v = golden_in(t, "v");
    const int heads = (int)q->shape.dim[1];
    const float scaling = 1 / sqrtf((float)q->shape.dim[3]);
    node *y = attention_op(t->g, join_heads(t->g, q), join_heads(t->g, k), join_heads(t->g, v), NULL, heads, scaling);
    return split_heads(t->g, y, heads);
}

/* [S,N,heads,L,D] -> [rows, S*N*L/rows, heads*D] */
static node *set_tokens(graph *g, node *x, int64_t rows)
{
    const shape s = x->shape;
    node *y = permute(g, x, (int[]){0, 1, 3, 2, 4});
    return reshape(g, y, SHAPE(rows, s.dim[0] * s.dim[1] * s.dim[3] / rows, s.dim[2] * s.dim[4]));
}

/* Noisy image i sees the clean images before it: the first i * L keys of its set. */
static node *op_set_attention(golden *t, attr a)
{
    (void)a;
    graph *g = t->g;
    node *q = golden_in(t, "q"), *k = golden_in(t, "k"), *v = golden_in(t, "v");
    const shape s = q->shape;
    const int64_t sets = s.dim[0], rows = sets * s.dim[1];
    t->images = s.dim[1];
    t->tokens = s.dim[3];
    t->lens = graph_input(g, "lens", DT_I32, SHAPE(rows));
    node *y = attention_op(g, set_tokens(g, q, rows), set_tokens(g, k, sets), set_tokens(g, v, sets), t->lens,
                           (int)s.dim[2], 1 / sqrtf((float)s.dim[4]));
    return permute(g, reshape(g, y, SHAPE(sets, s.dim[1], s.dim[3], s.dim[2], s.dim[4])), (int[]){0, 1, 3, 2, 4});
}

static void golden_write_lens(const golden *t, exec *x)
{
    m2m_error err = {0};
    int32_t lens[64];
    const int64_t rows = shape_count(t->lens->shape);
    assert_true(rows <= 64);
    for (int64_t i = 0; i < rows; i++) lens[i] = (int32_t)(i % t->images * t->tokens);
    must(exec_write_i32(x, t->lens, lens, &err), &err);
}

static const struct {
    const char *name;
    golden_op *op;
    attr a;
} goldens[] = {
    {"conv3x3", op_conv, GOLDEN_CONV(1, 1, 1, 1, 1)},
    {"conv1x1", op_conv, GOLDEN_CONV(1, 0, 0, 0, 0)},
    {"conv3x3_stride2", op_conv, GOLDEN_CONV(2, 1, 1, 1, 1)},
    {"conv3x3_stride2_even", op_conv, GOLDEN_CONV(2, 1, 1, 1, 1)},
    {"conv3x3_vae_downsample", op_conv, GOLDEN_CONV(2, 0, 1, 0, 1)},
    {"conv3x3_vae_downsample_odd", op_conv, GOLDEN_CONV(2, 0, 1, 0, 1)},
    {"group_norm", op_group, {.groups = 4, .eps = 1e-5f}},
    {"group_norm_eps6_one_channel", op_group, {.groups = 6, .eps = 1e-6f}},
    {"layer_norm", op_layer, {.eps = 1e-5f}},
    {"linear", op_linear, {.axis = 0}},
    {"silu", op_silu, {.axis = 0}},
    {"gelu", op_gelu, {.axis = 0}},
    {"geglu", op_geglu, {.axis = 0}},
    {"attention", op_attention, {.axis = 0}},
    {"attention_d64", op_attention, {.axis = 0}},
    {"image_set_attention", op_set_attention, {.axis = 0}},
    {"upsample_nearest_2x", op_upsample, {.shape = S(8, 10)}},
    {"upsample_nearest_size", op_upsample, {.shape = S(5, 7)}},
};

static void golden_compare(const char *what, const char *part, const exec *x, const node *n, const tensor *want)
{
    const int64_t count = shape_count(want->shape);
    float *have = malloc((size_t)count * sizeof *have);
    const float *w = want->data;
    double top = 0;
    assert_non_null(have);
    assert_int_equal(shape_count(n->shape), count);
    exec_read(x, n, have);
    for (int64_t i = 0; i < count; i++) top = fmax(top, fabs((double)w[i]));
    for (int64_t i = 0; i < count; i++)
        if (!(fabs((double)have[i] - w[i]) <= 5e-6 * (1 + top)))
            fail_msg("%s, %s[%lld]: %.8g, PyTorch has %.8g", what, part, (long long)i, have[i], w[i]);
    free(have);
}

static void golden_run(size_t i, backend *be)
{
    m2m_error err = {0};
    char path[512], grad[32];
    golden t = {.g = graph_new()};
    snprintf(path, sizeof path, "%s/golden/ops/%s.safetensors", TEST_DIR, goldens[i].name);
    must(safetensors_open(&t.file, path, &err), &err);
    node *y = goldens[i].op(&t, goldens[i].a), *dy = graph_input(t.g, "dy", DT_F32, golden_tensor(&t, "dy")->shape);
    node *loss = sum_to(t.g, mul(t.g, y, dy), SHAPE(1)), *outputs[5] = {y, loss};
    must(graph_gradients(t.g, loss, t.in, t.count, outputs + 2, &err), &err);
    exec *x = exec_new(t.g, be, outputs, 2 + t.count, &err);
    if (!x) fail_msg("%s", err.msg);
    for (int k = 0; k < t.count; k++) must(exec_write(x, t.in[k], golden_tensor(&t, t.name[k])->data, &err), &err);
    must(exec_write(x, dy, golden_tensor(&t, "dy")->data, &err), &err);
    if (t.lens) golden_write_lens(&t, x);
    must(exec_run(x, &err), &err);
    golden_compare(goldens[i].name, "y", x, y, golden_tensor(&t, "y"));
    for (int k = 0; k < t.count; k++) {
        snprintf(grad, sizeof grad, "d%s", t.name[k]);
        golden_compare(goldens[i].name, grad, x, outputs[2 + k], golden_tensor(&t, grad));
    }
    exec_free(x);
    graph_free(t.g);
    safetensors_close(&t.file);
}

static void test_fast(void **state)
{
    (void)state;
    m2m_error err = {0};
    backend *be = backend_cpu_open(2, NULL, &err);
    if (!be) fail_msg("%s", err.msg);
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) golden_run(i, be);
    be->close(be);
}

static void test_reference(void **state)
{
    (void)state;
    backend *be = backend_reference_open(false);
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) golden_run(i, be);
    be->close(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fast), cmocka_unit_test(test_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
