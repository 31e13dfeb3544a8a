#include "nn/layers.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int nn_begin(nn *n, paramset *params, m2m_error *err)
{
    memset(n, 0, sizeof *n);
    n->params = params;
    n->g = graph_new();
    return n->g ? 0 : fail(err, M2M_ENOMEM, "no memory for a graph");
}

int nn_finish(const nn *n, m2m_error *err)
{
    if (n->failed) return fail(err, M2M_ENOMEM, "no memory for the parameters of a graph");
    return graph_error(n->g, err);
}

void nn_end(nn *n)
{
    free(n->nodes);
    graph_free(n->g);
    memset(n, 0, sizeof *n);
}

void nn_enter(nn *n, const char *fmt, ...)
{
    size_t at = strlen(n->path);
    if (at) n->path[at++] = '.';
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(n->path + at, sizeof n->path - at, fmt, ap);
    va_end(ap);
    check(len > 0 && (size_t)len < sizeof n->path - at, "layer path too long: %s", n->path);
    /* a level's own dots ("resnets.0") are told from the separator by this mark, which never leaves the struct */
    for (char *c = n->path + at; *c; c++)
        if (*c == '.') *c = '\1';
}

node *nn_leave(nn *n, node *x)
{
    char *dot = strrchr(n->path, '.');
    *(dot ? dot : n->path) = '\0';
    return x;
}

static void full_name(const nn *n, const char *name, char *buf, size_t size)
{
    int len = snprintf(buf, size, "%s%s%s", n->path, *n->path ? "." : "", name);
    check(len > 0 && (size_t)len < size, "parameter path too long: %s", name);
    for (char *c = buf; *c; c++)
        if (*c == '\1') *c = '.';
}

static node *node_of(nn *n, param *p)
{
    if (p->index >= n->capacity) {
        int capacity = p->index + 256;
        node **nodes = realloc(n->nodes, (size_t)capacity * sizeof *nodes);
        if (!nodes) return n->failed = true, graph_fill(n->g, p->shape, 0);
        memset(nodes + n->capacity, 0, (size_t)(capacity - n->capacity) * sizeof *nodes);
        n->nodes = nodes;
        n->capacity = capacity;
    }
    if (!n->nodes[p->index]) n->nodes[p->index] = graph_param(n->g, p);
    return n->nodes[p->index];
}

node *nn_param(nn *n, const char *name, shape s, int init, int64_t fan_in)
{
    char path[600];
    full_name(n, name, path, sizeof path);
    param *p = paramset_declare(n->params, path, s, init, fan_in);
    if (!p) return n->failed = true, graph_fill(n->g, s, 0);
    return node_of(n, p);
}

node *nn_linear(nn *n, const char *name, node *x, int64_t out, bool bias)
{
    int64_t in = shape_last(x->shape);
    nn_enter(n, "%s", name);
    node *w = nn_param(n, "weight", SHAPE(out, in), INIT_UNIFORM, in);
    node *b = bias ? nn_param(n, "bias", SHAPE(out), INIT_UNIFORM, in) : NULL;
    return nn_leave(n, linear_op(n->g, x, w, b));
}

static node *conv(nn *n, const char *name, node *x, int64_t out, int height, int width, int stride, const int pad[4])
{
    int64_t in = shape_last(x->shape), fan_in = in * height * width;
    nn_enter(n, "%s", name);
    node *w = nn_param(n, "weight", SHAPE(out, in, height, width), INIT_UNIFORM, fan_in);
    node *b = nn_param(n, "bias", SHAPE(out), INIT_UNIFORM, fan_in);
    return nn_leave(n, conv2d_op(n->g, x, w, b, stride, pad));
}

node *nn_conv(nn *n, const char *name, node *x, int64_t out, int kernel, int stride, int pad)
{
    return conv(n, name, x, out, kernel, kernel, stride, (int[4]){pad, pad, pad, pad});
}

node *nn_conv_down_asymmetric(nn *n, const char *name, node *x, int64_t out)
{
    return conv(n, name, x, out, 3, 3, 2, (int[4]){0, 1, 0, 1});
}

node *nn_conv_band(nn *n, const char *name, node *x, int64_t out, bool first, bool last)
{
    return conv(n, name, x, out, 3, 3, 1, (int[4]){first, last, 1, 1});
}

node *nn_conv_oblong(nn *n, const char *name, node *x, int64_t out, int height, int width)
{
    const int pad[4] = {height / 2, height / 2, width / 2, width / 2};
    return conv(n, name, x, out, height, width, 1, pad);
}

