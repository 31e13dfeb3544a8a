/* Euler's method on the probability flow ODE (arXiv 2206.00364, algorithm 2 without churn; diffusers'
 * EulerDiscreteScheduler and EulerAncestralDiscreteScheduler
 * with their defaults): sample = z0 + sigma eps, walked along falling sigma to 0.
 * Between whole timesteps sigma is interpolated linearly; timesteps need not be whole (linspace). */
#include "diffusion/sampler.h"

#include <math.h>
#include <stdlib.h>

static float sigma_of(const schedule *s, int t)
{
    float abar = s->abar[t];
    return sqrtf((1.0f - abar) / abar);
}

/* sigma at a fractional timestep; beyond the schedule's ends it stays what it is there. */
static double sigma_at(const schedule *s, double t)
{
    int last = s->train_steps - 1;
    if (t <= 0) return sigma_of(s, 0);
    if (t >= last) return sigma_of(s, last);
    int low = (int)t;
    double from = sigma_of(s, low);
    return (float)(from + (t - low) * ((double)sigma_of(s, low + 1) - from));
}

/* Goes down further than `next`, and comes back up with noise: *up. */
static double ancestral(double sigma, double next, double *up)
{
    *up = sqrt(next * next * (sigma * sigma - next * next) / (sigma * sigma));
    return sqrt(next * next - *up * *up);
}

static int walk(const schedule *s, spacing space, int steps, bool with_noise, sampler_move *moves,
    double *init_sigma, m2m_error *err)
{
    double *t = malloc((size_t)steps * sizeof *t);
    if (!t) return fail(err, M2M_ENOMEM, "no memory for %d timesteps", steps);
    sampler_timesteps(s, space, steps, false, t);
    for (int i = 0; i < steps; i++) {
        sampler_move *m = &moves[i];
        double sigma = sigma_at(s, t[i]), next = i + 1 < steps ? sigma_at(s, t[i + 1]) : 0;
        m->timestep = (float)t[i];
        m->scale = 1 / sqrt(sigma * sigma + 1);
        sampler_set_clean(m, s->prediction, 1, sigma);
        if (with_noise) next = ancestral(sigma, next, &m->fresh);
        m->keep = next / sigma;
        m->pull = 1 - m->keep;
    }
    double largest = sigma_at(s, t[0]);
    *init_sigma = space == SPACING_LEADING ? sqrt(largest * largest + 1) : largest;
    free(t);
    return 0;
}

static int plan(const schedule *s, spacing space, int steps, sampler_move *moves,
    double *init_sigma, m2m_error *err)
{
    return walk(s, space, steps, false, moves, init_sigma, err);
}

static int plan_ancestral(const schedule *s, spacing space, int steps, sampler_move *moves,
    double *init_sigma, m2m_error *err)
{
    return walk(s, space, steps, true, moves, init_sigma, err);
}

const sampler_kind sampler_euler = {.name = "euler", .spacing = SPACING_LINSPACE, .plan = plan};
const sampler_kind sampler_euler_ancestral = {
    .name = "euler_ancestral", .spacing = SPACING_LINSPACE, .plan = plan_ancestral};
