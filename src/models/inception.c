#include "models/inception.h"

#include "models/component.h"
#include "tensor/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the network, in torchvision's names ---- */

/* A BasicConv2d without its batch norm, which is in the convolution. */
static node *end_block(nn *n, node *x) { return nn_leave(n, clamp(n->g, x, 0, INFINITY)); }

static node *square(nn *n, const char *name, node *x, int64_t out, int side, int stride, int pad)
{
    nn_enter(n, "%s", name);
    return end_block(n, nn_conv(n, "conv", x, out, side, stride, pad));
}

static node *one(nn *n, const char *name, node *x, int64_t out) { return square(n, name, x, out, 1, 1, 0); }
static node *same(nn *n, const char *name, node *x, int64_t out) { return square(n, name, x, out, 3, 1, 1); }
static node *half(nn *n, const char *name, node *x, int64_t out) { return square(n, name, x, out, 3, 2, 0); }

static node *oblong(nn *n, const char *name, node *x, int64_t out, int height, int width)
{
    nn_enter(n, "%s", name);
    return end_block(n, nn_conv_oblong(n, "conv", x, out, height, width));
}

static node *join(nn *n, node *a, node *b) { return concat(n->g, a, b, -1); }
static node *mean_around(nn *n, node *x) { return window_mean(n->g, x, 3, 1, 1); }

static node *block_a(nn *n, const char *name, node *x, int64_t pooled)
{
    nn_enter(n, "%s", name);
    node *y = one(n, "branch1x1", x, 64);
    y = join(n, y, square(n, "branch5x5_2", one(n, "branch5x5_1", x, 48), 64, 5, 1, 2));
    node *b = same(n, "branch3x3dbl_2", one(n, "branch3x3dbl_1", x, 64), 96);
    y = join(n, y, same(n, "branch3x3dbl_3", b, 96));
    return nn_leave(n, join(n, y, one(n, "branch_pool", mean_around(n, x), pooled)));
}

static node *block_b(nn *n, const char *name, node *x)
{
    nn_enter(n, "%s", name);
    node *y = half(n, "branch3x3", x, 384);
    node *b = same(n, "branch3x3dbl_2", one(n, "branch3x3dbl_1", x, 64), 96);
    y = join(n, y, half(n, "branch3x3dbl_3", b, 96));
    return nn_leave(n, join(n, y, window_max(n->g, x, 3, 2, 0)));
}

static node *block_c(nn *n, const char *name, node *x, int64_t width)
{
    nn_enter(n, "%s", name);
    node *y = one(n, "branch1x1", x, 192);
    node *b = oblong(n, "branch7x7_2", one(n, "branch7x7_1", x, width), width, 1, 7);
    y = join(n, y, oblong(n, "branch7x7_3", b, 192, 7, 1));
    b = oblong(n, "branch7x7dbl_2", one(n, "branch7x7dbl_1", x, width), width, 7, 1);
    b = oblong(n, "branch7x7dbl_3", b, width, 1, 7);
    b = oblong(n, "branch7x7dbl_4", b, width, 7, 1);
    y = join(n, y, oblong(n, "branch7x7dbl_5", b, 192, 1, 7));
    return nn_leave(n, join(n, y, one(n, "branch_pool", mean_around(n, x), 192)));
}

static node *block_d(nn *n, const char *name, node *x)
{
    nn_enter(n, "%s", name);
    node *y = half(n, "branch3x3_2", one(n, "branch3x3_1", x, 192), 320);
    node *b = oblong(n, "branch7x7x3_2", one(n, "branch7x7x3_1", x, 192), 192, 1, 7);
    b = oblong(n, "branch7x7x3_3", b, 192, 7, 1);
    y = join(n, y, half(n, "branch7x7x3_4", b, 192));
    return nn_leave(n, join(n, y, window_max(n->g, x, 3, 2, 0)));
}

static node *block_e(nn *n, const char *name, node *x, node *pooled)
{
    nn_enter(n, "%s", name);
    node *y = one(n, "branch1x1", x, 320);
    node *b = one(n, "branch3x3_1", x, 384);
    y = join(n, y, oblong(n, "branch3x3_2a", b, 384, 1, 3));
    y = join(n, y, oblong(n, "branch3x3_2b", b, 384, 3, 1));
    b = same(n, "branch3x3dbl_2", one(n, "branch3x3dbl_1", x, 448), 384);
    y = join(n, y, oblong(n, "branch3x3dbl_3a", b, 384, 1, 3));
    y = join(n, y, oblong(n, "branch3x3dbl_3b", b, 384, 3, 1));
    return nn_leave(n, join(n, y, one(n, "branch_pool", pooled, 192)));
}

