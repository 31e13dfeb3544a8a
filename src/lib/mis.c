/* m2m_data_mis: the text-to-image pipeline as the source of images of src/data/mis.h. */
#include "m2m_train.h"

#include "base/memory.h"
#include "base/opts.h"
#include "base/rng.h"
#include "data/mis.h"
#include "diffusion/painter.h"
#include "image/image.h"
#include "image/spec.h"
#include "lib/device.h"
#include "lib/model.h"
#include "models/pixels.h"
#include "models/text_states.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct maker {
    const m2m_mis_options *o;
    const m2m_calls *calls;
    unet_model unet;
    vae_model vae;
    text_model text;
    tokenizer *tokenizer;
    schedule schedule;
    char sha256[SHA256_HEX];
    backend *be;
    int batch;
    int width, height;       /* pixels */
    int latent_w, latent_h;
    int64_t floats;          /* of a latent */
    int length;              /* tokens of a text as the encoder takes it */
    text_states *encoder;
    painter *painter;
    pixels *decoder;         /* one at a time: the batch must not change a bit, and memory is dear */
    int32_t *ids;            /* [length] */
    float *states, *negative;    /* [length, D] */
    float *noise, *latents;  /* [batch, C,h,w] */
    float *image;            /* [3, H, W] */
    mis_step *step;
    void *step_user;
} maker;

/* ---- opening ---- */

static int open_tokenizer(maker *m, const char *dir, m2m_error *err)
{
    char *folder = tokenizer_dir(dir);
    int status = folder ? tokenizer_open(&m->tokenizer, folder, err) : fail(err, M2M_ENOMEM, "no memory for a path");
    free(folder);
    return status;
}

static int open_models(maker *m, const char *dir, m2m_error *err)
{
    char class_name[64];
    int status = pipeline_class(dir, class_name, sizeof class_name, err);
    if (!status && strcmp(class_name, "StableDiffusionPipeline"))
        status = fail(err, M2M_EUNSUPPORTED, "%s: _class_name is %s, wanted StableDiffusionPipeline", dir, class_name);
    if (!status) status = open_tokenizer(m, dir, err);
    if (!status) status = text_model_open(&m->text, dir, true, err);
    if (!status) status = unet_model_open(&m->unet, dir, true, err);
    if (!status) status = vae_model_open(&m->vae, dir, true, err);
    if (!status) status = pipeline_schedule(&m->schedule, dir, err);
    if (status) return status;
    model_keep_small(m->text.params, m->text.params);
    model_keep_small(m->unet.params, m->unet.params);
    model_keep_small(m->vae.params, m->unet.params);
    const unet_config *u = &m->unet.config;
    if (u->in_channels != m->vae.config.latent_channels)
        return fail(err, M2M_ESHAPE, "%s: the U-Net takes %d channels, the VAE gives %d", dir, u->in_channels,
                    m->vae.config.latent_channels);
    if (u->cross_dim != m->text.config.width)
        return fail(err, M2M_ESHAPE, "%s: the U-Net takes text states of %d numbers, the text encoder gives %d", dir,
                    u->cross_dim, m->text.config.width);
    weights_identity(m->unet.weights, m->sha256);
    return 0;
}

static int read_size(maker *m, m2m_error *err)
{
    int f = vae_factor(&m->vae.config), side = m->unet.config.sample_size * f;
    m->width = m->height = side;
    int status = m->o->size ? parse_size(m->o->size, &m->width, &m->height, err) : 0;
    if (!status && (m->width % f || m->height % f))
        status = fail(err, M2M_EINVAL, "size: %dx%d, wanted multiples of %d", m->width, m->height, f);
    m->latent_w = m->width / f;
    m->latent_h = m->height / f;
    m->floats = (int64_t)m->unet.config.in_channels * m->latent_h * m->latent_w;
    m->length = text_length(m->tokenizer, &m->text);
    m->batch = (int)(m->o->batch < m->o->images ? m->o->batch : m->o->images);
    return status;
}

static int allocate(maker *m, m2m_error *err)
{
    size_t states = (size_t)m->length * (size_t)m->text.config.width, batch = (size_t)m->batch;
    m->ids = malloc((size_t)m->length * sizeof *m->ids);
    m->states = malloc(states * sizeof *m->states);
    m->negative = malloc(states * sizeof *m->negative);
    m->noise = malloc(batch * (size_t)m->floats * sizeof *m->noise);
    m->latents = malloc(batch * (size_t)m->floats * sizeof *m->latents);
    m->image = malloc(3 * (size_t)m->width * (size_t)m->height * sizeof *m->image);
    bool good = m->ids && m->states && m->negative && m->noise && m->latents && m->image;
    return good ? 0 : fail(err, M2M_ENOMEM, "no memory for a batch of %d latents", m->batch);
}

static int encode(maker *m, const char *text, float *states, m2m_error *err)
{
    int status = tokenizer_encode_padded(m->tokenizer, text, strlen(text), m->ids, m->length, err);
    return status ? status : text_states_run(m->encoder, m->ids, states, err);
}

