#include "models/vae.h"

#define EPS VAE_EPS

static node *resnet(nn *n, const vae_config *v, int index, node *x, int out)
{
    nn_enter(n, "resnets.%d", index);
    return nn_leave(n, nn_resnet(n, x, NULL, out, v->groups, EPS));
}

/* Attention over the pixels of one image, one head: x [B,H,W,C]. */
static node *pixel_attention(nn *n, const vae_config *v, node *x)
{
    graph *g = n->g;
    nn_enter(n, "attentions.0");
    node *h = nn_group_norm(n, "group_norm", x, v->groups, EPS, false);
    h = reshape(g, h, SHAPE(x->shape.dim[0], x->shape.dim[1] * x->shape.dim[2], x->shape.dim[3]));
    h = nn_attention(n, h, h, 1, true);
    return nn_leave(n, add(g, reshape(g, h, x->shape), x));
}

static node *mid_block(nn *n, const vae_config *v, node *x)
{
    int width = v->width[v->blocks - 1];
    nn_enter(n, "mid_block");
    x = resnet(n, v, 0, x, width);
    if (v->mid_attention) x = pixel_attention(n, v, x);
    return nn_leave(n, resnet(n, v, 1, x, width));
}

static node *down_block(nn *n, const vae_config *v, int i, node *x)
{
    nn_enter(n, "down_blocks.%d", i);
    for (int j = 0; j < v->layers; j++) x = resnet(n, v, j, x, v->width[i]);
    if (i + 1 < v->blocks) {
        nn_enter(n, "downsamplers.0");
        x = nn_leave(n, nn_conv_down_asymmetric(n, "conv", x, v->width[i]));
    }
    return nn_leave(n, x);
}

static node *up_block(nn *n, const vae_config *v, int i, node *x, bool upsample)
{
    int level = v->blocks - 1 - i;
    nn_enter(n, "up_blocks.%d", i);
    for (int j = 0; j <= v->layers; j++) x = resnet(n, v, j, x, v->width[level]);
    if (upsample) {
        x = resize_nearest(n->g, x, 2 * x->shape.dim[1], 2 * x->shape.dim[2]);
        nn_enter(n, "upsamplers.0");
        x = nn_leave(n, nn_conv(n, "conv", x, v->width[level], 3, 1, 1));
    }
    return nn_leave(n, x);
}

node *vae_encode(nn *n, const vae_config *v, node *x)
{
    nn_enter(n, "encoder");
    x = nn_conv(n, "conv_in", x, v->width[0], 3, 1, 1);
    for (int i = 0; i < v->blocks; i++) x = down_block(n, v, i, x);
    x = mid_block(n, v, x);
    x = nn_group_norm(n, "conv_norm_out", x, v->groups, EPS, true);
    x = nn_leave(n, nn_conv(n, "conv_out", x, 2 * v->latent_channels, 3, 1, 1));
    return v->quant_conv ? nn_conv(n, "quant_conv", x, 2 * v->latent_channels, 1, 1, 0) : x;
}

node *vae_decode_head(nn *n, const vae_config *v, node *z, int last)
{
    if (v->post_quant_conv) z = nn_conv(n, "post_quant_conv", z, v->latent_channels, 1, 1, 0);
    nn_enter(n, "decoder");
    z = nn_conv(n, "conv_in", z, v->width[v->blocks - 1], 3, 1, 1);
    z = mid_block(n, v, z);
    for (int i = 0; i <= last; i++) z = up_block(n, v, i, z, i < last);
    return nn_leave(n, z);
}

node *vae_decode(nn *n, const vae_config *v, node *z)
{
    z = vae_decode_head(n, v, z, v->blocks - 1);
    nn_enter(n, "decoder");
    z = nn_group_norm(n, "conv_norm_out", z, v->groups, EPS, true);
    return nn_leave(n, nn_conv(n, "conv_out", z, v->out_channels, 3, 1, 1));
}

int vae_factor(const vae_config *v) { return 1 << (v->blocks - 1); }
