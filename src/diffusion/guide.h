/* Classifier-free guidance (spec 5, 6): the model's answers with less and with more of the condition,
 * pushed apart. n floats each; out may be any of the inputs. */
#ifndef DIFFUSION_GUIDE_H
#define DIFFUSION_GUIDE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Eq. 6: none + scale (full - none). scale 1 is `full`, 0 is `none`. */
void guide_two(float *out, const float *none, const float *full, double scale, int64_t n);

/* Eq. 7: none + images_scale (images - none) + condition_scale (full - images), where `images` has
 * the context but no task condition and `full` has both. */
void guide_three(float *out, const float *none, const float *images, const float *full,
    double images_scale, double condition_scale, int64_t n);

/* Lin et al. 2023 (arXiv 2305.08891, section 3.4; diffusers' rescale_noise_cfg): guided [n] scaled to the standard
 * deviation of full [n], the answer with the whole condition, then mixed with itself: phi of that, 1 - phi of guided.
 * In place. */
void guide_rescale(float *guided, const float *full, double phi, int64_t n);

/* The timesteps at which guidance takes place (Kynkäänniemi et al. 2024, arXiv 2404.07724); at the others the answer
 * with the whole condition is taken as it is, which saves the other branches. Zero: everywhere. */
typedef struct guide_interval {
    bool limited;
    double low, high;        /* both included */
} guide_interval;

bool guide_applies(const guide_interval *i, double timestep);
/* "LO,HI": whole numbers, 0 <= LO <= HI <= 999. text NULL: everywhere. Errors: M2M_EINVAL. */
int guide_interval_parse(const char *text, guide_interval *i, m2m_error *err);

typedef enum guide_branch { GUIDE_NONE, GUIDE_IMAGES, GUIDE_FULL, GUIDE_BRANCHES } guide_branch;

/* Which of eq. 7's branches are computed, each as one row. One that is equal to another in effect, or whose share of
 * the sum is zero, takes that one's row. */
typedef struct guide_plan {
    double images_scale, condition_scale;
    double rescale;          /* phi; 0: none */
    int rows;
    guide_branch branch[GUIDE_BRANCHES];   /* of each row */
    int row[GUIDE_BRANCHES];               /* of each branch */
} guide_plan;

/* conditioned: there is a task condition at all. condition_scale < 0: as images_scale, eq. 6 with both dropped
 * together. */
guide_plan guide_make(double images_scale, double condition_scale, bool conditioned);
/* rows [rows, n] -> out [n]; out may be rows. */
void guide_apply(const guide_plan *g, float *out, const float *rows, int64_t n);

#endif
