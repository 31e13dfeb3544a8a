#include "train/latents.h"

#include "base/file.h"
#include "data/prefetch.h"
#include "image/image.h"
#include "models/pixels.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 16, AHEAD = 4 * BATCH, THREADS = 2 };

typedef struct maker {
    const dataset *d;
    const dataset_view *v;
    const m2m_calls *calls;
    pixels *encoder;
    prefetch *ahead;
    float *images, *out;     /* [BATCH, 3,H,W], [BATCH, C,h,w] */
    uint16_t *data;
    uint8_t *good;
    int64_t total, floats, bad;
    bool flips;
    int64_t at[BATCH];       /* image numbers of the batch */
    int filled;
} maker;

static uint64_t key_of(const dataset *d, const dataset_view *v, const vae_model *vae, bool flips)
{
    uint64_t h = dataset_fingerprint(d);
    int64_t parts[] = {v->width, v->height, v->fit, v->background[0], v->background[1], v->background[2], flips};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) h = (h ^ (uint64_t)parts[i]) * 0x100000001b3u;
    for (int i = 0; i < paramset_count(vae->params); i++) {
        const param *p = paramset_at(vae->params, i);
        const uint8_t *bytes = p->data;
        size_t n = (size_t)shape_count(p->shape) * dtype_size(p->type);
        for (size_t k = 0; k < n; k++) h = (h ^ bytes[k]) * 0x100000001b3u;
    }
    return h ^ (uint64_t)(vae->config.scaling_factor * 1e6f);
}

/* ---- making ---- */

static int encode_into(maker *m, int half, m2m_error *err)
{
    int status = pixels_encode(m->encoder, m->images, m->out, err);
    for (int i = 0; i < m->filled && !status; i++)
        from_f32(m->data + (half * m->total + m->at[i]) * m->floats, m->out + i * m->floats, DT_F16, m->floats);
    return status;
}

static int flush(maker *m, m2m_error *err)
{
    if (m->filled == 0) return 0;
    int status = encode_into(m, 0, err);
    if (!status && m->flips) {
        image_mirror_chw(m->images, m->filled * 3 * m->v->height, m->v->width);
        status = encode_into(m, 1, err);
    }
    m->filled = 0;
    return status;
}

static void list_bad(maker *m, const m2m_error *why)
{
    enum { LISTED = 20 };
    m->bad++;
    if (!m->calls || !m->calls->line || m->bad > LISTED) return;
    m->calls->line(m->calls->user, why->msg);
    if (m->bad == LISTED) m->calls->line(m->calls->user, "further unreadable images are only counted");
}

static int take_image(maker *m, int64_t number, m2m_error *err)
{
    m2m_error why;
    m2m_image img = {0};
    int status = prefetch_take(m->ahead, &img, &why);
    if (status == M2M_ENOMEM) return fail(err, status, "%s", why.msg);
    m->good[number] = status == 0;
    if (status) {
        list_bad(m, &why);
        return 0;
    }
    image_to_chw(&img, m->images + (size_t)m->filled * 3 * (size_t)m->v->width * (size_t)m->v->height);
    m2m_image_free(&img);
    m->at[m->filled++] = number;
    return m->filled == BATCH ? flush(m, err) : 0;
}

/* Steps to the image after `at`; false after the last. */
static bool step(const dataset *d, loader_item *at)
{
    if (++at->image < dataset_images(d, at->set)) return true;
    *at = (loader_item){.set = at->set + 1};
    return at->set < dataset_sets(d);
}

static int make_all(maker *m, m2m_error *err)
{
    loader_item at = {0};
    bool more = true;
    int status = 0;
    for (int64_t number = 0; number < m->total && !status; number++) {
        while (more && prefetch_ask(m->ahead, at)) more = step(m->d, &at);
        status = take_image(m, number, err);
        if (!status && number % BATCH == 0 && m->calls && m->calls->progress &&
            m->calls->progress(m->calls->user, "encoding images", number, m->total))
            status = fail(err, M2M_ECANCELLED, "stopped while encoding images");
    }
    return status ? status : flush(m, err);
}