static node *network(nn *n, node *x)
{
    graph *g = n->g;
    x = half(n, "Conv2d_1a_3x3", x, 32);
    x = square(n, "Conv2d_2a_3x3", x, 32, 3, 1, 0);
    x = window_max(g, same(n, "Conv2d_2b_3x3", x, 64), 3, 2, 0);
    x = one(n, "Conv2d_3b_1x1", x, 80);
    x = window_max(g, square(n, "Conv2d_4a_3x3", x, 192, 3, 1, 0), 3, 2, 0);
    x = block_a(n, "Mixed_5b", x, 32);
    x = block_a(n, "Mixed_5c", x, 64);
    x = block_a(n, "Mixed_5d", x, 64);
    x = block_b(n, "Mixed_6a", x);
    x = block_c(n, "Mixed_6b", x, 128);
    x = block_c(n, "Mixed_6c", x, 160);
    x = block_c(n, "Mixed_6d", x, 160);
    x = block_c(n, "Mixed_6e", x, 192);
    x = block_d(n, "Mixed_7a", x);
    x = block_e(n, "Mixed_7b", x, mean_around(n, x));
    x = block_e(n, "Mixed_7c", x, window_max(g, x, 3, 1, 1));      /* as in TensorFlow's graph of 2015 */
    const int64_t batch = x->shape.dim[0], pixels = x->shape.dim[1] * x->shape.dim[2], width = shape_last(x->shape);
    x = scale(g, sum_to(g, x, SHAPE(batch, 1, 1, width)), 1 / (float)pixels, 0);
    return reshape(g, x, SHAPE(batch, width));
}

int inception_graph_build(inception_graph *t, const inception_model *m, int batch, int height, int width,
                          m2m_error *err)
{
    memset(t, 0, sizeof *t);
    if (height < INCEPTION_LEAST || width < INCEPTION_LEAST)
        return fail(err, M2M_ESHAPE, "an image of %dx%d pixels, wanted %d or more a side", width, height,
                    (int)INCEPTION_LEAST);
    int status = nn_begin(&t->n, m->params, err);
    if (status) return status;
    t->g = t->n.g;
    t->pixels = graph_input(t->g, "pixel_values", DT_F32, SHAPE(batch, 3, height, width));
    t->features = network(&t->n, to_channels_last(t->g, t->pixels));
    const int64_t in = shape_last(t->features->shape);
    nn_enter(&t->n, "fc");
    node *w = nn_param(&t->n, "weight", SHAPE(m->classes, in), INIT_UNIFORM, in);
    node *b = nn_param(&t->n, "bias", SHAPE(m->classes), INIT_UNIFORM, in);
    t->logits_unbiased = linear_op(t->g, t->features, w, NULL);
    t->logits = nn_leave(&t->n, add(t->g, t->logits_unbiased, b));
    return nn_finish(&t->n, err);
}

void inception_graph_free(inception_graph *t)
{
    nn_end(&t->n);
    memset(t, 0, sizeof *t);
}

/* ---- weights ---- */

static const float BN_EPS = 1e-3f;

typedef struct source {
    const weights *w;
    const char *dir;
} source;

/* New floats of "<stem><end>" with that shape. NULL: *err tells. */
static float *read_tensor(source *s, const char *stem, size_t n, const char *end, shape wanted, m2m_error *err)
{
    char name[300], found[80], text[80];
    snprintf(name, sizeof name, "%.*s%s", (int)n, stem, end);
    const tensor *t = weights_find(s->w, name);
    shape_text(wanted, text, sizeof text);
    if (!t) return fail(err, M2M_ESHAPE, "%s: tensor %s %s is missing", s->dir, name, text), NULL;
    if (!shape_equal(t->shape, wanted) || !dtype_is_float(t->type)) {
        fail(err, M2M_ESHAPE, "%s: tensor %s is %s %s, wanted floats %s", s->dir, name, dtype_name(t->type),
             shape_text(t->shape, found, sizeof found), text);
        return NULL;
    }
    float *data = malloc((size_t)shape_count(wanted) * sizeof *data);
    if (!data) return fail(err, M2M_ENOMEM, "%s: no memory for tensor %s", s->dir, name), NULL;
    to_f32(data, t->data, t->type, shape_count(wanted));
    return data;
}

