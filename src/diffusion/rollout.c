#include "diffusion/rollout.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A step's graph: with guidance, or outside the guidance interval with the whole condition alone. */
typedef struct pass {
    bool used;               /* at one step at least */
    guide_plan plan;
    step_graph step;
    exec *x;
    int age;                 /* steps since the deep layers ran, with that one; 0: they did not for this image */
} pass;

/* Each kind whole, then (deepcache) without its deep layers. */
enum { GUIDED, PLAIN, KINDS, PASSES = 2 * KINDS };

struct rollout {
    const unet_config *u;
    backend *be;
    rollout_options o;
    pass pass[PASSES];
    sampler *sampler;
    context *context;
    int lane[GUIDE_BRANCHES];    /* of the context, -1: none */
    size_t floats, content;      /* of a latent, of an image's content */
    context_image *images;       /* the set so far, oldest first; owned: one block each, content before condition */
    int count, capacity;
    int given;                   /* of the set, the first ones */
    context_image *seen;         /* [window] */
    int *index;                  /* [window] of the images seen */
    double signal, spoilt;       /* shares of image and noise in a made context image */
    float *scaled, *predicted;   /* [C,H,W]; [branches, C,H,W] */
    float *fresh;                /* [C,H,W] */
};

/* The zero image is needed: its keys and values stand for a whole unconditional context. */
static bool has_zero(const rollout *r, const pass *p)
{
    return p->used && r->u->variant == SET_SELF && p->plan.branch[0] == GUIDE_NONE;
}

/* Images that fit into the context of one row: all, the zero image, or (M2M-DINO's unconditional pass) none. */
static int slots_of(const rollout *r, const pass *p, guide_branch b)
{
    return b != GUIDE_NONE ? r->o.window : has_zero(r, p) ? 1 : 0;
}

/* Rows read their keys and values straight from the context's slots. */
static void bind_context(rollout *r, pass *p)
{
    const cross *c = &p->step.c;
    const context *k = r->context;
    for (int row = 0; row < p->plan.rows; row++) {
        const cross_branch *b = &c->branch[row];
        int lane = r->lane[p->plan.branch[row]];
        for (int i = 0; b->slots && i < c->layers; i++) {
            exec_bind(p->x, b->key[i], lane < 0 ? context_zero_keys(k, i) : context_keys(k, lane, i));
            exec_bind(p->x, b->value[i], lane < 0 ? context_zero_values(k, i) : context_values(k, lane, i));
        }
    }
}

/* The passes that some step needs, each with the branches that it computes. */
static void plan_passes(rollout *r)
{
    const rollout_options *o = &r->o;
    pass *guided = &r->pass[GUIDED], *plain = &r->pass[PLAIN];
    guided->plan = guide_make(o->guidance, o->condition_guidance, o->conditioned);
    guided->plan.rescale = o->rescale;
    plain->plan = guide_make(1, 1, o->conditioned);
    for (int k = 0; k < sampler_steps(r->sampler); k++) {
        bool applies = guide_applies(&o->interval, (double)sampler_timestep(r->sampler, k));
        r->pass[applies ? GUIDED : PLAIN].used = true;
    }
    for (pass *p = r->pass; p < r->pass + KINDS && o->deepcache > 1; p++) {
        p[KINDS].used = p->used;
        p[KINDS].plan = p->plan;
    }
}

/* Each branch that looks at images has its lane of the context, which the passes share. */
static int count_lanes(rollout *r)
{
    int lanes = 0;
    for (int b = 0; b < GUIDE_BRANCHES; b++) {
        bool looks = false;
        for (const pass *p = r->pass; p < r->pass + PASSES; p++)
            for (int row = 0; p->used && row < p->plan.rows; row++) looks |= (int)p->plan.branch[row] == b;
        r->lane[b] = looks && b != GUIDE_NONE ? lanes++ : -1;
    }
    return lanes > 0 ? lanes : 1;        /* the zero image alone is needed */
}

