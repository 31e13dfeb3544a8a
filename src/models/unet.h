/* diffusers' UNet2DConditionModel as Stable Diffusion 1 and 2 configure it, and M2MUNet (the same with image-set
 * attention as attn2). Any sizes its config.json gives. */
#ifndef MODELS_UNET_H
#define MODELS_UNET_H

#include "models/condition.h"
#include "models/cross.h"

enum { MAX_BLOCKS = 8, CLEAN_TIMESTEP_SAME = -1 };

typedef enum set_variant { SET_NONE, SET_SELF, SET_DINO } set_variant;

typedef struct unet_config {
    int in_channels, out_channels, sample_size;
    int blocks;
    int width[MAX_BLOCKS];          /* block_out_channels */
    int layers[MAX_BLOCKS];         /* layers_per_block */
    int depth[MAX_BLOCKS];          /* transformer_layers_per_block */
    int heads[MAX_BLOCKS];          /* attention_head_dim, which for SD means the number of heads */
    bool down_cross[MAX_BLOCKS], up_cross[MAX_BLOCKS];
    bool mid_cross;
    int cross_dim;
    int groups;
    float eps;
    bool linear_projection, flip_sin_to_cos;
    float freq_shift;
    set_variant variant;
    int clean_timestep;             /* or CLEAN_TIMESTEP_SAME */
    set_condition condition;
    int dino_hidden;                /* width between the layers of condition_embedder_dino; by default 4 * width[0] */
} unet_config;

/* What the last up block reads of the layers below it; it changes little from one denoising step to the next
 * (DeepCache, Ma et al. 2023, arXiv 2312.00858, its cache_branch_id 0). */
typedef struct unet_deep {
    bool given;       /* an input of the graph; the layers that lead to it are not computed */
    node *feature;    /* [B,H,W,C], set by unet */
} unet_deep;

/* x [B,H,W,in_channels], t [B] or [1] -> [B,H,W,out_channels]; where c has branches, [n_branches*B,...]. deep may be
 * NULL. recompute: every resnet and transformer is a segment that training computes twice instead of storing. */
node *unet(nn *n, const unet_config *u, node *x, node *t, cross *c, unet_deep *deep, bool recompute);

#endif
