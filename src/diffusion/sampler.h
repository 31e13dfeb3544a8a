/* Samplers: how a sample gets from noise to image in a few calls of the model.
 *
 * Every sampler here is a table of moves, one per step, computed in double when the sampler is made. A
 * move says what the model is shown, what its answer says about the clean sample, and how the next
 * sample is composed:
 *
 *     input  = scale * sample
 *     clean  = clean_sample * sample + clean_output * output          (the predicted z0)
 *     sample = keep * sample + pull * clean + pull_before * clean of the step before + fresh * new noise
 *
 * PNDM's answer is first mixed with those before it: output = mix[0] * output + mix[1] * the last one kept + …
 * So a new sampler is a file that fills moves, and a row in sampler.c; nothing else knows its name.
 * `sample` lives in the sampler's own space (diffusers'): that of Euler grows with sigma. */
#ifndef DIFFUSION_SAMPLER_H
#define DIFFUSION_SAMPLER_H

#include "diffusion/schedule.h"

typedef struct sampler_move {
    float timestep;                 /* as fed to the U-Net; need not be whole */
    double scale;
    double clean_sample, clean_output;
    double keep, pull, pull_before;
    double fresh;                   /* times noise of unit variance, which the caller draws */
    double mix[4];                  /* of kinds that mix */
    bool again;                     /* of kinds that mix: starts from the sample of step 0, and keeps no output */
} sampler_move;

typedef struct sampler_kind {
    const char *name;
    spacing spacing;                /* if the config names none */
    bool remembers;                 /* pull_before is used */
    bool mixes;                     /* mix and again are used */
    int extra;                      /* moves beyond steps, where steps is 2 or more */
    /* Fills moves[steps + extra]; *init_sigma is 1 beforehand. */
    int (*plan)(const schedule *s, spacing space, int steps, sampler_move *moves,
        double *init_sigma, m2m_error *err);
} sampler_kind;

extern const sampler_kind sampler_ddim, sampler_euler, sampler_euler_ancestral, sampler_dpmpp_2m, sampler_pndm;

/* All of them, NULL-terminated. */
extern const sampler_kind *const sampler_kinds[];

typedef struct sampler sampler;

/* For samples of n floats; keeps nothing of *s. NULL with *err: M2M_EINVAL for an unknown name (the
 * message lists the known ones), for steps outside 1..train_steps, or if a timestep would lie
 * outside the schedule; M2M_ENOMEM. A sampler serves any number of samples, one after another. */
sampler *sampler_new(const char *name, const schedule *s, int steps, int64_t n, m2m_error *err);
void sampler_free(sampler *p);

int sampler_steps(const sampler *p);                  /* calls of the model: with PNDM one more than steps */
float sampler_timestep(const sampler *p, int step);   /* step: 0..sampler_steps-1, here and below */
float sampler_init_sigma(const sampler *p);   /* the first sample is unit noise times this */
void sampler_reset(sampler *p);               /* before the first step of each sample */

/* Turns a copy of the sample into what the model is shown, in place. n as in sampler_new. */
void sampler_scale_input(const sampler *p, int step, float *sample, int64_t n);
/* sample -> next sample, in place, from what the model answered. Steps are taken in order. */
void sampler_step(sampler *p, int step, const float *output, float *sample, int64_t n);
/* Whether that step adds noise; if so it is given just before it: n floats of unit variance, borrowed for the step. */
bool sampler_wants_noise(const sampler *p, int step);
void sampler_give_noise(sampler *p, const float *noise);
/* The noise that image `index` of a seed gets at a step. */
void sampler_noise(uint64_t seed, int step, uint32_t index, float *noise, int64_t n);

/* For sampler files: the timesteps of a spacing, largest first, into t[steps]; whole: rounded (half
 * to even), as samplers that look abar up need them. */
void sampler_timesteps(const schedule *s, spacing space, int steps, bool whole, double *t);
/* For sampler files: clean_sample and clean_output, where sample = signal * z0 + noise * eps. */
void sampler_set_clean(sampler_move *m, prediction p, double signal, double noise);

#endif