static int build_pass(rollout *r, pass *p, paramset *params, int height, int width, m2m_error *err)
{
    const bool shallow = p >= r->pass + KINDS;
    step_shape s = {.height = height, .width = width, .tokens = r->o.tokens, .branches = p->plan.rows,
                    .rows = 1, .shallow = shallow};
    for (int row = 0; row < p->plan.rows; row++) s.slots[row] = slots_of(r, p, p->plan.branch[row]);
    int status = step_graph_build(&p->step, r->u, params, &s, err);
    if (status) return status;
    node *const out[] = {p->step.prediction, p->step.deep.feature};
    p->x = exec_new(p->step.g, r->be, out, !shallow && r->o.deepcache > 1 ? 2 : 1, err);
    return p->x ? 0 : M2M_EUNSUPPORTED;
}

static int build(rollout *r, paramset *params, int height, int width, m2m_error *err)
{
    int status = 0;
    plan_passes(r);
    context_shape c = {.height = height, .width = width, .tokens = r->o.tokens, .window = r->o.window,
                       .lanes = count_lanes(r), .with_zero = has_zero(r, r->pass) || has_zero(r, r->pass + 1)};
    for (pass *p = r->pass; p < r->pass + PASSES && !status; p++)
        if (p->used) status = build_pass(r, p, params, height, width, err);
    if (status) return status;
    r->context = context_new(r->u, params, r->be, &c, err);
    if (!r->context) return M2M_ENOMEM;
    for (pass *p = r->pass; p < r->pass + PASSES && !status; p++)
        if (p->used) {
            bind_context(r, p);
            status = exec_alloc(p->x, err);
        }
    for (pass *p = r->pass; p < r->pass + KINDS && !status; p++)
        if (p[KINDS].used)
            exec_bind(p[KINDS].x, p[KINDS].step.deep.feature, exec_output(p->x, p->step.deep.feature));
    return status;
}

static int check_context(rollout *r, const schedule *s, m2m_error *err)
{
    const rollout_options *o = &r->o;
    if (o->anchors > o->window)
        return fail(err, M2M_EINVAL, "anchors: %d stay in a window of %d, wanted at most as many", o->anchors,
                    o->window);
    if (o->context_noise == 0) return 0;
    int status = context_noise_fits(r->u, err);
    if (status) return status;
    if (o->context_noise < 0 || o->context_noise >= s->train_steps)
        return fail(err, M2M_EINVAL, "context_noise: %d, wanted a timestep of the schedule, 0..%d", o->context_noise,
                    s->train_steps - 1);
    r->signal = schedule_signal(s, o->context_noise);
    r->spoilt = schedule_noise(s, o->context_noise);
    return 0;
}

rollout *rollout_new(const unet_config *u, paramset *params, backend *be, const schedule *s, int height, int width,
                     const rollout_options *o, m2m_error *err)
{
    rollout *r = calloc(1, sizeof *r);
    if (!r) return fail(err, M2M_ENOMEM, "no memory for a rollout"), NULL;
    r->u = u;
    r->be = be;
    r->o = *o;
    r->floats = (size_t)u->in_channels * (size_t)height * (size_t)width;
    r->content = (size_t)context_floats(u, height, width, o->tokens);
    r->sampler = sampler_new(o->sampler, s, o->steps, (int64_t)r->floats, err);
    r->scaled = malloc(r->floats * sizeof(float));
    r->fresh = malloc(r->floats * sizeof(float));
    r->predicted = malloc((size_t)GUIDE_BRANCHES * r->floats * sizeof(float));
    r->seen = calloc((size_t)o->window, sizeof *r->seen);
    r->index = calloc((size_t)o->window, sizeof *r->index);
    bool ok = r->sampler != NULL && !wants_image_set(u, err) && !check_context(r, s, err);
    if (ok && (!r->scaled || !r->fresh || !r->predicted || !r->seen || !r->index))
        ok = !fail(err, M2M_ENOMEM, "no memory for a latent of %zu floats", r->floats);
    if (ok && !build(r, params, height, width, err)) return r;
    rollout_free(r);
    return NULL;
}

