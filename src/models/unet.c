#include "models/unet.h"

typedef struct builder {
    nn *n;
    const unet_config *u;
    cross *c;
    node *temb;       /* [B,E], SiLU applied */
    bool recompute;
    unet_deep *deep;
    node *skip[MAX_BLOCKS * 8];
    int skips;
} builder;

static void begin_segment(builder *b)
{
    if (b->recompute) graph_segment_begin(b->n->g);
}

static void end_segment(builder *b)
{
    if (b->recompute) graph_segment_end(b->n->g);
}

/* BasicTransformerBlock: x [B,L,C]. */
static node *transformer_block(builder *b, node *x, int heads)
{
    nn *n = b->n;
    node *h = nn_layer_norm(n, "norm1", x, 1e-5f);
    nn_enter(n, "attn1");
    x = add(n->g, nn_leave(n, nn_attention(n, h, h, heads, false)), x);
    x = cross_attend(n, b->c, x, heads);
    h = nn_layer_norm(n, "norm3", x, 1e-5f);
    return add(n->g, nn_feed_forward(n, "ff", h), x);
}

/* Transformer2DModel: x [B,H,W,C]. As a convolution or as a linear layer, proj_in sees the same [B*H*W,C] matrix. */
static node *transformer(builder *b, const char *name, int index, node *x, int level)
{
    nn *n = b->n;
    graph *g = n->g;
    bool linear = b->u->linear_projection;
    int64_t c = shape_last(x->shape);
    shape tokens = SHAPE(x->shape.dim[0], x->shape.dim[1] * x->shape.dim[2], c);
    nn_enter(n, "%s.%d", name, index);
    node *h = nn_group_norm(n, "norm", x, b->u->groups, 1e-6f, false);
    h = linear ? nn_linear(n, "proj_in", h, c, true) : nn_conv(n, "proj_in", h, c, 1, 1, 0);
    h = reshape(g, h, tokens);
    for (int k = 0; k < b->u->depth[level]; k++) {
        nn_enter(n, "transformer_blocks.%d", k);
        begin_segment(b);
        h = nn_leave(n, transformer_block(b, h, b->u->heads[level]));
        end_segment(b);
    }
    h = reshape(g, h, SHAPE(h->shape.dim[0], x->shape.dim[1], x->shape.dim[2], c));
    h = linear ? nn_linear(n, "proj_out", h, c, true) : nn_conv(n, "proj_out", h, c, 1, 1, 0);
    return nn_leave(n, add(g, h, repeat_rows(g, x, h->shape.dim[0])));
}

static node *resnet(builder *b, int index, node *x, int out)
{
    nn_enter(b->n, "resnets.%d", index);
    begin_segment(b);
    x = nn_resnet(b->n, x, b->temb, out, b->u->groups, b->u->eps);
    end_segment(b);
    return nn_leave(b->n, x);
}

static node *push(builder *b, node *x)
{
    check(b->skips < MAX_BLOCKS * 8, "too many skip connections");
    return b->skip[b->skips++] = x;
}

static node *down_block(builder *b, int i, node *x)
{
    const unet_config *u = b->u;
    nn_enter(b->n, "down_blocks.%d", i);
    for (int j = 0; j < u->layers[i]; j++) {
        x = resnet(b, j, x, u->width[i]);
        if (u->down_cross[i]) x = transformer(b, "attentions", j, x, i);
        push(b, x);
    }
    if (i + 1 < u->blocks) {
        nn_enter(b->n, "downsamplers.0");
        x = push(b, nn_leave(b->n, nn_conv(b->n, "conv", x, u->width[i], 3, 2, 1)));
    }
    return nn_leave(b->n, x);
}

static node *mid_block(builder *b, node *x)
{
    int last = b->u->blocks - 1, width = b->u->width[last];
    nn_enter(b->n, "mid_block");
    x = resnet(b, 0, x, width);
    if (b->u->mid_cross) x = transformer(b, "attentions", 0, x, last);
    return nn_leave(b->n, resnet(b, 1, x, width));
}

/* Skip connections of a step that is given its deep feature: conv_in's and the first layer's. */
enum { SHALLOW_SKIPS = 2 };

static node *deep_feature(builder *b, node *x)
{
    if (!b->deep || b->skips != SHALLOW_SKIPS) return x;
    if (b->deep->given) x = graph_input(b->n->g, "deep", DT_F32, x->shape);
    return b->deep->feature = x;
}

/* i counts from the deepest block, as the checkpoint's names do. */
static node *up_block(builder *b, int i, node *x)
{
    const unet_config *u = b->u;
    int level = u->blocks - 1 - i;
    nn_enter(b->n, "up_blocks.%d", i);
    for (int j = 0; j <= u->layers[level]; j++) {
        x = deep_feature(b, x);
        x = concat(b->n->g, x, repeat_rows(b->n->g, b->skip[--b->skips], x->shape.dim[0]), -1);
        x = resnet(b, j, x, u->width[level]);
        if (u->up_cross[i]) x = transformer(b, "attentions", j, x, level);
    }
    if (level > 0) {
        const node *next = b->skip[b->skips - 1];   /* odd sizes: grow to what the skip has, as diffusers does */
        x = resize_nearest(b->n->g, x, next->shape.dim[1], next->shape.dim[2]);
        nn_enter(b->n, "upsamplers.0");
        x = nn_leave(b->n, nn_conv(b->n, "conv", x, u->width[level], 3, 1, 1));
    }
    return nn_leave(b->n, x);
}

node *unet(nn *n, const unet_config *u, node *x, node *t, cross *c, unet_deep *deep, bool recompute)
{
    builder b = {.n = n, .u = u, .c = c, .recompute = recompute, .deep = deep};
    node *sinusoid = timestep_embedding(n->g, t, u->width[0], u->flip_sin_to_cos, u->freq_shift);
    b.temb = silu(n->g, nn_timestep_mlp(n, "time_embedding", sinusoid, 4 * u->width[0], 4 * u->width[0]));
    x = push(&b, nn_conv(n, "conv_in", x, u->width[0], 3, 1, 1));
    for (int i = 0; i < u->blocks; i++) x = down_block(&b, i, x);
    x = mid_block(&b, x);
    for (int i = 0; i < u->blocks; i++) x = up_block(&b, i, x);
    x = nn_group_norm(n, "conv_norm_out", x, u->groups, u->eps, true);
    return nn_conv(n, "conv_out", x, u->out_channels, 3, 1, 1);
}
