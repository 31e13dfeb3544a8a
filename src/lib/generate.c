/* m2m_generate: images in, contexts, the auto-regressive rollout, images out; or a prompt in (prompt.c). */
#include "m2m.h"

#include "base/opts.h"
#include "base/noise.h"
#include "image/image.h"
#include "lib/device.h"
#include "lib/generation.h"
#include "lib/job.h"

#include <stdlib.h>

static bool from_text(const generation *q) { return q->m->unet.config.variant == SET_NONE; }

static int check_options(const generation *q, int n_given, m2m_error *err)
{
    const m2m_generate_options *o = q->o;
    if (from_text(q)) return prompt_check(q, n_given, err);
    if (o->prompt || o->negative_prompt)
        return fail(err, M2M_EINVAL, "prompt: %s makes images from images; wanted a text-to-image directory",
                    q->m->dir);
    if (o->latents && n_given)
        return fail(err, M2M_EINVAL, "latents: given together with %d images, wanted one of both", n_given);
    if (!o->latents && n_given < 1) return fail(err, M2M_EINVAL, "no image is given, wanted 1 or more");
    return 0;
}

/* ---- preparing ---- */

static int allocate(generation *q, m2m_error *err)
{
    q->floats = (int64_t)q->m->unet.config.in_channels * q->latent_h * q->latent_w;
    size_t latent = (size_t)q->floats * sizeof(float), n = (size_t)q->o->n;
    q->made = malloc(n * latent);
    q->image = malloc(3 * (size_t)q->width * (size_t)q->height * sizeof(float));
    if (!q->made || !q->image)
        return fail(err, M2M_ENOMEM, "no memory for %zu latents", n);
    return 0;
}

static int tell_plan(const generation *q, m2m_error *err)
{
    if (!q->calls || !q->calls->plan) return 0;
    int64_t bytes = q->m->facts.weight_bytes + (int64_t)pixels_bytes(q->decoder), per_image = 0;
    if (from_text(q)) bytes -= (int64_t)paramset_bytes(q->m->text.params);    /* its work is done */
    if (q->painter) bytes += (int64_t)painter_bytes(q->painter);
    if (q->rollout) {
        bytes += (int64_t)rollout_bytes(q->rollout);
        per_image = (int64_t)rollout_bytes_per_image(q->rollout);
    }
    if (q->sight) bytes += (int64_t)sight_bytes(q->sight);
    if (!q->calls->plan(q->calls->user, bytes, per_image)) return 0;
    return fail(err, M2M_ECANCELLED, "cancelled");
}

/* M2M-DINO's eyes, unless a replay needs none: features of what is made are looked at by the images after it. */
static int open_sight(generation *q, m2m_error *err)
{
    bool replay = q->o->latents != NULL;
    int tokens = model_tokens(q->m, q->width, q->height);
    if (q->m->unet.config.variant != SET_DINO || (replay && q->o->n == 1)) return 0;
    if (replay && q->tokens != tokens)
        return fail(err, M2M_ESHAPE, "%s: features have %d tokens, but those of the images made have %d", q->o->latents,
                    q->tokens, tokens);
    q->sight = sight_new(&q->m->vision, q->be, q->width, q->height, err);
    return q->sight ? 0 : M2M_EINVAL;
}

static int open_rollout(generation *q, m2m_error *err)
{
    const m2m_generate_options *o = q->o;
    const m2m_model *m = q->m;
    guide_interval interval;
    int status = guide_interval_parse(o->guidance_interval, &interval, err);
    if (status) return status;
    rollout_options r = {.steps = (int)o->steps, .guidance = o->guidance, .sampler = o->scheduler,
                         .interval = interval, .rescale = o->guidance_rescale, .deepcache = (int)o->deepcache,
                         .window = context_window((int)o->window, q->given),
                         .anchors = (int)o->anchors, .context_noise = (int)o->context_noise,
                         .no_cache = o->no_cache != 0, .tokens = q->tokens, .conditioned = q->conditions != NULL,
                         .condition_guidance = o->condition_guidance};
    q->rollout =
        rollout_new(&m->unet.config, m->unet.params, q->be, &m->schedule, q->latent_h, q->latent_w, &r, err);
    return q->rollout ? 0 : M2M_EINVAL;
}

/* Rows of an image's trajectory. */
static int64_t rows_of(const generation *q)
{
    return (q->painter ? painter_steps(q->painter) : rollout_steps(q->rollout)) + 1;
}

static int open_models(generation *q, m2m_error *err)
{
    q->be = device_open(q->o->device, (int)q->o->threads, DEVICE_WAY(q->o), NULL, err);
    if (!q->be) return M2M_EDEVICE;
    int status = from_text(q) ? prompt_open(q, err) : open_rollout(q, err);
    if (status) return status;
    size_t floats = (size_t)(q->o->n * rows_of(q) * q->floats);
    if (q->o->save_latents && !(q->trajectory = malloc(floats * sizeof *q->trajectory)))
        return fail(err, M2M_ENOMEM, "no memory for trajectories of %zu floats", floats);
    q->decoder = pixels_new(&q->m->vae, q->be, VAE_DECODE, 1, q->height, q->width, err);
    return q->decoder ? open_sight(q, err) : M2M_EINVAL;
}

