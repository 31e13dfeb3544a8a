/* DDIM, eta 0 (arXiv 2010.02502, eq. 12; diffusers' DDIMScheduler): predict z0, keep the predicted
 * noise, and put both together again at the next lower noise level.
 * Trap: that level is train_steps / steps timesteps below, whatever the spacing. */
#include "diffusion/sampler.h"

#include <math.h>
#include <stdlib.h>

static int plan(const schedule *s, spacing space, int steps, sampler_move *moves,
    double *init_sigma, m2m_error *err)
{
    (void)init_sigma;
    double *t = malloc((size_t)steps * sizeof *t);
    if (!t) return fail(err, M2M_ENOMEM, "no memory for %d timesteps", steps);
    sampler_timesteps(s, space, steps, true, t);
    int first = (int)t[0], code = 0;
    if (first >= s->train_steps)
        code = fail(err, M2M_EINVAL,
            "steps is %d: the first timestep would be %d, wanted at most %d; take fewer steps",
            steps, first, s->train_steps - 1);
    for (int i = 0; i < steps && !code; i++) {
        sampler_move *m = &moves[i];
        int now = (int)t[i], next = now - s->train_steps / steps;
        double signal = schedule_signal(s, now), noise = schedule_noise(s, now);
        double last = s->set_alpha_to_one ? 1 : s->abar[0];
        double next_abar = next >= 0 ? s->abar[next] : last;
        m->timestep = (float)now;
        m->scale = 1;
        sampler_set_clean(m, s->prediction, signal, noise);
        m->keep = sqrt(1 - next_abar) / noise; /* eps = (sample - signal z0) / noise */
        m->pull = sqrt(next_abar) - m->keep * signal;
    }
    free(t);
    return code;
}

const sampler_kind sampler_ddim = {.name = "ddim", .spacing = SPACING_LEADING, .plan = plan};
