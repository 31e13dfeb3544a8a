#include "data/mis_set.h"

#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"
#include "image/codec.h"
#include "tensor/npy.h"
#include "m2m_version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXTRA = 3 };            /* .txt, .json, .latents.npy */

uint64_t mis_image_seed(uint64_t seed, int64_t caption, int k)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)caption, (uint32_t)((uint64_t)caption >> 32), RNG_MIS, (uint32_t)k};
    uint32_t out[4];
    philox(counter, key, out);
    return ((uint64_t)out[1] << 32 | out[0]) >> 11;
}

int mis_set_members(const m2m_mis_options *o)
{
    return (int)o->images + 2 + (o->latents != 0);
}

void mis_set_key(int64_t caption, char key[24])
{
    snprintf(key, 24, "%09lld", (long long)caption);
}

/* ---- Images ---- */

static int encode_images(const mis_work *w, m2m_image *images, int n, uint8_t **data, size_t *sizes, m2m_error *err)
{
    image_format format = strcmp(w->options->format, "png") ? IMAGE_JPEG : IMAGE_PNG;
    int failed = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(w->threads)
    for (int i = 0; i < n; i++) {
        m2m_error e;
        int rc = image_encode(&images[i], format, NULL, 0, &data[i], &sizes[i], &e);
        if (rc) {
#pragma omp critical(mis_encode_failed)
            failed = fail(err, rc, "image %d: %s", i, e.msg);
        }
    }
    return failed;
}

typedef struct batch {
    const mis_work *w;
    int n;
} batch;

static int tell_step(void *user, double done)
{
    const batch *b = user;
    return b->w->step(b->w->user, done * b->n);
}

int mis_images_make(const mis_work *w, int64_t row, const char *caption, int first, int n, uint8_t **data,
                    size_t *sizes, float *latents, m2m_error *err)
{
    const mis_source *s = w->source;
    uint64_t *seeds = malloc((size_t)n * sizeof *seeds);
    m2m_image *images = calloc((size_t)n, sizeof *images);
    int rc = seeds && images ? 0 : fail(err, M2M_ENOMEM, "no memory for %d images", n);
    for (int i = 0; i < n && !rc; i++) seeds[i] = mis_image_seed((uint64_t)w->options->seed, row, first + i);
    memset(data, 0, (size_t)n * sizeof *data);
    if (!rc) rc = s->make(s->user, caption, seeds, n, tell_step, &(batch){w, n}, images, latents, err);
    if (!rc) rc = encode_images(w, images, n, data, sizes, err);
    for (int i = 0; i < n && images; i++) m2m_image_free(&images[i]);
    free(images);
    free(seeds);
    return rc;
}

/* All K, in batches of as equal sizes as can be: a smaller last batch costs as much as a full one. */
static int make_images(const mis_work *w, int64_t row, const char *caption, uint8_t **data, size_t *sizes,
                       float *latents, m2m_error *err)
{
    int images = (int)w->options->images, most = w->source->batch, batches = (images + most - 1) / most, rc = 0;
    size_t floats = (size_t)w->source->latent_channels * (size_t)w->source->latent_height *
                    (size_t)w->source->latent_width;
    for (int i = 0, done = 0; i < batches && !rc; i++) {
        int n = (images - done + batches - i - 1) / (batches - i);
        rc = mis_images_make(w, row, caption, done, n, data + done, sizes + done,
                             latents ? latents + (size_t)done * floats : NULL, err);
        if (rc) {
            fail_prefix(err, rc, "caption %lld, image %d", (long long)row, done);
            return rc;
        }
        done += n;
        w->made(w->user, n);
    }
    return rc;
}

/* ---- The other members ---- */

