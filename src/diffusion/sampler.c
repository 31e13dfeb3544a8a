#include "diffusion/sampler.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const sampler_kind *const sampler_kinds[] = {
    &sampler_ddim, &sampler_euler, &sampler_euler_ancestral, &sampler_dpmpp_2m, &sampler_pndm, NULL};

struct sampler {
    const sampler_kind *kind;
    int steps; /* moves */
    int64_t n;
    int next; /* the step to come */
    double init_sigma;
    float *before; /* the clean sample predicted one step ago [n]; NULL unless the kind remembers */
    float *kept; /* the last three outputs, the newest first, and the sample of step 0 [4,n]; NULL unless it mixes */
    const float *noise;
    sampler_move moves[]; /* [steps] */
};

static const sampler_kind *find(const char *name, m2m_error *err)
{
    char known[160] = "";
    for (int i = 0; sampler_kinds[i]; i++) {
        if (!strcmp(sampler_kinds[i]->name, name)) return sampler_kinds[i];
        if (*known) strcat(known, ", ");
        strcat(known, sampler_kinds[i]->name);
    }
    fail(err, M2M_EINVAL, "scheduler \"%.40s\" is unknown, wanted one of %s", name, known);
    return NULL;
}

sampler *sampler_new(const char *name, const schedule *s, int steps, int64_t n, m2m_error *err)
{
    const sampler_kind *kind = find(name, err);
    if (!kind) return NULL;
    if (steps < 1 || steps > s->train_steps) {
        fail(err, M2M_EINVAL,
            "steps is %d, wanted 1..%d (the timesteps the model was trained with)", steps,
            s->train_steps);
        return NULL;
    }
    int moves = steps > 1 ? steps + kind->extra : steps;
    sampler *p = calloc(1, sizeof *p + (size_t)moves * sizeof *p->moves);
    if (p && kind->remembers) p->before = calloc((size_t)n, sizeof *p->before);
    if (p && kind->mixes) p->kept = calloc(4 * (size_t)n, sizeof *p->kept);
    if (!p || (kind->remembers && !p->before) || (kind->mixes && !p->kept)) {
        sampler_free(p);
        fail(err, M2M_ENOMEM, "no memory for the %s sampler: %d steps, %lld values", name, steps,
            (long long)n);
        return NULL;
    }
    p->kind = kind;
    p->steps = moves;
    p->n = n;
    p->init_sigma = 1;
    if (kind->plan(
            s, s->spacing ? s->spacing : kind->spacing, steps, p->moves, &p->init_sigma, err)) {
        sampler_free(p);
        return NULL;
    }
    return p;
}

void sampler_free(sampler *p)
{
    if (p) free(p->before);
    if (p) free(p->kept);
    free(p);
}

static const sampler_move *move_at(const sampler *p, int step)
{
    check(step >= 0 && step < p->steps, "step %d of %d", step, p->steps);
    return &p->moves[step];
}

int sampler_steps(const sampler *p)
{
    return p->steps;
}

float sampler_timestep(const sampler *p, int step)
{
    return move_at(p, step)->timestep;
}

float sampler_init_sigma(const sampler *p)
{
    return (float)p->init_sigma;
}

void sampler_reset(sampler *p)
{
    p->next = 0;
}

void sampler_scale_input(const sampler *p, int step, float *sample, int64_t n)
{
    double scale = move_at(p, step)->scale;
    check(n == p->n, "%lld values, the sampler is for %lld", (long long)n, (long long)p->n);
    for (int64_t i = 0; i < n; i++) sample[i] = (float)(scale * sample[i]);
}

bool sampler_wants_noise(const sampler *p, int step)
{
    return move_at(p, step)->fresh != 0;
}

void sampler_give_noise(sampler *p, const float *noise)
{
    p->noise = noise;
}

void sampler_noise(uint64_t seed, int step, uint32_t index, float *noise, int64_t n)
{
    rng_normal(seed, RNG_STEP + ((uint32_t)step << 8), index, noise, (size_t)n);
}

/* The mixed output of element i; the kept ones move on. */
static double mix(sampler *p, const sampler_move *m, int step, double output, float *sample, int64_t i)
{
    float *last = p->kept + i, *first = p->kept + 3 * p->n + i;
    double mixed = m->mix[0] * output;
    for (int k = 1; k < 4; k++) mixed += m->mix[k] != 0 ? m->mix[k] * last[(k - 1) * p->n] : 0;
    if (step == 0) *first = *sample;
    if (m->again) {
        *sample = *first;
        return mixed;
    }
    last[2 * p->n] = last[p->n];
    last[p->n] = last[0];
    last[0] = (float)output;
    return mixed;
}

void sampler_step(sampler *p, int step, const float *output, float *sample, int64_t n)
{
    const sampler_move *m = move_at(p, step);
    check(n == p->n, "%lld values, the sampler is for %lld", (long long)n, (long long)p->n);
    check(step == p->next, "step %d, expected %d", step, p->next);
    check(m->fresh == 0 || p->noise, "step %d wants noise", step);
    p->next = step + 1;
    for (int64_t i = 0; i < n; i++) {
        double answer = p->kept ? mix(p, m, step, output[i], &sample[i], i) : output[i];
        double clean = m->clean_sample * sample[i] + m->clean_output * answer;
        double next = m->keep * sample[i] + m->pull * clean;
        if (p->before) {
            if (step > 0) next += m->pull_before * p->before[i];
            p->before[i] = (float)clean;
        }
        if (m->fresh != 0) next += m->fresh * p->noise[i];
        sample[i] = (float)next;
    }
    p->noise = NULL;
}

void sampler_timesteps(const schedule *s, spacing space, int steps, bool whole, double *t)
{
    int all = s->train_steps;
    for (int i = 0; i < steps; i++) {
        if (space == SPACING_LEADING) {
            t[i] = (double)(steps - 1 - i) * (all / steps) + s->steps_offset;
        } else if (space == SPACING_TRAILING) {
            t[i] = rint(all - i * ((double)all / steps)) - 1;
        } else {
            double from_end = steps > 1 ? (steps - 1 - i) * ((all - 1.0) / (steps - 1)) : 0;
            t[i] = whole ? rint(from_end) : (float)from_end;
        }
    }
}

void sampler_set_clean(sampler_move *m, prediction p, double signal, double noise)
{
    double norm = signal * signal + noise * noise; /* 1 where the variance is preserved */
    switch (p) {
    case PREDICT_EPSILON:
        m->clean_sample = 1 / signal;
        m->clean_output = -noise / signal;
        break;
    case PREDICT_SAMPLE:
        m->clean_sample = 0;
        m->clean_output = 1;
        break;
    case PREDICT_V: /* v is defined on the sample scaled to variance 1 */
        m->clean_sample = signal / norm;
        m->clean_output = -noise / sqrt(norm);
        break;
    }
}
