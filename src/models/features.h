/* Images to the tokens of a model's image encoder (M2M-DINO's v, spec 4). */
#ifndef MODELS_FEATURES_H
#define MODELS_FEATURES_H

#include "graph/exec.h"
#include "models/component.h"

typedef struct features features;

/* At one size (pixels) and batch. Borrows the model and the backend. NULL with *err on failure. */
features *features_new(const encoder_model *encoder, backend *be, int batch, int height, int width, m2m_error *err);
void features_free(features *f);
size_t features_bytes(const features *f);
int64_t features_tokens(const features *f);        /* L */

/* pixels [batch, 3, H, W] as the processor made them -> out [batch, L, D]. */
int features_run(features *f, const float *pixels, float *out, m2m_error *err);

#endif
