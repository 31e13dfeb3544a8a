/* The VAE's decoder for images whose features would take too much memory at once: its last levels are computed in bands
 * of rows, one step (upsampler, half a residual block, output) after the other, each over the whole image. There are no
 * tiles and no seams: a convolution sees the rows around its band, and norms use the statistics of the whole image;
 * against vae_decode only the sums of those are added up in another order. What a step has read goes while its result
 * comes, so about the largest image of features is alive at a time: 1 GiB for 1024x1024 pixels of Stable Diffusion. */
#ifndef MODELS_VAE_BANDS_H
#define MODELS_VAE_BANDS_H

#include "graph/backend.h"
#include "models/vae.h"

typedef struct vae_bands vae_bands;

typedef struct band_limits {
    size_t plane;        /* bytes: from the first upsampler that makes more than this, everything goes in bands */
    size_t band;         /* bytes: about the most features of one band */
} band_limits;

/* Those that pixels.h goes by; up to 448x448 pixels Stable Diffusion's decoder is not split. */
#define VAE_BAND_LIMITS ((band_limits){(size_t)200 << 20, (size_t)32 << 20})

/* Is there a level for bands in a decode of height x width latents? */
bool vae_bands_apply(const vae_config *v, int height, int width, const band_limits *limits);

/* vae_bands_apply is true. Borrows v, params, be. */
vae_bands *vae_bands_new(const vae_config *v, paramset *params, backend *be, int height, int width,
                         const band_limits *limits, m2m_error *err);
void vae_bands_free(vae_bands *b);

/* The most memory that a decode takes beside the weights, planned as exec_bytes is. */
size_t vae_bands_bytes(const vae_bands *b);
/* latents [c,height,width], unscaled -> image [out_channels, height*f, width*f]. */
int vae_bands_decode(const vae_bands *b, const float *latents, float *image, m2m_error *err);

#endif
