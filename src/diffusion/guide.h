/* Classifier-free guidance (spec 5, 6): the model's answers with less and with more of the condition,
 * pushed apart. n floats each; out may be any of the inputs. */
#ifndef DIFFUSION_GUIDE_H
#define DIFFUSION_GUIDE_H

#include <stdint.h>

/* Eq. 6: none + scale (full - none). scale 1 is `full`, 0 is `none`. */
void guide_two(float *out, const float *none, const float *full, double scale, int64_t n);

/* Eq. 7: none + images_scale (images - none) + condition_scale (full - images), where `images` has
 * the context but no task condition and `full` has both. */
void guide_three(float *out, const float *none, const float *images, const float *full,
    double images_scale, double condition_scale, int64_t n);

#endif