static void affine(nn *n, int64_t c, node **w, node **b)
{
    *w = nn_param(n, "weight", SHAPE(c), INIT_ONES, c);
    *b = nn_param(n, "bias", SHAPE(c), INIT_ZEROS, c);
}

node *nn_group_norm(nn *n, const char *name, node *x, int groups, float eps, bool with_silu)
{
    node *w, *b;
    nn_enter(n, "%s", name);
    affine(n, shape_last(x->shape), &w, &b);
    return nn_leave(n, group_norm_op(n->g, x, w, b, groups, eps, with_silu));
}

node *nn_group_norm_band(nn *n, const char *name, node *x, node *stats, int groups)
{
    node *w, *b;
    nn_enter(n, "%s", name);
    affine(n, shape_last(x->shape), &w, &b);
    return nn_leave(n, group_norm_by_op(n->g, x, w, b, stats, groups, true));
}

node *nn_layer_norm(nn *n, const char *name, node *x, float eps)
{
    node *w, *b;
    nn_enter(n, "%s", name);
    affine(n, shape_last(x->shape), &w, &b);
    return nn_leave(n, layer_norm_op(n->g, x, w, b, eps));
}

node *nn_resnet(nn *n, node *x, node *temb_silu, int64_t out, int groups, float eps)
{
    graph *g = n->g;
    node *h = nn_group_norm(n, "norm1", x, groups, eps, true);
    h = nn_conv(n, "conv1", h, out, 3, 1, 1);
    if (temb_silu) {
        node *t = nn_linear(n, "time_emb_proj", temb_silu, out, true);            /* [B,out] */
        h = add(g, h, reshape(g, t, SHAPE(t->shape.dim[0], 1, 1, out)));
    }
    h = nn_group_norm(n, "norm2", h, groups, eps, true);
    h = nn_conv(n, "conv2", h, out, 3, 1, 1);
    if (shape_last(x->shape) != out) x = nn_conv(n, "conv_shortcut", x, out, 1, 1, 0);
    return add(g, h, x);
}

node *nn_timestep_mlp(nn *n, const char *name, node *x, int64_t hidden, int64_t out)
{
    nn_enter(n, "%s", name);
    node *h = silu(n->g, nn_linear(n, "linear_1", x, hidden, true));
    return nn_leave(n, nn_linear(n, "linear_2", h, out, true));
}

node *nn_queries_attend(nn *n, node *q, node *k, node *v, node *lens, int heads)
{
    float scaling = 1.0f / sqrtf((float)(shape_last(q->shape) / heads));
    return attention_op(n->g, q, k, v, lens, heads, scaling);
}

node *nn_attention(nn *n, node *h, node *keys, int heads, bool qkv_bias)
{
    int64_t c = shape_last(h->shape);
    node *q = nn_linear(n, "to_q", h, c, qkv_bias);
    node *k = nn_linear(n, "to_k", keys, c, qkv_bias);
    node *v = nn_linear(n, "to_v", keys, c, qkv_bias);
    return nn_linear(n, "to_out.0", nn_queries_attend(n, q, k, v, NULL, heads), c, true);
}

node *nn_feed_forward(nn *n, const char *name, node *x)
{
    int64_t c = shape_last(x->shape);
    nn_enter(n, "%s", name);
    node *h = geglu(n->g, nn_linear(n, "net.0.proj", x, 8 * c, true));             /* [B,L,4C] */
    return nn_leave(n, nn_linear(n, "net.2", h, c, true));
}

int nn_gradients(nn *n, node *loss, node **grads, m2m_error *err)
{
    int count = paramset_count(n->params), wanted = 0, status;
    node **wrt = calloc(2 * (size_t)count + 1, sizeof *wrt);
    if (!wrt || n->failed) {
        free(wrt);
        return fail(err, M2M_ENOMEM, "no memory for the gradients of %d parameters", count);
    }
    node **found = wrt + count;
    for (int i = 0; i < count; i++)
        if (i < n->capacity && n->nodes[i] && n->nodes[i]->param->trainable) wrt[wanted++] = n->nodes[i];
    status = graph_gradients(n->g, loss, wrt, wanted, found, err);
    memset(grads, 0, (size_t)count * sizeof *grads);
    for (int i = 0; i < wanted && !status; i++) grads[wrt[i]->param->index] = found[i];
    free(wrt);
    return status;
}
