/* How M2M-DINO sees an image: the encoder and its own preprocessing, from a model directory's image_encoder and
 * feature_extractor. */
#ifndef MODELS_SIGHT_H
#define MODELS_SIGHT_H

#include "models/features.h"
#include "models/processor.h"

typedef struct vision {
    encoder_model encoder;
    processor processor;
} vision;

/* read: whether weights are read. width: wanted of the features (the U-Net's cross_attention_dim). On failure *v is
 * zero. */
int vision_open(vision *v, const char *dir, bool read, int width, m2m_error *err);
void vision_close(vision *v);
/* L of the features of images of width x height. */
int vision_tokens(const vision *v, int width, int height);

typedef struct sight sight;

/* For images of one size. Borrows v and be. NULL with *err on failure. */
sight *sight_new(const vision *v, backend *be, int width, int height, m2m_error *err);
void sight_free(sight *s);
size_t sight_bytes(const sight *s);
/* out [L,D] of vision_tokens. Errors: M2M_EINVAL for an image of another size. */
int sight_run(sight *s, const m2m_image *image, float *out, m2m_error *err);

#endif
