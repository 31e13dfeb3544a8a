/* Layers: named parameters and the graph nodes that use them. A layer's path is composed of the names that were
 * entered, and is the checkpoint's path. Images are [B,H,W,C], tokens [B,L,C]. */
#ifndef NN_LAYERS_H
#define NN_LAYERS_H

#include "nn/param.h"

typedef struct nn {
    graph *g;
    paramset *params;
    char path[512];
    node **nodes;        /* [capacity] param index -> its one node in g */
    int capacity;
    bool failed;         /* out of memory */
} nn;

/* A new graph n->g, to be freed by nn_end, after a failure too. Error: M2M_ENOMEM. */
int nn_begin(nn *n, paramset *params, m2m_error *err);
int nn_finish(const nn *n, m2m_error *err);          /* what went wrong while the graph was described; 0: nothing */
void nn_end(nn *n);                                  /* frees the graph too */

/* Children are named "resnets.0"; nn_enterf formats. nn_leave gives its argument back for `return nn_leave(n, x)`. */
void nn_enter(nn *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
node *nn_leave(nn *n, node *x);

node *nn_param(nn *n, const char *name, shape s, int init, int64_t fan_in);   /* path.name */
node *nn_linear(nn *n, const char *name, node *x, int64_t out, bool bias);
node *nn_conv(nn *n, const char *name, node *x, int64_t out, int kernel, int stride, int pad);
/* The VAE's downsampler: pads bottom and right by one, 3x3, stride 2 (diffusers Downsample2D with padding 0). */
node *nn_conv_down_asymmetric(nn *n, const char *name, node *x, int64_t out);
/* 3x3, stride 1, of a band of an image: only where the band has the image's first or last row is there padding above or
 * below; else its first and last rows are the neighbours'. */
node *nn_conv_band(nn *n, const char *name, node *x, int64_t out, bool first, bool last);
/* A kernel of odd sides height x width, stride 1, padded so that the size stays. */
node *nn_conv_oblong(nn *n, const char *name, node *x, int64_t out, int height, int width);
node *nn_group_norm(nn *n, const char *name, node *x, int groups, float eps, bool with_silu);
/* The same norm, of a band, by the whole image's statistics [B,groups,2]: mean, 1/std. With SiLU. */
node *nn_group_norm_band(nn *n, const char *name, node *x, node *stats, int groups);
node *nn_layer_norm(nn *n, const char *name, node *x, float eps);

/* diffusers' ResnetBlock2D: x [B,H,W,C], temb [B,E] after SiLU or NULL -> [B,H,W,out]. */
node *nn_resnet(nn *n, node *x, node *temb_silu, int64_t out, int groups, float eps);
/* diffusers' TimestepEmbedding: linear_1 to `hidden`, SiLU, linear_2. x [B,D] -> [B,out]. */
node *nn_timestep_mlp(nn *n, const char *name, node *x, int64_t hidden, int64_t out);
/* diffusers' Attention with one source of keys: h [B,L,C], keys [Bk,Lk,D]; to_out.0 applied. */
node *nn_attention(nn *n, node *h, node *keys, int heads, bool qkv_bias);
node *nn_queries_attend(nn *n, node *q, node *k, node *v, node *lens, int heads);
/* diffusers' FeedForward with GEGLU. */
node *nn_feed_forward(nn *n, const char *name, node *x);

/* d loss / d parameter for every trainable parameter of the set that loss depends on, at its index; else NULL.
 * grads: [paramset_count]. */
int nn_gradients(nn *n, node *loss, node **grads, m2m_error *err);

#endif
