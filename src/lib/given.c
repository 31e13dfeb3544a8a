#include "lib/generation.h"

#include "image/image.h"
#include "image/spec.h"
#include "lib/job.h"
#include "lib/poses.h"

#include <stdlib.h>
#include <string.h>

static bool is_dino(const generation *q) { return q->m->unet.config.variant == SET_DINO; }
static set_condition kind_of(const generation *q) { return q->m->unet.config.condition; }

/* ---- sizes ---- */

int given_geometry(generation *q, m2m_error *err)
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

/* Tensors decide the size, unless --size contradicts them. */
static int take_size(generation *q, const char *path, const char *name, shape s, m2m_error *err)
{
    int f = vae_factor(&q->m->vae.config), channels = q->m->unet.config.in_channels;
    if (s.dim[1] != channels)
        return fail(err, M2M_ESHAPE, "%s: %s have %lld channels, wanted %d", path, name, (long long)s.dim[1], channels);
    if (q->o->size && (s.dim[2] != q->latent_h || s.dim[3] != q->latent_w))
        return fail(err, M2M_ESHAPE, "%s: %s are %lldx%lld, but size %s wants %dx%d", path, name, (long long)s.dim[3],
                    (long long)s.dim[2], q->o->size, q->latent_w, q->latent_h);
    if (s.dim[2] > 8192 || s.dim[3] > 8192 || s.dim[0] > 100000)
        return fail(err, M2M_ESHAPE, "%s: %s are too large", path, name);
    q->latent_h = (int)s.dim[2];
    q->latent_w = (int)s.dim[3];
    q->height = q->latent_h * f;
    q->width = q->latent_w * f;
    return 0;
}

/* ---- replay ---- */

static int replay_latents(generation *q, const safetensors *file, m2m_error *err)
{
    shape s;
    q->contents = job_floats(file, "latents", 4, &s, err);
    int status = q->contents ? take_size(q, q->o->latents, "latents", s, err) : M2M_ESHAPE;
    if (!status) q->given = (int)s.dim[0];
    return status;
}

static int replay_features(generation *q, const safetensors *file, m2m_error *err)
{
    shape s;
    q->contents = job_floats(file, "features", 3, &s, err);
    if (!q->contents) return M2M_ESHAPE;
    if (s.dim[2] != q->m->unet.config.cross_dim)
        return fail(err, M2M_ESHAPE, "%s: features are %lld wide, wanted %d", q->o->latents, (long long)s.dim[2],
                    q->m->unet.config.cross_dim);
    if (s.dim[0] > 100000 || s.dim[1] > 1 << 20)
        return fail(err, M2M_ESHAPE, "%s: features are too large", q->o->latents);
    q->given = (int)s.dim[0];
    q->tokens = (int)s.dim[1];
    const tensor *latents = safetensors_find(file, "latents");
    if (latents && latents->shape.rank == 4) return take_size(q, q->o->latents, "latents", latents->shape, err);
    return 0;
}

static int replay_conditions(generation *q, const safetensors *file, m2m_error *err)
{
    shape s;
    int numbers = condition_numbers(kind_of(q));
    if (!job_has(file, "condition")) return 0;
    if (!numbers)
        return fail(err, M2M_EINVAL, "%s: has a tensor condition, but the model's condition is none", q->o->latents);
    q->conditions = job_floats(file, "condition", 2, &s, err);
    if (!q->conditions) return M2M_ESHAPE;
    if (s.dim[0] == q->given + q->o->n && s.dim[1] == numbers) return 0;
    return fail(err, M2M_ESHAPE, "%s: condition is [%lld, %lld], wanted [%lld, %d]: all given and made images",
                q->o->latents, (long long)s.dim[0], (long long)s.dim[1], (long long)(q->given + q->o->n), numbers);
}

int given_replay(generation *q, m2m_error *err)
{
    safetensors *file;
    int status = safetensors_open(&file, q->o->latents, err);
    if (status) return status;
    status = is_dino(q) ? replay_features(q, file, err) : replay_latents(q, file, err);
    if (!status) status = replay_conditions(q, file, err);
    safetensors_close(&file);
    return status;
}

int given_noise(generation *q, m2m_error *err)
{
    safetensors *file;
    shape s;
    if (!q->o->noise) return 0;
    int status = safetensors_open(&file, q->o->noise, err);
    if (status) return status;
    const tensor *t;
    status = safetensors_need(file, "noise", NULL, &t, err);
    if (!status && is_dino(q) && q->o->latents && t->shape.rank == 4)      /* features have no size of their own */
        status = take_size(q, q->o->noise, "noise", t->shape, err);
    shape wanted = SHAPE(q->o->n, q->m->unet.config.in_channels, q->latent_h, q->latent_w);
    if (!status) status = safetensors_need(file, "noise", &wanted, &t, err);
    if (!status && !(q->noise = job_floats(file, "noise", 4, &s, err))) status = M2M_ESHAPE;
    safetensors_close(&file);
    return status;
}

