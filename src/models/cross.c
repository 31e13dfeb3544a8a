#include "models/cross.h"

#include <stdio.h>

/* Index of the token count L among the sizes seen so far. */
static int size_index(cross *c, int64_t tokens)
{
    for (int i = 0; i < c->sizes; i++)
        if (c->size[i] == tokens) return i;
    check(c->sizes < MAX_CROSS_SIZES, "more than %d image sizes in one U-Net", MAX_CROSS_SIZES);
    c->size[c->sizes] = tokens;
    return c->sizes++;
}

static node *keys_of(nn *n, node *h) { return nn_linear(n, "to_k", h, shape_last(h->shape), false); }
static node *values_of(nn *n, node *h) { return nn_linear(n, "to_v", h, shape_last(h->shape), false); }
static node *queries_of(nn *n, node *h) { return nn_linear(n, "to_q", h, shape_last(h->shape), false); }
static node *output_of(nn *n, node *h) { return nn_linear(n, "to_out.0", h, shape_last(h->shape), true); }

/* h = norm2(x): clean rows give keys and values, noisy rows ask; the clean rows of x pass unchanged. */
static node *attend_train(nn *n, cross *c, node *x, node *h, int heads)
{
    graph *g = n->g;
    int64_t clean = (int64_t)c->sets * c->images, noisy = clean * c->draws;
    int64_t tokens = x->shape.dim[1], width = x->shape.dim[2];
    check(x->shape.dim[0] == clean + noisy, "set attention: %lld rows", (long long)x->shape.dim[0]);
    int at = size_index(c, tokens);
    if (!c->lens[at]) c->lens[at] = graph_input(g, "lens", DT_I32, SHAPE(noisy));
    shape joined = SHAPE(c->sets, c->images * tokens, width);
    node *h_clean = slice(g, h, 0, 0, clean);
    node *k = reshape(g, keys_of(n, h_clean), joined);
    node *v = reshape(g, values_of(n, h_clean), joined);
    node *q = queries_of(n, slice(g, h, 0, clean, noisy));
    node *o = output_of(n, nn_queries_attend(n, q, k, v, c->lens[at], heads));
    node *x_noisy = add(g, slice(g, x, 0, clean, noisy), o);
    return concat(g, slice(g, x, 0, 0, clean), x_noisy, 0);
}

/* The queries must be declared although clean images ask nothing: one model, one set of parameters. */
static node *attend_clean(nn *n, cross *c, node *x, node *h)
{
    c->key[c->layers] = keys_of(n, h);
    c->value[c->layers] = values_of(n, h);
    output_of(n, queries_of(n, h));
    return x;
}

static node *branch_input(graph *g, cross_branch *b, node **slot, int64_t tokens, int64_t width)
{
    return *slot = graph_input(g, "context", DT_F32, SHAPE(1, b->slots * tokens, width));
}

static node *attend_cached(nn *n, cross *c, node *x, node *h, int heads)
{
    graph *g = n->g;
    int64_t rows = x->shape.dim[0] / c->n_branches, tokens = x->shape.dim[1], width = x->shape.dim[2];
    int at = size_index(c, tokens);
    node *q = queries_of(n, h), *all = NULL;
    keys_of(n, h), values_of(n, h);
    for (int i = 0; i < c->n_branches; i++) {
        cross_branch *b = &c->branch[i];
        node *k = branch_input(g, b, &b->key[c->layers], tokens, width);
        node *v = branch_input(g, b, &b->value[c->layers], tokens, width);
        if (!b->lens[at]) b->lens[at] = graph_input(g, "lens", DT_I32, SHAPE(rows));
        node *o = nn_queries_attend(n, slice(g, q, 0, i * rows, rows), k, v, b->lens[at], heads);
        all = all ? concat(g, all, o, 0) : o;
    }
    return add(g, output_of(n, all), x);
}

static node *attend_text(nn *n, cross *c, node *x, node *h, int heads)
{
    return add(n->g, nn_attention(n, h, c->tokens, heads, false), x);
}

node *cross_attend(nn *n, cross *c, node *x, int heads)
{
    node *h = nn_layer_norm(n, "norm2", x, 1e-5f), *out = NULL;
    check(c->layers < MAX_CROSS_LAYERS, "more than %d cross-attention layers", MAX_CROSS_LAYERS);
    nn_enter(n, "attn2");
    switch (c->kind) {
    case CROSS_TEXT: out = attend_text(n, c, x, h, heads); break;
    case CROSS_SET_TRAIN: out = attend_train(n, c, x, h, heads); break;
    case CROSS_SET_CLEAN: out = attend_clean(n, c, x, h); break;
    case CROSS_SET_CACHED: out = attend_cached(n, c, x, h, heads); break;
    }
    nn_leave(n, out);
    c->tokens_of[c->layers] = x->shape.dim[1];
    c->width_of[c->layers] = x->shape.dim[2];
    c->layers++;
    return out;
}

size_t cross_bytes_per_image(const cross *c)
{
    size_t bytes = 0;
    for (int i = 0; i < c->layers; i++) bytes += 2 * sizeof(float) * (size_t)(c->tokens_of[i] * c->width_of[i]);
    return bytes;
}

void cross_train_lens(const cross *c, int64_t tokens, int32_t *out)
{
    for (int row = 0; row < c->sets * c->draws * c->images; row++) out[row] = (int32_t)(row % c->images * tokens);
}
