#include "diffusion/rollout.h"

#include "diffusion/guide.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct rollout {
    const unet_config *u;
    backend *be;
    rollout_options o;
    sampler *sampler;
    context *context;
    step_graph step;
    exec *x;
    int branches;            /* 2: unconditional, conditional; 1: conditional alone */
    size_t floats;           /* of a latent */
    float **images;          /* the set so far, oldest first */
    int count, capacity;
    float *scaled, *predicted;    /* [C,H,W]; [branches, C,H,W] */
};

/* The branches read their keys and values straight from the context's slots. */
static void bind_context(rollout *r)
{
    const cross *c = &r->step.c;
    for (int i = 0; i < c->layers; i++) {
        const cross_branch *with = &c->branch[r->branches - 1];
        exec_bind(r->x, with->key[i], context_keys(r->context, i));
        exec_bind(r->x, with->value[i], context_values(r->context, i));
        if (r->branches == 1) continue;
        exec_bind(r->x, c->branch[0].key[i], context_zero_keys(r->context, i));
        exec_bind(r->x, c->branch[0].value[i], context_zero_values(r->context, i));
    }
}

static int build(rollout *r, paramset *params, int height, int width, m2m_error *err)
{
    int slots[2] = {1, r->o.window};
    if (r->branches == 1) slots[0] = r->o.window;
    int status = step_graph_build(&r->step, r->u, params, height, width, r->branches, slots, err);
    if (status) return status;
    r->x = exec_new(r->step.g, r->be, &r->step.prediction, 1, err);
    if (!r->x) return M2M_EUNSUPPORTED;
    r->context = context_new(r->u, params, r->be, height, width, r->o.window, r->branches == 2, err);
    if (!r->context) return M2M_ENOMEM;
    bind_context(r);
    return exec_alloc(r->x, err);
}

rollout *rollout_new(const unet_config *u, paramset *params, backend *be, const schedule *s, int height, int width,
                     const rollout_options *o, m2m_error *err)
{
    rollout *r = calloc(1, sizeof *r);
    if (!r) return fail(err, M2M_ENOMEM, "no memory for a rollout"), NULL;
    r->u = u;
    r->be = be;
    r->o = *o;
    r->branches = o->guidance == 1.0 ? 1 : 2;
    r->floats = (size_t)u->in_channels * (size_t)height * (size_t)width;
    r->sampler = sampler_new(o->sampler, s, o->steps, (int64_t)r->floats, err);
    r->scaled = malloc(r->floats * sizeof(float));
    r->predicted = malloc((size_t)r->branches * r->floats * sizeof(float));
    bool ok = r->sampler != NULL;
    if (ok && (!r->scaled || !r->predicted))
        ok = !fail(err, M2M_ENOMEM, "no memory for a latent of %zu floats", r->floats);
    if (ok && !build(r, params, height, width, err)) return r;
    rollout_free(r);
    return NULL;
}

void rollout_free(rollout *r)
{
    if (!r) return;
    for (int i = 0; i < r->count; i++) free(r->images[i]);
    free(r->images);
    free(r->scaled);
    free(r->predicted);
    exec_free(r->x);
    context_free(r->context);
    step_graph_free(&r->step);
    sampler_free(r->sampler);
    free(r);
}

size_t rollout_bytes(const rollout *r) { return context_bytes(r->context) + exec_bytes(r->x); }
size_t rollout_bytes_per_image(const rollout *r) { return context_bytes_per_image(r->context); }
const op_time *rollout_times(rollout *r, bool on)
{
    const op_time *t = exec_times(r->x);
    if (on) exec_profile(r->x, true);
    return t;
}

int64_t rollout_encoded(const rollout *r) { return context_encoded(r->context); }

int rollout_add(rollout *r, const float *latent, m2m_error *err)
{
    if (r->count == r->capacity) {
        int capacity = r->capacity ? 2 * r->capacity : 16;
        float **images = realloc(r->images, (size_t)capacity * sizeof *images);
        if (!images) return fail(err, M2M_ENOMEM, "no memory for %d images", capacity);
        r->images = images;
        r->capacity = capacity;
    }
    float *copy = malloc(r->floats * sizeof *copy);
    if (!copy) return fail(err, M2M_ENOMEM, "no memory for a latent of %zu floats", r->floats);
    memcpy(copy, latent, r->floats * sizeof *copy);
    r->images[r->count++] = copy;
    return 0;
}

static int write_lens(rollout *r, int images, m2m_error *err)
{
    const cross *c = &r->step.c;
    int status = 0;
    for (int s = 0; s < c->sizes && !status; s++) {
        int32_t with = (int32_t)(images * c->size[s]), without = (int32_t)(images ? c->size[s] : 0);
        status = exec_write_i32(r->x, c->branch[r->branches - 1].lens[s], &with, err);
        if (!status && r->branches == 2) status = exec_write_i32(r->x, c->branch[0].lens[s], &without, err);
    }
    return status;
}

/* The context that the next image sees, at timestep t. */
static int set_context(rollout *r, float t, m2m_error *err)
{
    int n = r->count < r->o.window ? r->count : r->o.window;
    if (r->o.no_cache) context_clear(r->context);
    int status = context_set(r->context, (const float *const *)r->images + (r->count - n), n, t, err);
    return status ? status : write_lens(r, n, err);
}

int rollout_predict(rollout *r, const float *sample, int k, const float **guided, m2m_error *err)
{
    float t = sampler_timestep(r->sampler, k);
    int status = set_context(r, t, err);
    if (status) return status;
    memcpy(r->scaled, sample, r->floats * sizeof *sample);
    sampler_scale_input(r->sampler, k, r->scaled, (int64_t)r->floats);
    status = exec_write(r->x, r->step.latent, r->scaled, err);
    if (!status) status = exec_write(r->x, r->step.timestep, &t, err);
    if (!status) status = exec_run(r->x, err);
    if (status) return status;
    exec_read(r->x, r->step.prediction, r->predicted);
    if (r->branches == 2)
        guide_two(r->predicted, r->predicted, r->predicted + r->floats, r->o.guidance, (int64_t)r->floats);
    *guided = r->predicted;
    return 0;
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

int rollout_make(rollout *r, const float *noise, float *latent, float *trajectory, rollout_step *step, void *user,
                 m2m_error *err)
{
    size_t n = r->floats;
    float sigma = sampler_init_sigma(r->sampler);
    for (size_t i = 0; i < n; i++) latent[i] = noise[i] * sigma;
    if (trajectory) memcpy(trajectory, latent, n * sizeof *latent);
    sampler_reset(r->sampler);
    for (int k = 0; k < r->o.steps; k++) {
        const float *guided;
        int status = rollout_predict(r, latent, k, &guided, err);
        if (status) return status;
        sampler_step(r->sampler, k, guided, latent, (int64_t)n);
        if (!all_finite(latent, n))
            return fail(err, M2M_EFORMAT, "step %d of %d made values that are not finite: the weights overflow",
                        k + 1, r->o.steps);
        if (trajectory) memcpy(trajectory + (size_t)(k + 1) * n, latent, n * sizeof *latent);
        if (step && step(user, k + 1, r->o.steps)) return fail(err, M2M_ECANCELLED, "cancelled");
    }
    return rollout_add(r, latent, err);
}