/* ---- images ---- */

static int encode_one(generation *q, pixels *encoder, const m2m_image *image, float *out, m2m_error *err)
{
    m2m_image fitted = {0};
    int status = image_fit(&fitted, image, q->width, q->height, q->fit, q->background, err);
    if (!status && q->sight) status = sight_run(q->sight, &fitted, out, err);
    else if (!status) {
        image_to_chw(&fitted, q->image);
        status = pixels_encode(encoder, q->image, out, err);
    }
    m2m_image_free(&fitted);
    return status;
}

int given_encode(generation *q, const m2m_image *images, m2m_error *err)
{
    int status = 0;
    pixels *encoder = NULL;
    q->contents = malloc((size_t)(q->given * q->content) * sizeof *q->contents);
    if (!q->contents) return fail(err, M2M_ENOMEM, "no memory for %d images", q->given);
    if (!q->sight) encoder = pixels_new(&q->m->vae, q->be, VAE_ENCODE, 1, q->height, q->width, err);
    if (!q->sight && !encoder) return M2M_EINVAL;
    for (int i = 0; i < q->given && !status; i++)
        status = encode_one(q, encoder, &images[i], q->contents + i * q->content, err);
    pixels_free(encoder);
    return status;
}

/* ---- task conditions ---- */

static int read_cameras(generation *q, m2m_error *err)
{
    int n = (int)q->o->n, all = q->given + n, found;
    float *poses;
    int status = poses_read(&poses, &found, q->o->camera, all, err);
    if (status) return status;
    if (found != all && found != n) {
        free(poses);
        return fail(err, M2M_EINVAL, "camera: %s has %d cameras, wanted %d (of the images to make) or %d (of the given "
                    "ones, too)", q->o->camera, found, n, all);
    }
    q->conditions = calloc((size_t)all * 12, sizeof *q->conditions);
    if (q->conditions) memcpy(q->conditions + (all - found) * 12, poses, (size_t)found * 12 * sizeof *poses);
    q->first_condition = all - found;
    free(poses);
    return q->conditions ? 0 : fail(err, M2M_ENOMEM, "no memory for %d cameras", all);
}

/* The first image to make stands at `position`, by default behind the given ones; these stand from `given_position` on,
 * by default just before it. What would come before 0 has none. */
static int count_positions(generation *q, m2m_error *err)
{
    int all = q->given + (int)q->o->n, own = (int)q->o->given_position;
    int first = q->o->position >= 0 ? (int)q->o->position : (own < 0 ? 0 : own) + q->given;
    int start = own < 0 ? first - q->given : own;
    q->conditions = calloc((size_t)all, sizeof *q->conditions);
    if (!q->conditions) return fail(err, M2M_ENOMEM, "no memory for %d positions", all);
    for (int i = 0; i < all; i++) q->conditions[i] = (float)(i < q->given ? start + i : first + i - q->given);
    q->first_condition = start < 0 ? -start : 0;
    return 0;
}

int given_conditions(generation *q, m2m_error *err)
{
    const m2m_generate_options *o = q->o;
    set_condition kind = kind_of(q);
    bool position = o->position >= 0 || o->given_position >= 0;
    if (kind == CONDITION_NONE && (o->camera || position || o->condition_guidance >= 0))
        return fail(err, M2M_EINVAL, "camera, position and condition-guidance: %s was trained without a task condition",
                    q->m->dir);
    if ((o->camera && kind != CONDITION_CAMERA) || (position && kind != CONDITION_POSITION))
        return fail(err, M2M_EINVAL, "%s is given, but the task condition of %s is %s",
                    o->camera ? "camera" : "position", q->m->dir, condition_name(kind));
    if (q->conditions && (o->camera || position))
        return fail(err, M2M_EINVAL, "%s: has a tensor condition, which camera and position contradict", o->latents);
    if (o->camera) return read_cameras(q, err);
    if (kind == CONDITION_POSITION && (position || !o->latents)) return count_positions(q, err);
    return 0;
}

const float *given_condition(const generation *q, int index)
{
    int numbers = condition_numbers(kind_of(q));
    return q->conditions && index >= q->first_condition ? q->conditions + index * numbers : NULL;
}
