/* m2m_generate: images in, latents, the auto-regressive rollout, images out. */
#include "m2m.h"

#include "base/opts.h"
#include "base/rng.h"
#include "diffusion/rollout.h"
#include "image/image.h"
#include "image/resize.h"
#include "image/spec.h"
#include "lib/device.h"
#include "lib/job.h"
#include "lib/model.h"
#include "models/pixels.h"

#include <stdlib.h>
#include <string.h>

typedef struct generation {
    const m2m_model *m;
    const m2m_generate_options *o;
    const m2m_generate_calls *calls;
    backend *be;
    int width, height;       /* pixels */
    int64_t floats;          /* of a latent */
    int latent_h, latent_w;
    uint8_t background[3];
    image_fit_mode fit;
    int given;
    float *given_latents;    /* [given, C,h,w] */
    float *noise;            /* [n, C,h,w] from a file, or NULL */
    float *made;             /* [n, C,h,w] */
    float *trajectory;       /* [n, steps+1, C,h,w], or NULL */
    float *image;            /* [3, H, W] */
    pixels *encoder, *decoder;
    rollout *rollout;
    int index;               /* image being made */
} generation;

/* ---- options ---- */

static int check_options(const generation *q, int n_given, m2m_error *err)
{
    const m2m_generate_options *o = q->o;
    if (o->prompt || o->negative_prompt)
        return fail(err, M2M_EINVAL, "prompt: %s makes images from images; wanted a text-to-image directory",
                    q->m->dir);
    if (o->camera || o->position >= 0 || o->condition_guidance >= 0)
        return fail(err, M2M_EINVAL, "camera, position and condition-guidance: %s was trained without a task condition",
                    q->m->dir);
    if (o->latents && n_given)
        return fail(err, M2M_EINVAL, "latents: given together with %d images, wanted one of both", n_given);
    if (!o->latents && n_given < 1) return fail(err, M2M_EINVAL, "no image is given, wanted 1 or more");
    return 0;
}

static int read_geometry(generation *q, m2m_error *err)
{
    int f = vae_factor(&q->m->vae.config);
    q->width = q->m->facts.width;
    q->height = q->m->facts.height;
    int status = q->o->size ? parse_size(q->o->size, &q->width, &q->height, err) : 0;
    if (!status) status = parse_colour(q->o->background, q->background, err);
    if (!status) status = parse_fit(q->o->fit, &q->fit, err);
    if (!status && (q->width % f || q->height % f))
        status = fail(err, M2M_EINVAL, "size: %dx%d, wanted multiples of %d", q->width, q->height, f);
    q->latent_w = q->width / f;
    q->latent_h = q->height / f;
    return status;
}

/* The given latents decide the size, unless --size contradicts them. */
static int read_latents(generation *q, m2m_error *err)
{
    safetensors *file;
    shape s;
    int f = vae_factor(&q->m->vae.config), status = safetensors_open(&file, q->o->latents, err);
    if (status) return status;
    q->given_latents = job_floats(file, "latents", 4, &s, err);
    if (!q->given_latents) status = M2M_ESHAPE;
    else if (s.dim[1] != q->m->unet.config.in_channels)
        status = fail(err, M2M_ESHAPE, "%s: latents have %lld channels, wanted %d", q->o->latents, (long long)s.dim[1],
                      q->m->unet.config.in_channels);
    else if (q->o->size && (s.dim[2] != q->latent_h || s.dim[3] != q->latent_w))
        status = fail(err, M2M_ESHAPE, "%s: latents are %lldx%lld, but size %s wants %dx%d", q->o->latents,
                      (long long)s.dim[3], (long long)s.dim[2], q->o->size, q->latent_w, q->latent_h);
    else if (s.dim[2] > 8192 || s.dim[3] > 8192 || s.dim[0] > 100000)
        status = fail(err, M2M_ESHAPE, "%s: latents are too large", q->o->latents);
    if (!status) {
        q->given = (int)s.dim[0];
        q->latent_h = (int)s.dim[2];
        q->latent_w = (int)s.dim[3];
        q->height = q->latent_h * f;
        q->width = q->latent_w * f;
    }
    safetensors_close(&file);
    return status;
}

static int read_noise(generation *q, m2m_error *err)
{
    safetensors *file;
    shape s;
    if (!q->o->noise) return 0;
    int status = safetensors_open(&file, q->o->noise, err);
    if (status) return status;
    shape wanted = SHAPE(q->o->n, q->m->unet.config.in_channels, q->latent_h, q->latent_w);
    const tensor *t;
    status = safetensors_need(file, "noise", &wanted, &t, err);
    if (!status && !(q->noise = job_floats(file, "noise", 4, &s, err))) status = M2M_ESHAPE;
    safetensors_close(&file);
    return status;
}

/* ---- preparing ---- */

