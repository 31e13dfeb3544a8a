#include "diffusion/context.h"

#include <stdlib.h>
#include <string.h>

/* What a slot holds: the very content it was computed from, so equality is exact and not a matter of hashes. */
typedef struct entry {
    bool filled, conditioned;
    float timestep, condition[CONDITION_NUMBERS];
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
    context_shape shape;
    int slots;           /* lane after lane, then the zero image where there is one */
    size_t floats;       /* of an image's content */
    entry *entries;      /* [slots] */
    float *contents;     /* [slots, floats] */
    float *zero;         /* [floats], zeros */
    int layers;
    layer layer[MAX_CROSS_LAYERS];
    int64_t encoded;
};

static int build(context *c, paramset *params, m2m_error *err)
{
    const context_shape *s = &c->shape;
    int status = clean_graph_build(&c->clean, c->u, params, s->height, s->width, s->tokens, err);
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
    c->contents = calloc((slots + 1) * c->floats, sizeof *c->contents);
    bool ok = c->entries && c->contents;
    for (int i = 0; ok && i < c->layers; i++) {
        c->layer[i].key = c->be->alloc(c->be, slots * c->layer[i].bytes);
        c->layer[i].value = c->be->alloc(c->be, slots * c->layer[i].bytes);
        ok = c->layer[i].key && c->layer[i].value;
    }
    if (!ok)
        return fail(err, M2M_ENOMEM, "a context of %d images needs %.1f MiB, which %s can't give", c->shape.window,
                    (double)context_bytes_per_image(c) * c->slots / 1048576.0, c->be->name);
    c->zero = c->contents + slots * c->floats;
    return exec_alloc(c->x, err);
}

