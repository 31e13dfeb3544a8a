#include "diffusion/painter.h"

#include "base/error.h"
#include "diffusion/context.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A step's graph: with guidance (2 branches: rows of the negative prompt first, then those of the text) or without. */
typedef struct pass {
    int branches;            /* 0: no step needs it */
    step_graph step;
    exec *x;
    int age;                 /* steps since the deep layers ran, with that one; 0: they did not for these images */
} pass;

/* Each kind whole, then (deepcache) without its deep layers. */
enum { GUIDED, PLAIN, KINDS, PASSES = 2 * KINDS };

struct painter {
    painter_options o;
    pass pass[PASSES];
    context *texts;          /* keys and values of the text, in a lane behind that of the negative prompt if any */
    size_t floats;           /* of a latent */
    sampler *sampler;        /* of all latents of a batch together */
    float *samples;          /* [batch, C,H,W] */
    float *scaled;           /* [batch, C,H,W] */
    float *predicted;        /* [2*batch, C,H,W] */
    const uint64_t *seeds;   /* [n] of noise that the sampler adds; NULL: none given */
    const uint32_t *index;   /* [n] likewise; NULL: 0 for all */
    float *fresh;            /* [batch, C,H,W] */
};

static bool guides(const painter *p, int k)
{
    return p->o.guidance != 1.0 && guide_applies(&p->o.interval, (double)sampler_timestep(p->sampler, k));
}

static bool has_negative(const painter *p) { return p->pass[GUIDED].branches > 0; }

/* With guidance both lanes are read, one behind the other, else that of the text. */
static void bind_texts(const painter *p, pass *a)
{
    const int lane = has_negative(p) && a->branches == 1;
    const cross *c = &a->step.c;
    for (int i = 0; i < c->layers; i++) {
        exec_bind(a->x, c->branch[0].key[i], context_keys(p->texts, lane, i));
        exec_bind(a->x, c->branch[0].value[i], context_values(p->texts, lane, i));
    }
}

static int build_pass(painter *p, pass *a, paramset *params, const unet_config *u, backend *be, int height, int width,
                      m2m_error *err)
{
    const bool shallow = a >= p->pass + KINDS;
    const step_shape s = {.height = height, .width = width, .tokens = p->o.tokens, .branches = a->branches,
                          .rows = p->o.batch, .shallow = shallow};
    int status = step_graph_build(&a->step, u, params, &s, err);
    if (status) return status;
    node *const out[] = {a->step.prediction, a->step.deep.feature};
    a->x = exec_new(a->step.g, be, out, !shallow && p->o.deepcache > 1 ? 2 : 1, err);
    if (!a->x) return M2M_EUNSUPPORTED;
    bind_texts(p, a);
    status = exec_alloc(a->x, err);
    if (!status && shallow)
        exec_bind(a->x, a->step.deep.feature, exec_output(a[-KINDS].x, a[-KINDS].step.deep.feature));
    return status;
}

static int build(painter *p, paramset *params, const unet_config *u, backend *be, int height, int width, m2m_error *err)
{
    int status = 0;
    for (int k = 0; k < sampler_steps(p->sampler); k++) {
        bool guided = guides(p, k);
        p->pass[guided ? GUIDED : PLAIN].branches = guided ? 2 : 1;
    }
    for (pass *a = p->pass; a < p->pass + KINDS && p->o.deepcache > 1; a++) a[KINDS].branches = a->branches;
    const context_shape c = {.height = height, .width = width, .tokens = p->o.tokens, .window = 1,
                             .lanes = has_negative(p) ? 2 : 1};
    p->texts = context_new(u, params, be, &c, err);
    if (!p->texts) return M2M_ENOMEM;
    for (pass *a = p->pass; a < p->pass + PASSES && !status; a++)
        if (a->branches) status = build_pass(p, a, params, u, be, height, width, err);
    return status;
}

painter *painter_new(const unet_config *u, paramset *params, backend *be, const schedule *s, int height, int width,
                     const painter_options *o, m2m_error *err)
{
    painter *p = calloc(1, sizeof *p);
    if (!p) return fail(err, M2M_ENOMEM, "no memory for a painter"), NULL;
    p->o = *o;
    p->floats = (size_t)u->in_channels * (size_t)height * (size_t)width;
    size_t batch = (size_t)o->batch;
    p->sampler = sampler_new(o->sampler, s, o->steps, (int64_t)(batch * p->floats), err);
    p->samples = calloc(batch * p->floats, sizeof *p->samples);
    p->scaled = malloc(batch * p->floats * sizeof *p->scaled);
    p->predicted = malloc(2 * batch * p->floats * sizeof *p->predicted);
    p->fresh = malloc(batch * p->floats * sizeof *p->fresh);
    bool ok = p->sampler != NULL;
    if (ok && (!p->samples || !p->scaled || !p->predicted || !p->fresh))
        ok = !fail(err, M2M_ENOMEM, "no memory for a batch of %zu latents", batch);
    if (ok && !build(p, params, u, be, height, width, err)) return p;
    painter_free(p);
    return NULL;
}

void painter_free(painter *p)
{
    if (!p) return;
    float *all[] = {p->samples, p->scaled, p->predicted, p->fresh};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    for (pass *a = p->pass; a < p->pass + PASSES; a++) {
        exec_free(a->x);
        step_graph_free(&a->step);
    }
    context_free(p->texts);
    sampler_free(p->sampler);
    free(p);
}

