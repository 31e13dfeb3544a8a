/* DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2; diffusers' DPMSolverMultistepScheduler with its
 * defaults: order 2, midpoint, sigma 0 at the end). Linear in z0 over lambda = log(signal / noise):
 * besides the clean sample predicted now, the one of the step before gives its slope. The first step has
 * none and the last must not extrapolate: both are of first order.
 * Trap: but for trailing spacing, timesteps are those of one step more, the last left out. */
#include "diffusion/sampler.h"

#include <math.h>
#include <stdlib.h>

static void fill(sampler_move *m, const schedule *s, const double *t, int i, int steps)
{
    double signal = schedule_signal(s, (int)t[i]), noise = schedule_noise(s, (int)t[i]);
    m->timestep = (float)t[i];
    m->scale = 1;
    sampler_set_clean(m, s->prediction, signal, noise);
    if (i + 1 == steps) {
        m->pull = 1;
        return;
    }
    double next_signal = schedule_signal(s, (int)t[i + 1]),
           next_noise = schedule_noise(s, (int)t[i + 1]);
    double lambda = log(signal / noise), step = log(next_signal / next_noise) - lambda;
    m->keep = next_noise / noise;
    m->pull = next_signal * -expm1(-step);
    if (i == 0) return;
    double before =
        lambda - log(schedule_signal(s, (int)t[i - 1]) / schedule_noise(s, (int)t[i - 1]));
    m->pull_before = -m->pull * step / (2 * before);
    m->pull -= m->pull_before;
}

static int plan(const schedule *s, spacing space, int steps, sampler_move *moves,
    double *init_sigma, m2m_error *err)
{
    (void)init_sigma;
    double *t = malloc(((size_t)steps + 1) * sizeof *t);
    if (!t) return fail(err, M2M_ENOMEM, "no memory for %d timesteps", steps);
    sampler_timesteps(s, space, space == SPACING_TRAILING ? steps : steps + 1, true, t);
    int code = 0;
    for (int i = 0; i < steps && !code; i++)
        if (t[i] >= s->train_steps || (i && t[i] == t[i - 1]))
            code =
                fail(err, M2M_EINVAL, "steps is %d: no %d different timesteps below %d; take fewer",
                    steps, steps, s->train_steps);
    for (int i = 0; i < steps && !code; i++) fill(&moves[i], s, t, i, steps);
    free(t);
    return code;
}

const sampler_kind sampler_dpmpp_2m = {
    .name = "dpmpp_2m", .spacing = SPACING_LINSPACE, .remembers = true, .plan = plan};