static int save(const maker *m, const char *path, uint64_t key, m2m_error *err)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, key);
    safetensors_item items[] = {
        {.name = "latents",
         .t = {.type = DT_F16, .shape = SHAPE(m->flips ? 2 : 1, m->total, m->floats), .data = m->data},
         .stored = DT_F16},
        {.name = "good", .t = {.type = DT_U8, .shape = SHAPE(m->total), .data = m->good}, .stored = DT_U8},
    };
    return safetensors_save(path, items, 2, &(m2m_text){"key", text}, 1, err);
}

static int make(const char *path, const dataset *d, const dataset_view *v, const vae_model *vae, bool flips,
                uint64_t key, backend *be, const m2m_calls *calls, m2m_error *err)
{
    int f = vae_factor(&vae->config), status = 0;
    maker m = {.d = d, .v = v, .calls = calls, .flips = flips, .total = dataset_total(d)};
    m.floats = (int64_t)vae->config.latent_channels * (v->width / f) * (v->height / f);
    m.encoder = pixels_new(vae, be, VAE_ENCODE, BATCH, v->height, v->width, err);
    if (!m.encoder) return M2M_EINVAL;
    m.images = calloc(3 * BATCH * (size_t)v->width * (size_t)v->height, sizeof *m.images);
    m.out = malloc(BATCH * (size_t)m.floats * sizeof *m.out);
    m.data = calloc((size_t)(flips ? 2 : 1) * (size_t)(m.total * m.floats), sizeof *m.data);
    m.good = calloc((size_t)m.total, 1);
    if (!m.images || !m.out || !m.data || !m.good)
        status = fail(err, M2M_ENOMEM, "no memory for the latents of %lld images", (long long)m.total);
    if (!status) status = prefetch_open(&m.ahead, d, v, AHEAD, THREADS, err);
    if (!status) status = make_all(&m, err);
    if (!status) status = save(&m, path, key, err);
    prefetch_close(&m.ahead);
    pixels_free(m.encoder);
    free(m.images);
    free(m.out);
    free(m.data);
    free(m.good);
    return status;
}

/* ---- using ---- */

static int open_made(latents *l, const char *path, uint64_t key, int64_t images, m2m_error *err)
{
    const tensor *data, *good;
    const char *found;
    uint64_t have = 0;
    int status = safetensors_open(&l->file, path, err);
    if (status) return status;
    found = safetensors_meta(l->file, "key");
    status = safetensors_need(l->file, "latents", NULL, &data, err);
    shape one = SHAPE(images);
    if (!status) status = safetensors_need(l->file, "good", &one, &good, err);
    if (!status && (!found || sscanf(found, "%" SCNu64, &have) != 1 || have != key || data->type != DT_F16 ||
                    data->shape.rank != 3 || data->shape.dim[1] != images || good->type != DT_U8))
        status = fail(err, M2M_EFORMAT, "%s: made from another VAE or data set", path);
    if (status) {
        latents_close(l);
        return status;
    }
    l->data = data->data;
    l->good = good->data;
    l->images = images;
    l->floats = data->shape.dim[2];
    l->flips = data->shape.dim[0] == 2;
    return 0;
}

int latents_open(latents *l, const char *path, const dataset *d, const dataset_view *v, const vae_model *vae,
                 bool flips, backend *be, const m2m_calls *calls, m2m_error *err)
{
    uint64_t key = key_of(d, v, vae, flips);
    *l = (latents){0};
    if (file_exists(path) && !open_made(l, path, key, dataset_total(d), NULL)) return 0;
    int status = make(path, d, v, vae, flips, key, be, calls, err);
    return status ? status : open_made(l, path, key, dataset_total(d), err);
}

void latents_close(latents *l)
{
    safetensors_close(&l->file);
    *l = (latents){0};
}

void latents_get(const latents *l, int64_t image, bool flipped, float *out)
{
    int64_t row = (flipped && l->flips ? l->images : 0) + image;
    to_f32(out, l->data + row * l->floats, DT_F16, l->floats);
}