size_t painter_bytes(const painter *p)
{
    size_t bytes = context_bytes(p->texts);
    for (const pass *a = p->pass; a < p->pass + PASSES; a++)
        if (a->branches) bytes += exec_bytes(a->x);
    return bytes;
}

/* Keys and values of both texts, where they are not those of the last time. */
static int set_texts(painter *p, const float *text, const float *negative, m2m_error *err)
{
    const context_image first = {.content = has_negative(p) ? negative : text}, second = {.content = text};
    int status = context_set(p->texts, 0, &first, 1, 0, err);
    if (!status && has_negative(p)) status = context_set(p->texts, 1, &second, 1, 0, err);
    return status;
}

/* With deepcache the deep layers run at the first of so many steps of a kind. */
static const pass *choose_pass(painter *p, int k)
{
    pass *a = &p->pass[guides(p, k) ? GUIDED : PLAIN];
    if (a->age == 0 || a->age >= p->o.deepcache) {
        a->age = 1;
        return a;
    }
    a->age++;
    return a + KINDS;
}

/* The guided prediction for p->samples at step k, in p->predicted. */
static int predict(painter *p, int k, m2m_error *err)
{
    size_t all = (size_t)p->o.batch * p->floats;
    const pass *a = choose_pass(p, k);
    float time = sampler_timestep(p->sampler, k);
    memcpy(p->scaled, p->samples, all * sizeof *p->scaled);
    sampler_scale_input(p->sampler, k, p->scaled, (int64_t)all);
    int status = exec_write(a->x, a->step.latent, p->scaled, err);
    if (!status) status = exec_write(a->x, a->step.timestep, &time, err);
    if (!status) status = exec_run(a->x, err);
    if (status) return status;
    exec_read(a->x, a->step.prediction, p->predicted);
    for (size_t i = 0; a->branches == 2 && i < all; i += p->floats) {
        float *guided = p->predicted + i, *full = guided + all;
        guide_two(guided, guided, full, p->o.guidance, (int64_t)p->floats);
        guide_rescale(guided, full, p->o.rescale, (int64_t)p->floats);
    }
    return 0;
}

static int check_finite(const painter *p, int n, int k, m2m_error *err)
{
    for (size_t i = 0; i < (size_t)n * p->floats; i++)
        if (!isfinite(p->samples[i]))
            return fail(err, M2M_EFORMAT, "step %d of %d made values that are not finite: the weights overflow", k + 1,
                        sampler_steps(p->sampler));
    return 0;
}

/* Fresh noise for the latents of this step, where the sampler wants it: of (seed, step, index), so that a latent's bits
 * don't depend on its batch. */
static int give_noise(painter *p, int n, int k, m2m_error *err)
{
    if (!sampler_wants_noise(p->sampler, k)) return 0;
    if (!p->seeds)
        return fail(err, M2M_EINVAL, "scheduler %s draws noise of its own, and no seed was given for it", p->o.sampler);
    memset(p->fresh, 0, (size_t)p->o.batch * p->floats * sizeof *p->fresh);
    for (int i = 0; i < n; i++)
        sampler_noise(p->seeds[i], k, p->index ? p->index[i] : 0, p->fresh + (size_t)i * p->floats, (int64_t)p->floats);
    sampler_give_noise(p->sampler, p->fresh);
    return 0;
}

int painter_steps(const painter *p) { return sampler_steps(p->sampler); }

double painter_flops(const painter *p)
{
    painter walked = *p;
    double sum = 0;
    for (pass *a = walked.pass; a < walked.pass + KINDS; a++) a->age = 0;
    for (int k = 0; k < sampler_steps(p->sampler); k++) sum += graph_flops(choose_pass(&walked, k)->step.g);
    return sum / p->o.batch;
}

void painter_seeds(painter *p, const uint64_t *seeds, const uint32_t *index)
{
    p->seeds = seeds;
    p->index = index;
}

int painter_make(painter *p, const float *text, const float *negative, const float *noise, int n, float *latents,
                 float *trajectory, painter_step *step, void *user, m2m_error *err)
{
    check(n >= 1 && n <= p->o.batch, "%d latents in a batch of %d", n, p->o.batch);
    size_t used = (size_t)n * p->floats, all = (size_t)p->o.batch * p->floats;
    float sigma = sampler_init_sigma(p->sampler);
    for (size_t i = 0; i < all; i++) p->samples[i] = i < used ? noise[i] * sigma : 0;   /* rows that nobody wants */
    if (trajectory) memcpy(trajectory, p->samples, used * sizeof *trajectory);
    sampler_reset(p->sampler);
    for (pass *a = p->pass; a < p->pass + KINDS; a++) a->age = 0;
    int status = set_texts(p, text, negative, err);
    int steps = sampler_steps(p->sampler);
    for (int k = 0; k < steps && !status; k++) {
        status = predict(p, k, err);
        if (!status) status = give_noise(p, n, k, err);
        if (status) break;
        sampler_step(p->sampler, k, p->predicted, p->samples, (int64_t)all);
        status = check_finite(p, n, k, err);
        if (trajectory) memcpy(trajectory + (size_t)(k + 1) * used, p->samples, used * sizeof *trajectory);
        if (!status && step && step(user, k + 1, steps)) status = fail(err, M2M_ECANCELLED, "cancelled");
    }
    if (!status) memcpy(latents, p->samples, used * sizeof *latents);
    return status;
}