void rollout_free(rollout *r)
{
    if (!r) return;
    for (int i = 0; i < r->count; i++) free((float *)r->images[i].content);
    free(r->images);
    free(r->seen);
    free(r->index);
    free(r->scaled);
    free(r->fresh);
    free(r->predicted);
    for (pass *p = r->pass; p < r->pass + PASSES; p++) {
        exec_free(p->x);
        step_graph_free(&p->step);
    }
    context_free(r->context);
    sampler_free(r->sampler);
    free(r);
}

size_t rollout_bytes(const rollout *r)
{
    size_t bytes = context_bytes(r->context);
    for (const pass *p = r->pass; p < r->pass + PASSES; p++)
        if (p->used) bytes += exec_bytes(p->x);
    return bytes;
}

size_t rollout_bytes_per_image(const rollout *r) { return context_bytes_per_image(r->context); }
exec *rollout_exec(rollout *r) { return r->pass[r->pass[GUIDED].used ? GUIDED : PLAIN].x; }

int64_t rollout_encoded(const rollout *r) { return context_encoded(r->context); }
int rollout_steps(const rollout *r) { return sampler_steps(r->sampler); }
int rollout_branches(const rollout *r) { return r->pass[GUIDED].plan.rows; }

static int append(rollout *r, const context_image *image, m2m_error *err)
{
    if (r->count == r->capacity) {
        int capacity = r->capacity ? 2 * r->capacity : 16;
        context_image *images = realloc(r->images, (size_t)capacity * sizeof *images);
        if (!images) return fail(err, M2M_ENOMEM, "no memory for %d images", capacity);
        r->images = images;
        r->capacity = capacity;
    }
    size_t numbers = (size_t)condition_numbers(r->u->condition);
    float *copy = malloc((r->content + numbers) * sizeof *copy);
    if (!copy) return fail(err, M2M_ENOMEM, "no memory for an image of %zu floats", r->content);
    memcpy(copy, image->content, r->content * sizeof *copy);
    if (image->condition) memcpy(copy + r->content, image->condition, numbers * sizeof *copy);
    r->images[r->count++] = (context_image){copy, image->condition ? copy + r->content : NULL, image->level};
    return 0;
}

int rollout_add(rollout *r, const context_image *image, m2m_error *err)
{
    check(r->given == r->count, "a given image behind %d made ones", r->count - r->given);
    int status = append(r, image, err);
    if (!status) r->given = r->count;
    return status;
}

int rollout_add_made(rollout *r, const context_image *image, uint64_t seed, uint32_t index, m2m_error *err)
{
    if (r->o.context_noise == 0) return append(r, image, err);
    rng_normal(seed, RNG_CONTEXT, index, r->fresh, r->floats);
    for (size_t i = 0; i < r->floats; i++)
        r->fresh[i] = (float)(r->signal * image->content[i] + r->spoilt * r->fresh[i]);
    return append(r, &(context_image){r->fresh, image->condition, r->o.context_noise}, err);
}

static int write_lens(pass *p, int images, m2m_error *err)
{
    const cross *c = &p->step.c;
    int status = 0;
    for (int row = 0; row < p->plan.rows; row++)
        for (int s = 0; c->branch[row].slots && s < c->sizes && !status; s++) {
            int filled = p->plan.branch[row] == GUIDE_NONE ? images > 0 : images;
            status = exec_write_i32(p->x, c->branch[row].lens[s], &(int32_t){(int32_t)(filled * c->size[s])}, err);
        }
    return status;
}