context *context_new(const unet_config *u, paramset *params, backend *be, const context_shape *s, m2m_error *err)
{
    check(s->window >= 1 && s->lanes >= 1 && s->lanes <= MAX_LANES, "%d lanes of %d", s->lanes, s->window);
    context *c = calloc(1, sizeof *c);
    if (!c) {
        fail(err, M2M_ENOMEM, "no memory for a context");
        return NULL;
    }
    c->u = u;
    c->be = be;
    c->shape = *s;
    c->slots = s->lanes * s->window + (s->with_zero ? 1 : 0);
    c->floats = (size_t)context_floats(u, s->height, s->width, s->tokens);
    if (build(c, params, err) || allocate(c, err)) {
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
    free(c->contents);
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

/* ---- slots ---- */

static float *content_of(const context *c, int slot) { return c->contents + (size_t)slot * c->floats; }

static bool holds(const context *c, int slot, const context_image *image, float timestep)
{
    const entry *e = &c->entries[slot];
    size_t numbers = (size_t)condition_numbers(c->u->condition);
    if (!e->filled || e->timestep != timestep || e->conditioned != (image->condition != NULL)) return false;
    if (e->conditioned && memcmp(e->condition, image->condition, numbers * sizeof(float)) != 0) return false;
    return !memcmp(content_of(c, slot), image->content, c->floats * sizeof(float));
}

static int write_image(context *c, const context_image *image, float timestep, m2m_error *err)
{
    static const float none[CONDITION_NUMBERS];
    const condition_inputs *in = &c->clean.condition;
    float present = image->condition != NULL;
    int status = exec_write(c->x, c->clean.context, image->content, err);
    if (!status && c->clean.timestep) status = exec_write(c->x, c->clean.timestep, &timestep, err);
    if (!status && in->values) status = exec_write(c->x, in->values, image->condition ? image->condition : none, err);
    if (!status && in->present) status = exec_write(c->x, in->present, &present, err);
    return status;
}

static void note(context *c, int slot, const context_image *image, float timestep)
{
    entry *e = &c->entries[slot];
    *e = (entry){.filled = true, .timestep = timestep, .conditioned = image->condition != NULL};
    if (e->conditioned)
        memcpy(e->condition, image->condition, (size_t)condition_numbers(c->u->condition) * sizeof(float));
    memcpy(content_of(c, slot), image->content, c->floats * sizeof(float));
}

static int encode(context *c, int slot, const context_image *image, float timestep, m2m_error *err)
{
    c->entries[slot].filled = false;
    int status = write_image(c, image, timestep, err);
    if (!status) status = exec_run(c->x, err);
    if (status) return status;
    for (int i = 0; i < c->layers; i++) {
        const layer *l = &c->layer[i];
        c->be->copy(c->be, l->key + (size_t)slot * l->bytes, exec_output(c->x, c->clean.c.key[i]), l->bytes);
        c->be->copy(c->be, l->value + (size_t)slot * l->bytes, exec_output(c->x, c->clean.c.value[i]), l->bytes);
    }
    note(c, slot, image, timestep);
    c->encoded++;
    return 0;
}

/* Copies keys and values of `n` slots; ranges may overlap. */
static void move_slots(context *c, int to, int from, int n)
{
    for (int i = 0; i < c->layers; i++) {
        const layer *l = &c->layer[i];
        size_t a = (size_t)to * l->bytes, b = (size_t)from * l->bytes, bytes = (size_t)n * l->bytes;
        c->be->copy(c->be, l->key + a, l->key + b, bytes);
        c->be->copy(c->be, l->value + a, l->value + b, bytes);
    }
}

static int fill_slot(context *c, int slot, const context_image *image, float timestep, m2m_error *err)
{
    if (holds(c, slot, image, timestep)) return 0;
    for (int other = 0; other < c->slots; other++) {
        if (!holds(c, other, image, timestep)) continue;
        move_slots(c, slot, other, 1);
        note(c, slot, image, timestep);
        return 0;
    }
    return encode(c, slot, image, timestep, err);
}

int context_window(int asked, int given)
{
    enum { LEFT_OUT = 4, ROOM = 8 };
    const int twice = 2 * given < ROOM ? 2 * given : ROOM;
    if (asked > 0) return asked;
    if (given < 1) return LEFT_OUT;
    return asked < 0 || given > twice ? given : twice;
}

int context_choose(int count, int given, int window, int anchors, int *index)
{
    int kept = anchors < 0 || anchors > given ? given : anchors, n = count < window ? count : window;
    if (kept > n) kept = n;
    for (int i = 0; i < n; i++) index[i] = i < kept ? i : count - n + i;
    return n;
}

/* Moves slots [first + by, first + window) to the front of their lane: the oldest images leave. */
static void shift(context *c, int first, int by)
{
    int kept = c->shape.window - by;
    move_slots(c, first, first + by, kept);
    memmove(content_of(c, first), content_of(c, first + by), (size_t)kept * c->floats * sizeof(float));
    memmove(c->entries + first, c->entries + first + by, (size_t)kept * sizeof *c->entries);
    for (int s = first + kept; s < first + c->shape.window; s++) c->entries[s].filled = false;
}

int context_set(context *c, int lane, const context_image *images, int n, float timestep, m2m_error *err)
{
    const int window = c->shape.window, first = lane * window;
    check(n >= 0 && n <= window && lane < c->shape.lanes, "%d images in lane %d of %d", n, lane, window);
    float t = c->u->clean_timestep == CLEAN_TIMESTEP_SAME ? timestep : (float)c->u->clean_timestep;
    if (c->clean.timestep == NULL) t = 0;        /* features know no timestep */
    int from = 0, status = 0;    /* where the new context's oldest image stands among the slots */
    while (n > 0 && from < window && !holds(c, first + from, &images[0], t + (float)images[0].level)) from++;
    if (from > 0 && from < window) shift(c, first, from);
    for (int s = 0; s < n && !status; s++)
        status = fill_slot(c, first + s, &images[s], t + (float)images[s].level, err);
    if (!status && c->shape.with_zero && n > 0)
        status = fill_slot(c, c->slots - 1, &(context_image){.content = c->zero}, t, err);
    return status;
}

void context_clear(context *c)
{
    for (int s = 0; s < c->slots; s++) c->entries[s].filled = false;
}

int64_t context_encoded(const context *c) { return c->encoded; }

static const void *at(const context *c, const char *memory, int i, int slot)
{
    return memory + (size_t)slot * c->layer[i].bytes;
}

const void *context_keys(const context *c, int lane, int i)
{
    return at(c, c->layer[i].key, i, lane * c->shape.window);
}

const void *context_values(const context *c, int lane, int i)
{
    return at(c, c->layer[i].value, i, lane * c->shape.window);
}

const void *context_zero_keys(const context *c, int i) { return at(c, c->layer[i].key, i, c->slots - 1); }
const void *context_zero_values(const context *c, int i) { return at(c, c->layer[i].value, i, c->slots - 1); }
