#include "diffusion/context.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a slot holds: the very latent it was computed from, so equality is exact and not a matter of hashes. */
typedef struct entry {
    bool filled;
    float timestep;
    float *latent;       /* [C,H,W] */
} entry;

typedef struct layer {
    size_t bytes;        /* of one image: L*C floats of the backend */
    char *key, *value;   /* [slots, L, C] */
} layer;

struct context {
    const unet_config *u;
    backend *be;
    clean_graph clean;
    exec *x;
    int window, slots, images;    /* slots = window, and one more for the zero image where there is one */
    size_t latent_floats;
    entry *entries;               /* [slots]; the zero image is the last */
    float *latents;
    int layers;
    layer layer[MAX_CROSS_LAYERS];
    int64_t encoded;
};

static int build(context *c, paramset *params, int height, int width, m2m_error *err)
{
    int status = clean_graph_build(&c->clean, c->u, params, height, width, err);
    if (status) return status;
    const cross *k = &c->clean.c;
    node *outputs[2 * MAX_CROSS_LAYERS];
    c->layers = k->layers;
    for (int i = 0; i < k->layers; i++) {
        outputs[2 * i] = k->key[i];
        outputs[2 * i + 1] = k->value[i];
        c->layer[i].bytes = (size_t)(k->tokens_of[i] * k->width_of[i]) * c->be->float_size;
    }
    c->x = exec_new(c->clean.g, c->be, outputs, 2 * k->layers, err);
    return c->x ? 0 : M2M_ENOMEM;
}

static int allocate(context *c, m2m_error *err)
{
    size_t slots = (size_t)c->slots;
    c->entries = calloc(slots, sizeof *c->entries);
    c->latents = calloc(slots * c->latent_floats, sizeof *c->latents);
    bool ok = c->entries && c->latents;
    for (int i = 0; ok && i < c->layers; i++) {
        c->layer[i].key = c->be->alloc(c->be, slots * c->layer[i].bytes);
        c->layer[i].value = c->be->alloc(c->be, slots * c->layer[i].bytes);
        ok = c->layer[i].key && c->layer[i].value;
    }
    if (!ok)
        return fail(err, M2M_ENOMEM, "a context of %d images needs %.1f MiB, which %s can't give", c->window,
                    (double)context_bytes_per_image(c) * c->slots / 1048576.0, c->be->name);
    for (int s = 0; s < c->slots; s++) c->entries[s].latent = c->latents + (size_t)s * c->latent_floats;
    return exec_alloc(c->x, err);
}

context *context_new(const unet_config *u, paramset *params, backend *be, int height, int width, int window,
                     bool with_zero, m2m_error *err)
{
    check(window >= 1, "window is %d", window);
    context *c = calloc(1, sizeof *c);
    if (!c) {
        fail(err, M2M_ENOMEM, "no memory for a context");
        return NULL;
    }
    c->u = u;
    c->be = be;
    c->window = window;
    c->slots = window + (with_zero ? 1 : 0);
    c->latent_floats = (size_t)u->in_channels * (size_t)height * (size_t)width;
    if (build(c, params, height, width, err) || allocate(c, err)) {
        context_free(c);
        return NULL;
    }
    return c;
}

void context_free(context *c)
{
    if (!c) return;
    for (int i = 0; i < c->layers; i++) {
        size_t bytes = (size_t)c->slots * c->layer[i].bytes;
        if (c->layer[i].key) c->be->free(c->be, c->layer[i].key, bytes);
        if (c->layer[i].value) c->be->free(c->be, c->layer[i].value, bytes);
    }
    exec_free(c->x);
    clean_graph_free(&c->clean);
    free(c->entries);
    free(c->latents);
    free(c);
}

size_t context_bytes_per_image(const context *c)
{
    size_t bytes = 0;
    for (int i = 0; i < c->layers; i++) bytes += 2 * c->layer[i].bytes;
    return bytes;
}