/* The context that the next image sees, at timestep t. */
static int set_context(rollout *r, pass *p, float t, m2m_error *err)
{
    int n = context_choose(r->count, r->given, r->o.window, r->o.anchors, r->index), status = 0;
    if (r->o.no_cache) context_clear(r->context);
    for (int row = 0; row < p->plan.rows && !status; row++) {
        guide_branch b = p->plan.branch[row];
        for (int i = 0; i < n; i++) {
            r->seen[i] = r->images[r->index[i]];
            if (b == GUIDE_IMAGES) r->seen[i].condition = NULL;
        }
        if (r->lane[b] >= 0) status = context_set(r->context, r->lane[b], r->seen, n, t, err);
        else if (p->plan.rows == 1 && has_zero(r, p)) status = context_set(r->context, 0, r->seen, n, t, err);
    }
    return status ? status : write_lens(p, n, err);
}

static int write_condition(pass *p, const float *condition, m2m_error *err)
{
    static const float none[CONDITION_NUMBERS];
    const condition_inputs *in = &p->step.condition;
    float present[MAX_BRANCHES];
    if (!in->values) return 0;
    for (int row = 0; row < p->plan.rows; row++) present[row] = condition && p->plan.branch[row] == GUIDE_FULL;
    int status = exec_write(p->x, in->values, condition ? condition : none, err);
    return status ? status : exec_write(p->x, in->present, present, err);
}

/* With deepcache the deep layers run at the first of so many steps of a kind. */
static pass *choose_pass(rollout *r, float t)
{
    pass *p = &r->pass[guide_applies(&r->o.interval, (double)t) ? GUIDED : PLAIN];
    if (p->age == 0 || p->age >= r->o.deepcache) {
        p->age = 1;
        return p;
    }
    p->age++;
    return p + KINDS;
}

int rollout_predict(rollout *r, const float *sample, const float *condition, int k, const float **guided,
                    m2m_error *err)
{
    float t = sampler_timestep(r->sampler, k);
    pass *p = choose_pass(r, t);
    int status = set_context(r, p, t, err);
    if (status) return status;
    memcpy(r->scaled, sample, r->floats * sizeof *sample);
    sampler_scale_input(r->sampler, k, r->scaled, (int64_t)r->floats);
    status = exec_write(p->x, p->step.latent, r->scaled, err);
    if (!status) status = exec_write(p->x, p->step.timestep, &t, err);
    if (!status) status = write_condition(p, condition, err);
    if (!status) status = exec_run(p->x, err);
    if (status) return status;
    exec_read(p->x, p->step.prediction, r->predicted);
    guide_apply(&p->plan, r->predicted, r->predicted, (int64_t)r->floats);
    *guided = r->predicted;
    return 0;
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

int rollout_make(rollout *r, const rollout_image *image, m2m_error *err)
{
    size_t n = r->floats;
    float sigma = sampler_init_sigma(r->sampler), *latent = image->latent;
    for (size_t i = 0; i < n; i++) latent[i] = image->noise[i] * sigma;
    if (image->trajectory) memcpy(image->trajectory, latent, n * sizeof *latent);
    sampler_reset(r->sampler);
    for (pass *p = r->pass; p < r->pass + KINDS; p++) p->age = 0;
    int steps = sampler_steps(r->sampler);
    for (int k = 0; k < steps; k++) {
        const float *guided;
        int status = rollout_predict(r, latent, image->condition, k, &guided, err);
        if (status) return status;
        if (sampler_wants_noise(r->sampler, k)) {
            sampler_noise(image->seed, k, image->index, r->fresh, (int64_t)n);
            sampler_give_noise(r->sampler, r->fresh);
        }
        sampler_step(r->sampler, k, guided, latent, (int64_t)n);
        if (!all_finite(latent, n))
            return fail(err, M2M_EFORMAT, "step %d of %d made values that are not finite: the weights overflow",
                        k + 1, steps);
        if (image->trajectory) memcpy(image->trajectory + (size_t)(k + 1) * n, latent, n * sizeof *latent);
        if (image->step && image->step(image->user, k + 1, steps)) return fail(err, M2M_ECANCELLED, "cancelled");
    }
    return 0;
}
