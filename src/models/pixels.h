/* Images to latents and back, through a model's VAE. */
#ifndef MODELS_PIXELS_H
#define MODELS_PIXELS_H

#include "graph/backend.h"
#include "models/component.h"
#include "models/vae_graph.h"

typedef struct pixels pixels;

/* One direction at one size (pixels; multiples of the VAE's factor) and batch. Borrows the model and the backend. */
pixels *pixels_new(const vae_model *vae, backend *be, vae_part part, int batch, int height, int width, m2m_error *err);
void pixels_free(pixels *p);
size_t pixels_bytes(const pixels *p);

/* images [batch, 3, H, W] in [-1,1] -> latents [batch, c, h, w]: the mean of the posterior times scaling_factor. */
int pixels_encode(pixels *p, const float *images, float *latents, m2m_error *err);
/* latents [batch, c, h, w], scaled -> images [batch, 3, H, W]. */
int pixels_decode(pixels *p, const float *latents, float *images, m2m_error *err);

#endif
