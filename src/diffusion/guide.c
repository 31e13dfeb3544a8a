#include "diffusion/guide.h"

void guide_two(float *out, const float *none, const float *full, double scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = (float)(none[i] + scale * ((double)full[i] - none[i]));
}

void guide_three(float *out, const float *none, const float *images, const float *full,
    double images_scale, double condition_scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double by_images = (double)images[i] - none[i], by_condition = (double)full[i] - images[i];
        out[i] = (float)(none[i] + images_scale * by_images + condition_scale * by_condition);
    }
}