static char *record(const mis_work *w, int64_t row, const char *caption, const char *split)
{
    const m2m_mis_options *o = w->options;
    str s = {0};
    str_printf(&s, "{\"caption_id\": %lld, \"caption\": ", (long long)row);
    str_json(&s, caption);
    str_printf(&s, ", \"split\": \"%s\", \"model\": ", split);
    str_json(&s, path_base(w->source->model));
    str_printf(&s, ", \"model_sha256\": \"%s\", \"version\": \"%s\", \"scheduler\": \"%s\", \"steps\": %lld",
               w->source->sha256, M2M_VERSION_TEXT, o->scheduler, (long long)o->steps);
    str_add(&s, ", \"guidance\": ");
    str_number(&s, o->guidance);
    str_add(&s, ", \"negative_prompt\": ");
    if (o->negative_prompt) str_json(&s, o->negative_prompt);
    else str_add(&s, "null");
    str_printf(&s, ", \"width\": %d, \"height\": %d, \"seed\": %lld, \"seeds\": [", w->source->width, w->source->height,
               (long long)o->seed);
    for (int k = 0; k < o->images; k++)
        str_printf(&s, "%s%llu", k ? ", " : "", (unsigned long long)mis_image_seed((uint64_t)o->seed, row, k));
    str_add(&s, "]}\n");
    return str_take(&s);
}

static char *pack_latents(const mis_work *w, const float *latents, size_t *size)
{
    const mis_source *q = w->source;
    shape dims = SHAPE(w->options->images, q->latent_channels, q->latent_height, q->latent_width);
    int64_t count = shape_count(dims);
    uint16_t *half = malloc((size_t)count * sizeof *half);
    str s = {0};
    if (!half) return NULL;
    from_f32(half, latents, DT_F16, count);
    npy_write(&s, &(tensor){.type = DT_F16, .shape = dims, .data = half});
    free(half);
    *size = s.len;
    return str_take(&s);
}

static void add_field(mis_set *s, const char *suffix, const void *data, size_t size)
{
    snprintf(s->suffixes[s->n], sizeof *s->suffixes, "%s", suffix);
    s->fields[s->n] = (shard_field){s->suffixes[s->n], data, size};
    s->n++;
}

static int add_texts(mis_set *s, const mis_work *w, int64_t row, const char *caption, const char *split,
                     const float *latents, m2m_error *err)
{
    char *text = strdup(caption), *json = record(w, row, caption, split), *npy = NULL;
    size_t size = 0;
    if (latents) npy = pack_latents(w, latents, &size);
    if (text) add_field(s, "txt", text, strlen(text));
    if (json) add_field(s, "json", json, strlen(json));
    if (npy) add_field(s, "latents.npy", npy, size);
    return text && json && (npy || !latents) ? 0 : fail(err, M2M_ENOMEM, "no memory for set %s", s->key);
}

/* ---- The set ---- */

static void take_images(mis_set *s, const mis_work *w, uint8_t **data, const size_t *sizes)
{
    int images = (int)w->options->images, digits = images > 100 ? 3 : 2;
    for (int k = 0; k < images; k++) {
        char suffix[16];
        snprintf(suffix, sizeof suffix, "%0*d.%s", digits, k, w->options->format);
        add_field(s, suffix, data[k], sizes[k]);
        data[k] = NULL;
    }
}

int mis_set_make(mis_set *s, const mis_work *w, int64_t row, const char *caption, const char *split, m2m_error *err)
{
    size_t images = (size_t)w->options->images;
    const mis_source *q = w->source;
    size_t floats = images * (size_t)q->latent_channels * (size_t)q->latent_height * (size_t)q->latent_width;
    *s = (mis_set){.fields = calloc(images + EXTRA, sizeof *s->fields),
                   .suffixes = calloc(images + EXTRA, sizeof *s->suffixes)};
    uint8_t **data = calloc(images, sizeof *data);
    size_t *sizes = calloc(images, sizeof *sizes);
    float *latents = w->options->latents ? malloc(floats * sizeof *latents) : NULL;
    mis_set_key(row, s->key);
    bool room = s->fields && s->suffixes && data && sizes && (latents || !w->options->latents);
    int rc = room ? 0 : fail(err, M2M_ENOMEM, "no memory for a set of %zu images", images);
    if (!rc) rc = make_images(w, row, caption, data, sizes, latents, err);
    if (!rc) take_images(s, w, data, sizes);
    if (!rc) rc = add_texts(s, w, row, caption, split, latents, err);
    for (size_t i = 0; data && i < images; i++) free(data[i]);
    free(data);
    free(sizes);
    free(latents);
    return rc;
}

void mis_set_free(mis_set *s)
{
    for (int i = 0; i < s->n; i++) free((void *)(uintptr_t)s->fields[i].data);
    free(s->fields);
    free(s->suffixes);
    *s = (mis_set){0};
}
