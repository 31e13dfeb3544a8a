#include "train/latents.h"

#include "base/file.h"
#include "data/prefetch.h"
#include "image/image.h"
#include "models/pixels.h"
#include "tensor/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 16, AHEAD = 4 * BATCH, THREADS = 2 };

typedef struct maker {
    const dataset *d;
    const dataset_view *v;
    const m2m_calls *calls;
    pixels *encoder;         /* or */
    sight *sight;
    prefetch *ahead;
    float *images, *out;     /* [BATCH, 3,H,W], [BATCH, C,h,w] */
    uint16_t *data;
    uint8_t *good;
    int64_t total, floats, bad;
    bool flips;
    int64_t at[BATCH];       /* image numbers of the batch */
    int filled;
} maker;

static uint64_t mix_params(uint64_t h, const paramset *params)
{
    for (int i = 0; i < paramset_count(params); i++) {
        const param *p = paramset_at(params, i);
        const uint8_t *bytes = p->data;
        size_t n = (size_t)shape_count(p->shape) * dtype_size(p->type);
        for (size_t k = 0; k < n; k++) h = (h ^ bytes[k]) * 0x100000001b3u;
    }
    return h;
}

static uint64_t mix_numbers(uint64_t h, const int64_t *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) h = (h ^ (uint64_t)parts[i]) * 0x100000001b3u;
    return h;
}

static uint64_t key_of(const dataset *d, const dataset_view *v, const latents_source *from, bool flips)
{
    uint64_t h = dataset_fingerprint(d);
    int64_t view[] = {v->width, v->height, v->fit, v->background[0], v->background[1], v->background[2], flips};
    h = mix_numbers(h, view, sizeof view / sizeof *view);
    if (from->vae) return mix_params(h, from->vae->params) ^ (uint64_t)(from->vae->config.scaling_factor * 1e6f);
    const processor *p = &from->vision->processor;
    const dinov2_config *c = &from->vision->encoder.config;
    int64_t how[] = {p->resize, p->crop, p->rescale, p->normalize, p->short_side, p->width, p->height, p->crop_width,
                     p->crop_height, p->filter, (int64_t)(p->factor * 1e12), c->heads, c->patch_size,
                     (int64_t)((double)c->eps * 1e12)};
    h = mix_numbers(h, how, sizeof how / sizeof *how);
    for (int i = 0; i < 3; i++)
        h = mix_numbers(h, (int64_t[]){(int64_t)((double)p->mean[i] * 1e7), (int64_t)((double)p->std[i] * 1e7)}, 2);
    return mix_params(h, from->vision->encoder.params);
}

/* ---- making ---- */

/* The planes back to bytes, exactly, for an encoder that wants an image. */
static int see_into(maker *m, m2m_error *err)
{
    const int w = m->v->width, h = m->v->height;
    int status = 0;
    for (int i = 0; i < m->filled && !status; i++) {
        m2m_image img = {0};
        status = image_from_chw(&img, m->images + (size_t)i * 3 * (size_t)w * (size_t)h, w, h, err);
        if (!status) status = sight_run(m->sight, &img, m->out + i * m->floats, err);
        m2m_image_free(&img);
    }
    return status;
}