size_t context_bytes(const context *c)
{
    return context_bytes_per_image(c) * (size_t)c->slots + exec_bytes(c->x);
}

static int encode(context *c, int slot, const float *latent, float timestep, m2m_error *err)
{
    entry *e = &c->entries[slot];
    e->filled = false;
    int status = exec_write(c->x, c->clean.latent, latent, err);
    if (!status) status = exec_write(c->x, c->clean.timestep, &timestep, err);
    if (!status) status = exec_run(c->x, err);
    if (status) return status;
    for (int i = 0; i < c->layers; i++) {
        const layer *l = &c->layer[i];
        c->be->copy(c->be, l->key + (size_t)slot * l->bytes, exec_output(c->x, c->clean.c.key[i]), l->bytes);
        c->be->copy(c->be, l->value + (size_t)slot * l->bytes, exec_output(c->x, c->clean.c.value[i]), l->bytes);
    }
    memcpy(e->latent, latent, c->latent_floats * sizeof *latent);
    e->timestep = timestep;
    e->filled = true;
    c->encoded++;
    return 0;
}

static bool holds(const context *c, int slot, const float *latent, float timestep)
{
    const entry *e = &c->entries[slot];
    return e->filled && e->timestep == timestep && !memcmp(e->latent, latent, c->latent_floats * sizeof *latent);
}

/* Moves slots [by, window) to the front: the oldest images leave. */
static void shift(context *c, int by)
{
    size_t kept = (size_t)(c->window - by), floats = c->latent_floats;
    for (int i = 0; i < c->layers; i++) {
        const layer *l = &c->layer[i];
        c->be->copy(c->be, l->key, l->key + (size_t)by * l->bytes, kept * l->bytes);
        c->be->copy(c->be, l->value, l->value + (size_t)by * l->bytes, kept * l->bytes);
    }
    memmove(c->latents, c->latents + (size_t)by * floats, kept * floats * sizeof *c->latents);
    for (int s = 0; s < c->window; s++) {
        bool moved = s + by < c->window;
        c->entries[s].filled = moved && c->entries[s + by].filled;
        if (moved) c->entries[s].timestep = c->entries[s + by].timestep;
    }
}

int context_set(context *c, const float *const *latents, int n, float timestep, m2m_error *err)
{
    check(n >= 0 && n <= c->window, "%d images in a window of %d", n, c->window);
    float t = c->u->clean_timestep == CLEAN_TIMESTEP_SAME ? timestep : (float)c->u->clean_timestep;
    int from = 0;        /* where the new context's oldest image stands among the slots */
    while (n > 0 && from < c->window && !holds(c, from, latents[0], t)) from++;
    if (from > 0 && from < c->window) shift(c, from);
    int status = 0;
    for (int s = 0; s < n && !status; s++)
        if (!holds(c, s, latents[s], t)) status = encode(c, s, latents[s], t, err);
    if (!status && c->slots > c->window && n > 0) {
        float *zero = calloc(c->latent_floats, sizeof *zero);
        if (!zero) return fail(err, M2M_ENOMEM, "no memory for a zero image");
        if (!holds(c, c->window, zero, t)) status = encode(c, c->window, zero, t, err);
        free(zero);
    }
    c->images = status ? 0 : n;
    return status;
}

void context_clear(context *c)
{
    for (int s = 0; s < c->slots; s++) c->entries[s].filled = false;
    c->images = 0;
}

int64_t context_encoded(const context *c) { return c->encoded; }
int context_images(const context *c) { return c->images; }
int context_window(const context *c) { return c->window; }
const void *context_keys(const context *c, int i) { return c->layer[i].key; }
const void *context_values(const context *c, int i) { return c->layer[i].value; }

const void *context_zero_keys(const context *c, int i)
{
    return c->layer[i].key + (size_t)c->window * c->layer[i].bytes;
}

const void *context_zero_values(const context *c, int i)
{
    return c->layer[i].value + (size_t)c->window * c->layer[i].bytes;
}