/* The convolution "<stem>.conv" and the batch norm "<stem>.bn" after it as one convolution with a bias. */
static int fold(source *s, paramset *params, param *w, m2m_error *err)
{
    static const char *const ends[] = {".conv.weight", ".bn.weight", ".bn.bias", ".bn.running_mean", ".bn.running_var"};
    const size_t stem = strlen(w->name) - strlen(".conv.weight");
    const int64_t out = w->shape.dim[0], each = shape_count(w->shape) / out;
    char name[300];
    float *from[5] = {NULL};
    snprintf(name, sizeof name, "%.*s.conv.bias", (int)stem, w->name);
    param *b = paramset_find(params, name);
    check(b, "%s has no bias", w->name);
    int status = 0;
    for (int i = 0; i < 5 && !status; i++) {
        from[i] = read_tensor(s, w->name, stem, ends[i], i ? SHAPE(out) : w->shape, err);
        if (!from[i]) status = M2M_ESHAPE;
    }
    float *taps = status ? NULL : param_new_f32(w, err), *bias = taps ? param_new_f32(b, err) : NULL;
    if (!status && !bias) status = M2M_ENOMEM;
    for (int64_t o = 0; o < out && !status; o++) {
        const double factor = from[1][o] / sqrt((double)from[4][o] + BN_EPS);
        for (int64_t i = 0; i < each; i++) taps[o * each + i] = (float)(from[0][o * each + i] * factor);
        bias[o] = (float)(from[2][o] - from[3][o] * factor);
    }
    for (int i = 0; i < 5; i++) free(from[i]);
    return status;
}

static int take_plain(source *s, param *p, m2m_error *err)
{
    float *from = read_tensor(s, p->name, strlen(p->name), "", p->shape, err);
    if (!from) return M2M_ESHAPE;
    float *to = param_new_f32(p, err);
    if (to) memcpy(to, from, (size_t)shape_count(p->shape) * sizeof *to);
    free(from);
    return to ? 0 : M2M_ENOMEM;
}

static bool ends_with(const char *name, const char *end)
{
    const size_t a = strlen(name), b = strlen(end);
    return a >= b && !strcmp(name + a - b, end);
}

/* Whether a tensor of the file is one that the network reads. */
static bool is_known(const paramset *params, const char *name)
{
    const char *bn = strstr(name, ".bn.");
    char conv[300];
    if (!bn) return paramset_find(params, name) && !ends_with(name, ".conv.bias");
    snprintf(conv, sizeof conv, "%.*s.conv.weight", (int)(bn - name), name);
    return paramset_find(params, conv) != NULL;
}

static int all_known(const source *s, const paramset *params, m2m_error *err)
{
    for (int i = 0; i < weights_count(s->w); i++) {
        const char *name = weights_name(s->w, i);
        if (ends_with(name, ".num_batches_tracked") || !strncmp(name, "AuxLogits.", 10)) continue;
        if (!is_known(params, name))
            return fail(err, M2M_ESHAPE, "%s: tensor %s is not part of Inception-v3", s->dir, name);
    }
    return 0;
}

static int fill(inception_model *m, source *s, m2m_error *err)
{
    const tensor *fc = weights_find(s->w, "fc.weight");
    if (!fc || fc->shape.rank != 2 || fc->shape.dim[0] < 1 || fc->shape.dim[0] > 1 << 20)
        return fail(err, M2M_ESHAPE, "%s: tensor fc.weight [1008, 2048] is missing or has no two dimensions", s->dir);
    m->classes = (int)fc->shape.dim[0];
    inception_graph t;
    int status = inception_graph_build(&t, m, 1, INCEPTION_LEAST, INCEPTION_LEAST, err);
    inception_graph_free(&t);
    if (!status) status = all_known(s, m->params, err);
    for (int i = 0; i < paramset_count(m->params) && !status; i++) {
        param *p = paramset_at(m->params, i);
        if (ends_with(p->name, ".conv.weight")) status = fold(s, m->params, p, err);
        else if (!ends_with(p->name, ".conv.bias")) status = take_plain(s, p, err);
    }
    return status;
}

int inception_open(inception_model *m, const char *dir, m2m_error *err)
{
    weights *w = NULL;
    char *inner = component_dir(dir, "inception");
    *m = (inception_model){.params = paramset_new()};
    int status = inner && m->params ? weights_open(&w, inner, err) : fail(err, M2M_ENOMEM, "%s: no memory", dir);
    if (!status) status = fill(m, &(source){.w = w, .dir = inner}, err);
    weights_close(&w);
    free(inner);
    if (status) inception_close(m);
    return status;
}

void inception_close(inception_model *m)
{
    paramset_free(m->params);
    *m = (inception_model){0};
}