static int encode_into(maker *m, int half, m2m_error *err)
{
    int status = m->sight ? see_into(m, err) : pixels_encode(m->encoder, m->images, m->out, err);
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

static int open_encoder(maker *m, const latents_source *from, backend *be, m2m_error *err)
{
    const dataset_view *v = m->v;
    if (from->vision) {
        m->floats = (int64_t)vision_tokens(from->vision, v->width, v->height) * from->vision->encoder.config.width;
        m->sight = sight_new(from->vision, be, v->width, v->height, err);
        return m->sight ? 0 : M2M_EINVAL;
    }
    int f = vae_factor(&from->vae->config);
    m->floats = (int64_t)from->vae->config.latent_channels * (v->width / f) * (v->height / f);
    m->encoder = pixels_new(from->vae, be, VAE_ENCODE, BATCH, v->height, v->width, err);
    return m->encoder ? 0 : M2M_EINVAL;
}

static int make(const char *path, const dataset *d, const dataset_view *v, const latents_source *from, bool flips,
                uint64_t key, backend *be, const m2m_calls *calls, m2m_error *err)
{
    maker m = {.d = d, .v = v, .calls = calls, .flips = flips, .total = dataset_total(d)};
    int status = open_encoder(&m, from, be, err);
    if (status) return status;
    m.images = calloc(3 * BATCH * (size_t)v->width * (size_t)v->height, sizeof *m.images);
    m.out = malloc(BATCH * (size_t)m.floats * sizeof *m.out);
    m.data = calloc((size_t)(flips ? 2 : 1) * (size_t)(m.total * m.floats), sizeof *m.data);
    m.good = calloc((size_t)m.total, 1);
    if (!m.images || !m.out || !m.data || !m.good)
        status = fail(err, M2M_ENOMEM, "no memory for the %s of %lld images", from->vae ? "latents" : "features",
                      (long long)m.total);
    if (!status) status = prefetch_open(&m.ahead, d, v, AHEAD, THREADS, err);
    if (!status) status = make_all(&m, err);
    if (!status) status = save(&m, path, key, err);
    prefetch_close(&m.ahead);
    pixels_free(m.encoder);
    sight_free(m.sight);
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
        status = fail(err, M2M_EFORMAT, "%s: made from another model or data set", path);
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

int latents_open(latents *l, const char *path, const dataset *d, const dataset_view *v, const latents_source *from,
                 bool flips, backend *be, const m2m_calls *calls, m2m_error *err)
{
    uint64_t key = key_of(d, v, from, flips);
    *l = (latents){0};
    if (file_exists(path) && !open_made(l, path, key, dataset_total(d), NULL)) return 0;
    int status = make(path, d, v, from, flips, key, be, calls, err);
    return status ? status : open_made(l, path, key, dataset_total(d), err);
}

/* ---- those of the sets ---- */

static int check_stored(const dataset *d, int set, shape wanted, m2m_error *err)
{
    char found[64], want[64];
    size_t size = 0;
    tensor t;
    const uint8_t *data = dataset_member(d, set, "latents.npy", &size);
    if (!data)
        return fail(err, M2M_EFORMAT,
                    "set %s: has no member .latents.npy; wanted one in every set, or stored_latents off",
                    dataset_key(d, set));
    int status = npy_view(&t, data, size, dataset_key(d, set), err);
    if (status) return status;
    wanted.dim[0] = dataset_images(d, set);
    if (t.type == DT_F16 && shape_equal(t.shape, wanted) && (uintptr_t)t.data % sizeof(uint16_t) == 0) return 0;
    return fail(err, M2M_EFORMAT, "set %s: .latents.npy is %s %s, wanted F16 %s", dataset_key(d, set),
                dtype_name(t.type), shape_text(t.shape, found, sizeof found), shape_text(wanted, want, sizeof want));
}

int latents_open_stored(latents *l, const dataset *d, const dataset_view *v, const vae_model *vae, m2m_error *err)
{
    int f = vae_factor(&vae->config), c = vae->config.latent_channels, status = 0;
    *l = (latents){.stored = d, .images = dataset_total(d), .floats = (int64_t)c * (v->height / f) * (v->width / f)};
    for (int set = 0; set < dataset_sets(d) && !status; set++)
        status = check_stored(d, set, SHAPE(0, c, v->height / f, v->width / f), err);
    l->all_good = status ? NULL : malloc((size_t)l->images);
    if (!status && !l->all_good) status = fail(err, M2M_ENOMEM, "no memory for %lld marks", (long long)l->images);
    if (!status) memset(l->all_good, 1, (size_t)l->images);
    l->good = l->all_good;
    return status;
}

static void get_stored(const latents *l, int64_t image, float *out)
{
    int set = dataset_set_of(l->stored, image);
    size_t size;
    tensor t;
    const uint8_t *data = dataset_member(l->stored, set, "latents.npy", &size);
    int status = npy_view(&t, data, size, "latents", NULL);
    check(!status, "latents of set %d were good before", set);
    const uint16_t *rows = t.data;
    to_f32(out, rows + (image - dataset_first(l->stored, set)) * l->floats, DT_F16, l->floats);
}

/* ---- either ---- */

void latents_close(latents *l)
{
    safetensors_close(&l->file);
    free(l->all_good);
    *l = (latents){0};
}

void latents_get(const latents *l, int64_t image, bool flipped, float *out)
{
    if (l->stored) {
        get_stored(l, image, out);
        return;
    }
    int64_t row = (flipped && l->flips ? l->images : 0) + image;
    to_f32(out, l->data + row * l->floats, DT_F16, l->floats);
}
