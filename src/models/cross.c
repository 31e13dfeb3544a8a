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

static node *keys_of(nn *n, node *source, int64_t width) { return nn_linear(n, "to_k", source, width, false); }
static node *values_of(nn *n, node *source, int64_t width) { return nn_linear(n, "to_v", source, width, false); }
static node *queries_of(nn *n, node *h) { return nn_linear(n, "to_q", h, shape_last(h->shape), false); }
static node *output_of(nn *n, node *h) { return nn_linear(n, "to_out.0", h, shape_last(h->shape), true); }

/* Keys that an image has in a layer where the U-Net has `tokens`. */
static int64_t keys_per_image(const cross *c, int64_t tokens) { return c->feature_dim ? c->feature_tokens : tokens; }

/* Zero at the start of fine-tuning, so that a condition changes nothing at first. */
static node *add_condition(nn *n, const cross *c, node *x)
{
    int64_t width = shape_last(x->shape);
    if (!c->embedded) return x;
    int64_t in = shape_last(c->embedded->shape);
    nn_enter(n, "attn2.cond_proj");
    node *w = nn_param(n, "weight", SHAPE(width, in), INIT_ZEROS, in);
    node *b = nn_param(n, "bias", SHAPE(width), INIT_ZEROS, in);
    node *h = nn_leave(n, linear_op(n->g, c->embedded, w, b));
    x = repeat_rows(n->g, x, h->shape.dim[0]);
    return add(n->g, x, reshape(n->g, h, SHAPE(x->shape.dim[0], 1, width)));
}

/* h = norm2(x): clean rows or features give keys and values, noisy rows ask; clean rows of x pass unchanged. */
static node *attend_train(nn *n, cross *c, node *x, node *h, int heads)
{
    graph *g = n->g;
    int64_t images = (int64_t)c->sets * c->images, noisy = images * c->draws, clean = c->features ? 0 : images;
    int64_t tokens = keys_per_image(c, x->shape.dim[1]), width = x->shape.dim[2];
    check(x->shape.dim[0] == clean + noisy, "set attention: %lld rows", (long long)x->shape.dim[0]);
    int at = size_index(c, tokens);
    if (!c->lens[at]) c->lens[at] = graph_input(g, "lens", DT_I32, SHAPE(noisy));
    shape joined = SHAPE(c->sets, c->images * tokens, width);
    node *source = c->features ? c->features : slice(g, h, 0, 0, clean);
    node *k = reshape(g, keys_of(n, source, width), joined);
    node *v = reshape(g, values_of(n, source, width), joined);
    node *q = queries_of(n, slice(g, h, 0, clean, noisy));
    node *o = output_of(n, nn_queries_attend(n, q, k, v, c->lens[at], heads));
    node *x_noisy = add(g, slice(g, x, 0, clean, noisy), o);
    return clean ? concat(g, slice(g, x, 0, 0, clean), x_noisy, 0) : x_noisy;
}

/* The queries must be declared although clean images ask nothing: one model, one set of parameters. */
static node *attend_clean(nn *n, cross *c, node *x, node *h)
{
    node *source = c->features ? c->features : h;
    c->key[c->layers] = keys_of(n, source, shape_last(h->shape));
    c->value[c->layers] = values_of(n, source, shape_last(h->shape));
    output_of(n, queries_of(n, h));
    return x;
}

/* The keys' and values' own parameters, which only CROSS_SET_CLEAN uses. */
static void declare_keys(nn *n, const cross *c, int64_t width)
{
    int64_t in = c->feature_dim ? c->feature_dim : width;
    nn_param(n, "to_k.weight", SHAPE(width, in), INIT_UNIFORM, in);
    nn_param(n, "to_v.weight", SHAPE(width, in), INIT_UNIFORM, in);
}

/* What the rows of branch b find in its context. */
static node *read_branch(nn *n, cross *c, cross_branch *b, node *q, int64_t tokens, int heads)
{
    graph *g = n->g;
    if (b->slots == 0) return graph_fill(g, q->shape, 0);
    shape s = SHAPE(1, b->slots * tokens, shape_last(q->shape));
    int at = size_index(c, tokens);
    node *k = b->key[c->layers] = graph_input(g, "context", DT_F32, s);
    node *v = b->value[c->layers] = graph_input(g, "context", DT_F32, s);
    if (!b->lens[at]) b->lens[at] = graph_input(g, "lens", DT_I32, SHAPE(q->shape.dim[0]));
    return nn_queries_attend(n, q, k, v, b->lens[at], heads);
}

static node *attend_cached(nn *n, cross *c, node *x, node *h, int heads)
{
    graph *g = n->g;
    int64_t rows = c->branch_rows, tokens = keys_per_image(c, x->shape.dim[1]);
    node *q = queries_of(n, h), *all = NULL;
    const bool common = q->shape.dim[0] == rows;
    declare_keys(n, c, shape_last(h->shape));
    for (int i = 0; i < c->n_branches; i++) {
        node *mine = common ? q : slice(g, q, 0, i * rows, rows);
        node *o = read_branch(n, c, &c->branch[i], mine, tokens, heads);
        all = all ? concat(g, all, o, 0) : o;
    }
    return add(g, output_of(n, all), repeat_rows(g, x, c->n_branches * rows));
}

static node *attend_text_cached(nn *n, cross *c, node *x, node *h, int heads)
{
    graph *g = n->g;
    const int64_t rows = c->n_branches * c->branch_rows;
    const shape s = SHAPE(c->n_branches, c->feature_tokens, shape_last(h->shape));
    node *q = repeat_rows(g, queries_of(n, h), rows);
    declare_keys(n, c, shape_last(h->shape));
    node *k = c->branch[0].key[c->layers] = graph_input(g, "text", DT_F32, s);
    node *v = c->branch[0].value[c->layers] = graph_input(g, "text", DT_F32, s);
    return add(g, output_of(n, nn_queries_attend(n, q, k, v, NULL, heads)), repeat_rows(g, x, rows));
}

static node *attend_text(nn *n, cross *c, node *x, node *h, int heads)
{
    return add(n->g, nn_attention(n, h, c->tokens, heads, false), x);
}

node *cross_attend(nn *n, cross *c, node *x, int heads)
{
    x = add_condition(n, c, x);
    node *h = nn_layer_norm(n, "norm2", x, 1e-5f), *out = NULL;
    check(c->layers < MAX_CROSS_LAYERS, "more than %d cross-attention layers", MAX_CROSS_LAYERS);
    nn_enter(n, "attn2");
    switch (c->kind) {
    case CROSS_TEXT: out = attend_text(n, c, x, h, heads); break;
    case CROSS_SET_TRAIN: out = attend_train(n, c, x, h, heads); break;
    case CROSS_SET_CLEAN: out = attend_clean(n, c, x, h); break;
    case CROSS_SET_CACHED: out = attend_cached(n, c, x, h, heads); break;
    case CROSS_TEXT_CACHED: out = attend_text_cached(n, c, x, h, heads); break;
    }
    nn_leave(n, out);
    c->tokens_of[c->layers] = keys_per_image(c, x->shape.dim[1]);
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