static int encode_given(generation *q, const m2m_image *given, m2m_error *err)
{
    int status = 0;
    q->given_latents = malloc((size_t)(q->given * q->floats) * sizeof *q->given_latents);
    if (!q->given_latents) return fail(err, M2M_ENOMEM, "no memory for %d latents", q->given);
    q->encoder = pixels_new(&q->m->vae, q->be, VAE_ENCODE, 1, q->height, q->width, err);
    if (!q->encoder) return M2M_EINVAL;
    for (int i = 0; i < q->given && !status; i++) {
        m2m_image fitted = {0};
        status = image_fit(&fitted, &given[i], q->width, q->height, q->fit, q->background, err);
        if (!status) image_to_chw(&fitted, q->image);
        if (!status) status = pixels_encode(q->encoder, q->image, q->given_latents + i * q->floats, err);
        m2m_image_free(&fitted);
    }
    pixels_free(q->encoder);
    q->encoder = NULL;
    return status;
}

static int allocate(generation *q, m2m_error *err)
{
    q->floats = (int64_t)q->m->unet.config.in_channels * q->latent_h * q->latent_w;
    size_t latent = (size_t)q->floats * sizeof(float), n = (size_t)q->o->n;
    q->made = malloc(n * latent);
    q->image = malloc(3 * (size_t)q->width * (size_t)q->height * sizeof(float));
    if (q->o->save_latents) q->trajectory = malloc(n * (size_t)(q->o->steps + 1) * latent);
    if (!q->made || !q->image || (q->o->save_latents && !q->trajectory))
        return fail(err, M2M_ENOMEM, "no memory for %zu latents", n);
    return 0;
}

static int tell_plan(const generation *q, m2m_error *err)
{
    if (!q->calls || !q->calls->plan) return 0;
    int64_t bytes = q->m->facts.weight_bytes + (int64_t)(rollout_bytes(q->rollout) + pixels_bytes(q->decoder));
    if (!q->calls->plan(q->calls->user, bytes, (int64_t)rollout_bytes_per_image(q->rollout))) return 0;
    return fail(err, M2M_ECANCELLED, "cancelled");
}

static int prepare(generation *q, const m2m_image *given, int n_given, m2m_error *err)
{
    int status = check_options(q, n_given, err);
    if (!status) status = read_geometry(q, err);
    q->given = n_given;
    if (!status && q->o->latents) status = read_latents(q, err);
    if (!status) status = allocate(q, err);
    if (!status) status = read_noise(q, err);
    if (status) return status;
    q->be = device_open(q->o->device, (int)q->o->threads, q->o->exact != 0, NULL, err);
    if (!q->be) return M2M_EDEVICE;
    rollout_options r = {.steps = (int)q->o->steps, .guidance = q->o->guidance, .sampler = q->o->scheduler,
                         .window = (int)q->o->window, .no_cache = q->o->no_cache != 0};
    q->rollout =
        rollout_new(&q->m->unet.config, q->m->unet.params, q->be, &q->m->schedule, q->latent_h, q->latent_w, &r, err);
    if (!q->rollout) return M2M_EINVAL;
    q->decoder = pixels_new(&q->m->vae, q->be, VAE_DECODE, 1, q->height, q->width, err);
    if (!q->decoder) return M2M_EINVAL;
    status = tell_plan(q, err);
    if (!status && !q->o->latents) status = encode_given(q, given, err);
    for (int i = 0; i < q->given && !status; i++)
        status = rollout_add(q->rollout, q->given_latents + i * q->floats, err);
    return status;
}

/* ---- making ---- */

static int on_step(void *user, int step, int steps)
{
    const generation *q = user;
    return q->calls && q->calls->step ? q->calls->step(q->calls->user, q->index, step, steps) : 0;
}

static int make_one(generation *q, int i, m2m_image *made, m2m_error *err)
{
    float *latent = q->made + i * q->floats, *noise = NULL;
    float *trajectory = q->trajectory ? q->trajectory + i * (q->o->steps + 1) * q->floats : NULL;
    if (!q->noise) {
        noise = malloc((size_t)q->floats * sizeof *noise);
        if (!noise) return fail(err, M2M_ENOMEM, "no memory for noise");
        rng_normal((uint64_t)q->o->seed, RNG_NOISE, (uint32_t)i, noise, (size_t)q->floats);
    }
    q->index = i;
    int status =
        rollout_make(q->rollout, noise ? noise : q->noise + i * q->floats, latent, trajectory, on_step, q, err);
    free(noise);
    if (!status) status = pixels_decode(q->decoder, latent, q->image, err);
    if (!status) status = image_from_chw(made, q->image, q->width, q->height, err);
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
    results_add(&r, "", "trajectory", SHAPE(n, q->o->steps + 1, c, q->latent_h, q->latent_w), q->trajectory);
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
    pixels_free(q.decoder);
    if (q.be) q.be->close(q.be);
    float *all[] = {q.given_latents, q.noise, q.made, q.trajectory, q.image};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    return status;
}
