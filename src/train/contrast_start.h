/* Where contrastive training from fresh weights begins: as transformers initializes CLIPModel and Dinov2Model. */
#ifndef TRAIN_CONTRAST_START_H
#define TRAIN_CONTRAST_START_H

#include "models/clip.h"

/* Draws all parameters anew, which have float32 data. initializer_factor 1, initializer_range 0.02, logit_scale
 * log(1 / 0.07). */
void clip_start(const clip_config *c, paramset *params, uint64_t seed);
/* Those of Dinov2Model; heads of training keep what they have. */
void encoder_start(paramset *params, uint64_t seed);

#endif
