/* PNDM without its Runge-Kutta steps: Adams-Bashforth of up to fourth order on the predicted noise (arXiv 2202.09778,
 * section 3.3; diffusers' PNDMScheduler with skip_prk_steps, as SD's own scheduler_config.json has it). The first
 * step is made twice: the second time with the mean of the answers at its two ends.
 * Trap: as with DDIM, a step goes train_steps / steps timesteps down, whatever the spacing. */
#include "diffusion/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Weights of the newest output and of those kept, by how many there are. */
static const double weights[][4] = {
    {1}, {3 / 2., -1 / 2.}, {23 / 12., -16 / 12., 5 / 12.}, {55 / 24., -59 / 24., 37 / 24., -9 / 24.}};

/* From timestep `from`, whose noise level is the sample's, to `to`; below 0 is the end. */
static void fill(sampler_move *m, const schedule *s, int from, int to)
{
    double signal = schedule_signal(s, from), noise = schedule_noise(s, from);
    double last = s->set_alpha_to_one ? 1 : s->abar[0];
    double next = to >= 0 ? s->abar[to] : last;
    m->scale = 1;
    sampler_set_clean(m, s->prediction, signal, noise);
    m->keep = sqrt(1 - next) / noise;
    m->pull = sqrt(next) - m->keep * signal;
}

static int plan(const schedule *s, spacing space, int steps, sampler_move *moves, double *init_sigma, m2m_error *err)
{
    (void)init_sigma;
    int calls = steps > 1 ? steps + 1 : 1, code = 0, down = s->train_steps / steps;
    double *t = malloc(((size_t)calls + 1) * sizeof *t);
    if (!t) return fail(err, M2M_ENOMEM, "no memory for %d timesteps", steps);
    sampler_timesteps(s, space, steps, true, t);
    if (t[0] >= s->train_steps)
        code = fail(err, M2M_EINVAL, "steps is %d: the first timestep would be %d, wanted at most %d; take fewer steps",
                    steps, (int)t[0], s->train_steps - 1);
    for (int i = calls - 1; i > 1; i--) t[i] = t[i - 1];             /* the second timestep comes twice */
    for (int i = 0; i < calls && !code; i++) {
        sampler_move *m = &moves[i];
        int now = (int)t[i], outputs = i < 2 ? 0 : i - 1;            /* kept before this one */
        m->timestep = (float)now;
        m->again = i == 1;
        if (m->again) m->mix[0] = m->mix[1] = 0.5;
        else memcpy(m->mix, weights[outputs < 3 ? outputs : 3], sizeof m->mix);
        if (m->again && now + down >= s->train_steps)
            code = fail(err, M2M_EINVAL, "steps is %d: no timestep %d; take other steps", steps, now + down);
        else fill(m, s, m->again ? now + down : now, m->again ? now : now - down);
    }
    free(t);
    return code;
}

const sampler_kind sampler_pndm = {.name = "pndm", .spacing = SPACING_LEADING, .mixes = true, .extra = 1, .plan = plan};
