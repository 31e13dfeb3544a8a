/* diffusers' AutoencoderKL: images [B,H,W,3] in [-1,1] <-> latents. Any sizes its config.json gives. */
#ifndef MODELS_VAE_H
#define MODELS_VAE_H

#include "nn/layers.h"

enum { MAX_VAE_BLOCKS = 8 };
#define VAE_EPS 1e-6f   /* of its group norms */

typedef struct vae_config {
    int in_channels, out_channels, latent_channels, sample_size;
    int blocks, layers;
    int width[MAX_VAE_BLOCKS];      /* block_out_channels */
    int groups;
    bool mid_attention, quant_conv, post_quant_conv;
    float scaling_factor;
} vae_config;

/* -> moments [B,H/f,W/f,2*latent]: mean, then log variance (unclamped), as quant_conv leaves them. */
node *vae_encode(nn *n, const vae_config *v, node *x);
/* z [B,h,w,latent], not scaled (diffusers divides by scaling_factor before decode) -> [B,h*f,w*f,out_channels]. */
node *vae_decode(nn *n, const vae_config *v, node *z);
/* Its beginning: what the residual blocks of up_blocks.<last> make, before that block's upsampler. */
node *vae_decode_head(nn *n, const vae_config *v, node *z, int last);
/* Pixels per latent along a side. */
int vae_factor(const vae_config *v);

#endif
