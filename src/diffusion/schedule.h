/* The noise schedule a model was trained with: how much of image t still is image (diffusers'
 * scheduler_config.json).
 *
 * abar[t] = prod over s <= t of (1 - beta[s]); a noisy sample is sqrt(abar) z0 + sqrt(1 - abar)
 * eps. Betas and abar are float32 as in diffusers (whose cumprod multiplies in double): the
 * samplers' sigmas hang on their last bits. Any `_class_name` is accepted for its betas; which
 * sampler walks the schedule is chosen elsewhere (sampler.h). What would change the walk and is not
 * built (clipping, thresholding, Karras sigmas, …) is refused, never ignored. */
#ifndef DIFFUSION_SCHEDULE_H
#define DIFFUSION_SCHEDULE_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* What the model's output is: the noise, the clean sample, or v = sqrt(abar) eps - sqrt(1 - abar)
 * z0. */
typedef enum prediction { PREDICT_EPSILON, PREDICT_SAMPLE, PREDICT_V } prediction;
enum { PREDICTIONS = 3 };
/* NULL behind the last: diffusers' prediction_type, in the order above. */
extern const char *const prediction_types[PREDICTIONS + 1];

/* Table 2 of arXiv 2305.08891. SPACING_DEFAULT: the config has no timestep_spacing, each sampler
 * then has its own. */
typedef enum spacing { SPACING_DEFAULT, SPACING_LEADING, SPACING_TRAILING, SPACING_LINSPACE } spacing;

typedef struct schedule {
    int train_steps;        /* timesteps are 0..train_steps-1 */
    prediction prediction;
    spacing spacing;
    int steps_offset;       /* added to timesteps of SPACING_LEADING */
    bool set_alpha_to_one;  /* DDIM: the abar after the last step is 1, not abar[0] */
    float *abar;            /* [train_steps], owned */
} schedule;

/* Reads scheduler_config.json (messages of schedule_load begin with its path). Missing keys get
 * diffusers' defaults, but clip_sample is false if absent (as StableDiffusionPipeline makes it). On
 * failure *s is empty and needs no schedule_free. Errors: M2M_EIO, M2M_EFORMAT (wrong type or
 * range), M2M_EUNSUPPORTED, M2M_ENOMEM. */
int schedule_load(schedule *s, const char *path, m2m_error *err);
int schedule_from_json(schedule *s, const cJSON *config, m2m_error *err);
void schedule_free(schedule *s);   /* also empties it */

double schedule_signal(const schedule *s, int t);  /* sqrt(abar[t]) */
double schedule_noise(const schedule *s, int t);   /* sqrt(1 - abar[t]) */

/* noisy = sqrt(abar[t]) clean + sqrt(1 - abar[t]) noise; n floats each, in place allowed. */
void schedule_add_noise(const schedule *s, int t, const float *clean, const float *noise, float *noisy, int64_t n);

/* What a model of this prediction should answer at t (the training target): noise, clean, or v. In
 * place allowed. */
void schedule_target(const schedule *s, int t, const float *clean, const float *noise, float *target, int64_t n);

#endif
