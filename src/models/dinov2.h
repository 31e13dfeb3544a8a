/* transformers' Dinov2Model, small to giant: images to tokens. Any sizes its config.json gives.
 *
 * Position embeddings are those of a grid of image_size / patch_size. For another grid they are interpolated as
 * transformers 5 does: bicubic (a = -0.75), to the wanted number of patches (not by a scale factor), half-pixel
 * centres, no antialias, edges repeated; the CLS token's own is kept. */
#ifndef MODELS_DINOV2_H
#define MODELS_DINOV2_H

#include "graph/exec.h"
#include "nn/layers.h"

struct cJSON;

typedef struct dinov2_config {
    int width, layers, heads;       /* hidden_size, num_hidden_layers, num_attention_heads */
    int hidden;                     /* of the MLP: for SwiGLU after its 2/3 rule */
    int channels, image_size, patch_size;
    float eps;
    bool qkv_bias, swiglu, mask_token;
    bool split_gate;                /* the file has mlp.gate_proj and up_proj, not mlp.weights_in (both in one) */
} dinov2_config;

int dinov2_config_parse(dinov2_config *d, const struct cJSON *json, m2m_error *err);

/* Tokens of an image of height x width pixels: one for each whole patch, and CLS before them. */
int64_t dinov2_tokens(const dinov2_config *d, int64_t height, int64_t width);

typedef struct dinov2_graph {
    graph *g;
    nn n;
    node *pixels;        /* input [B,3,H,W]: pixel_values */
    node *features;      /* [B,L,D]: last_hidden_state */
    node *rows, *columns; /* inputs [h, grid], [w, grid]: from the stored grid to this one; NULL: the same grid */
} dinov2_graph;

/* Builds into *t (owned by the caller, released with dinov2_graph_free also after a failure). */
int dinov2_graph_build(dinov2_graph *t, const dinov2_config *d, paramset *params, int batch, int height, int width,
                       m2m_error *err);
void dinov2_graph_free(dinov2_graph *t);
/* Fills the interpolation's inputs, if there are any, on x, a plan of t. Once is enough. */
int dinov2_graph_write(const dinov2_graph *t, exec *x, m2m_error *err);

#endif