static void tell_plan(const maker *m)
{
    if (!m->calls || !m->calls->line) return;
    char line[200], size[TEXT_SIZE];
    size_t held = paramset_bytes(m->unet.params) + paramset_bytes(m->vae.params) + paramset_bytes(m->text.params);
    size_t work = painter_bytes(m->painter) + pixels_bytes(m->decoder) + text_states_bytes(m->encoder);
    snprintf(line, sizeof line, "memory: at most %s, with %d images of %dx%d at a time",
             bytes_text((int64_t)(held + work), size, sizeof size), m->batch, m->width, m->height);
    m->calls->line(m->calls->user, line);
}

static int open_maker(maker *m, const char *dir, m2m_error *err)
{
    int status = opts_check(m2m_options("mis"), m->o, err);
    if (!status) status = open_models(m, dir, err);
    if (!status) status = read_size(m, err);
    if (!status) status = allocate(m, err);
    if (status) return status;
    m->be = device_open(m->o->device, (int)m->o->threads, DEVICE_WAY(m->o), NULL, err);
    if (!m->be) return M2M_EDEVICE;
    painter_options p = {.batch = m->batch, .tokens = m->length, .steps = (int)m->o->steps,
                         .guidance = m->o->guidance, .sampler = m->o->scheduler};
    m->painter = painter_new(&m->unet.config, m->unet.params, m->be, &m->schedule, m->latent_h, m->latent_w, &p, err);
    m->encoder = m->painter ? text_states_new(&m->text, m->be, 1, m->length, err) : NULL;
    m->decoder = m->encoder ? pixels_new(&m->vae, m->be, VAE_DECODE, 1, m->height, m->width, err) : NULL;
    if (!m->decoder) return err && err->code ? err->code : M2M_EINVAL;
    tell_plan(m);
    return encode(m, m->o->negative_prompt ? m->o->negative_prompt : "", m->negative, err);
}

static void close_maker(maker *m)
{
    void *all[] = {m->ids, m->states, m->negative, m->noise, m->latents, m->image};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    pixels_free(m->decoder);
    text_states_free(m->encoder);
    painter_free(m->painter);
    if (m->be) m->be->close(m->be);
    schedule_free(&m->schedule);
    text_model_close(&m->text);
    vae_model_close(&m->vae);
    unet_model_close(&m->unet);
    tokenizer_close(&m->tokenizer);
}

/* ---- making ---- */

static int count_tokens(const void *user, const char *caption)
{
    const maker *m = user;
    return tokenizer_count(m->tokenizer, caption, strlen(caption), NULL);
}

/* Decoding counts as one step more. */
static int on_step(void *user, int step, int steps)
{
    const maker *m = user;
    return m->step(m->step_user, (double)step / (steps + 1));
}

static int make(void *user, const char *caption, const uint64_t *seeds, int n, mis_step *step, void *step_user,
                m2m_image *images, float *latents, m2m_error *err)
{
    maker *m = user;
    m->step = step;
    m->step_user = step_user;
    /* As m2m_generate draws the first image's noise from its seed, at each step too where the sampler wants some. */
    for (int i = 0; i < n; i++) rng_normal(seeds[i], RNG_NOISE, 0, m->noise + i * m->floats, (size_t)m->floats);
    painter_seeds(m->painter, seeds, NULL);
    int status = encode(m, caption, m->states, err);
    if (!status)
        status = painter_make(m->painter, m->states, m->negative, m->noise, n, m->latents, NULL, on_step, m, err);
    for (int i = 0; i < n && !status; i++) {
        status = pixels_decode(m->decoder, m->latents + i * m->floats, m->image, err);
        if (!status) status = image_from_chw(&images[i], m->image, m->width, m->height, err);
    }
    if (!status && latents) memcpy(latents, m->latents, (size_t)(n * m->floats) * sizeof *latents);
    return status;
}

static mis_source source(maker *m, const char *dir)
{
    return (mis_source){.user = m, .tokens = count_tokens, .make = make, .flops = painter_flops(m->painter),
                        .batch = m->batch, .max_tokens = m->length,
                        .width = m->width, .height = m->height, .latent_channels = m->unet.config.in_channels,
                        .latent_height = m->latent_h, .latent_width = m->latent_w, .model = dir, .sha256 = m->sha256};
}

int m2m_data_mis(const char *dir, const char *captions, const char *out, const m2m_mis_options *options,
                 const m2m_calls *calls, m2m_error *err)
{
    maker m = {.o = options, .calls = calls};
    int status = open_maker(&m, dir, err);
    if (!status) {
        mis_source s = source(&m, dir);
        status = mis_make(&s, captions, out, options, calls, err);
    }
    close_maker(&m);
    return status;
}

int m2m_data_mis_plan(const char *dir, const char *captions, const m2m_mis_options *options, const m2m_calls *calls,
                      m2m_error *err)
{
    maker m = {.o = options, .calls = calls};
    int status = open_maker(&m, dir, err);
    if (!status) {
        mis_source s = source(&m, dir);
        status = mis_estimate(&s, captions, options, calls, err);
    }
    close_maker(&m);
    return status;
}