static int prepare(generation *q, const m2m_image *given, int n_given, m2m_error *err)
{
    int status = check_options(q, n_given, err);
    if (!status) status = given_geometry(q, err);
    q->given = n_given;
    if (!status && q->o->latents) status = given_replay(q, err);
    if (!status) status = given_conditions(q, err);
    if (!status) status = given_noise(q, err);
    if (!status) status = allocate(q, err);
    if (!status && !q->o->latents) q->tokens = model_tokens(q->m, q->width, q->height);
    if (!from_text(q))
        q->content = context_floats(&q->m->unet.config, q->latent_h, q->latent_w, q->tokens);
    if (!status) status = open_models(q, err);
    if (!status) status = tell_plan(q, err);
    if (!status && q->given && !q->o->latents) status = given_encode(q, given, err);
    for (int i = 0; i < q->given && !status; i++) {
        context_image image = {q->contents + i * q->content, given_condition(q, i), 0};
        status = rollout_add(q->rollout, &image, err);
    }
    return status;
}

/* ---- making ---- */

static int on_step(void *user, int step, int steps)
{
    const generation *q = user;
    return q->calls && q->calls->step ? q->calls->step(q->calls->user, q->index, step, steps) : 0;
}

/* The image made enters the context: its latent as it is, or the features of its pixels. */
static int remember(generation *q, int i, const m2m_image *made, m2m_error *err)
{
    const float *condition = given_condition(q, q->given + i);
    if (i + 1 == q->o->n || from_text(q)) return 0;
    uint64_t seed = (uint64_t)q->o->seed;
    if (!q->sight) {
        context_image image = {q->made + i * q->floats, condition, 0};
        return rollout_add_made(q->rollout, &image, seed, (uint32_t)i, err);
    }
    float *seen = malloc((size_t)q->content * sizeof *seen);
    if (!seen) return fail(err, M2M_ENOMEM, "no memory for features");
    int status = sight_run(q->sight, made, seen, err);
    if (!status) status = rollout_add_made(q->rollout, &(context_image){seen, condition, 0}, seed, (uint32_t)i, err);
    free(seen);
    return status;
}

static int denoise(generation *q, int i, const float *noise, m2m_error *err)
{
    float *latent = q->made + i * q->floats;
    float *trajectory = q->trajectory ? q->trajectory + i * rows_of(q) * q->floats : NULL;
    if (from_text(q)) return prompt_make(q, noise, latent, trajectory, on_step, err);
    rollout_image image = {.noise = noise, .latent = latent, .condition = given_condition(q, q->given + i),
                           .trajectory = trajectory, .seed = (uint64_t)q->o->seed,
                           .index = (uint32_t)i, .step = on_step, .user = q};
    return rollout_make(q->rollout, &image, err);
}

static int make_one(generation *q, int i, m2m_image *made, m2m_error *err)
{
    float *latent = q->made + i * q->floats, *noise = NULL;
    if (!q->noise) {
        noise = malloc((size_t)q->floats * sizeof *noise);
        if (!noise) return fail(err, M2M_ENOMEM, "no memory for noise");
        noise_of_image(q->o->rng, (uint64_t)q->o->seed, i, noise, (size_t)q->floats);
    }
    q->index = i;
    int status = denoise(q, i, noise ? noise : q->noise + i * q->floats, err);
    free(noise);
    weights_drop(q->m->unet.weights);    /* their pages come back with the next image; the decoder takes the room */
    if (!status) status = pixels_decode(q->decoder, latent, q->image, err);
    if (!status) status = image_from_chw(made, q->image, q->width, q->height, err);
    if (!status) status = remember(q, i, made, err);
    if (!status && q->calls && q->calls->image && q->calls->image(q->calls->user, i, made))
        status = fail(err, M2M_ECANCELLED, "cancelled");
    return status;
}

static int save_latents(const generation *q, m2m_error *err)
{
    results r = {0};
    int64_t n = q->o->n, c = q->m->unet.config.in_channels;
    if (!q->o->save_latents) return 0;
    results_add(&r, "", "latents", SHAPE(n, c, q->latent_h, q->latent_w), q->made);
    results_add(&r, "", "trajectory", SHAPE(n, rows_of(q), c, q->latent_h, q->latent_w), q->trajectory);
    int status = results_save(&r, q->o->save_latents, err);
    results_free(&r);
    return status;
}

int m2m_generate(const m2m_model *model, const m2m_image *given, int n_given, const m2m_generate_options *options,
                 const m2m_generate_calls *calls, m2m_image *made, m2m_error *err)
{
    generation q = {.m = model, .o = options, .calls = calls};
    int status = opts_check(m2m_options("generate"), options, err);
    if (!status) status = prepare(&q, given, n_given, err);
    for (int i = 0; i < options->n && !status; i++) status = make_one(&q, i, &made[i], err);
    if (!status) status = save_latents(&q, err);
    rollout_free(q.rollout);
    painter_free(q.painter);
    pixels_free(q.decoder);
    sight_free(q.sight);
    if (q.be) q.be->close(q.be);
    float *all[] = {q.contents, q.conditions, q.states, q.noise, q.made, q.trajectory, q.image};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    return status;
}
