/* A batch's noisy latents and what the model should answer to them (spec 7). */
#ifndef TRAIN_NOISING_H
#define TRAIN_NOISING_H

#include "diffusion/schedule.h"
#include "m2m_train.h"
#include "train/timesteps.h"

/* The schedule of the directory `from`, with the prediction that the options ask for. */
int train_schedule(schedule *s, const char *from, const m2m_train_options *o, m2m_error *err);

/* From clean [S*N, floats], for rows (set, draw, image) as d draws them for this batch: times [S*M*N], noisy and target
 * [S*M*N, floats]; the target is the noise, or what else the schedule's prediction is. */
void noise_latents(const draw_plan *d, const schedule *s, int64_t batch, int64_t floats, const float *clean,
                   float *times, float *noisy, float *target);

/* What the network is told of clean images (spec 11): content [S*N, floats], noised to the level that is drawn for each
 * set, which is added to the clean images' times [S*N]; level 0 is content as it is. A dropped set's context is zero,
 * at level 0, so that one zero image serves all levels in sampling. */
void noise_context(const draw_plan *d, const schedule *s, int64_t batch, int64_t floats, const float *content,
                   const bool *dropped, float *context, float *times);

#endif
