#include "nn/param.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    param p;
    bool owned;          /* p.data is freed with the set */
} entry;

struct paramset {
    entry **entries;     /* in order of declaration */
    int count, capacity;
    int *table;          /* open addressing by name: index + 1, 0 = empty; twice `capacity` slots */
};

static uint64_t name_hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;                 /* FNV-1a */
    for (; *name; name++) h = (h ^ (uint8_t)*name) * 0x100000001b3u;
    return h;
}

paramset *paramset_new(void) { return calloc(1, sizeof(paramset)); }

void paramset_free(paramset *s)
{
    if (!s) return;
    for (int i = 0; i < s->count; i++) {
        if (s->entries[i]->owned) free(s->entries[i]->p.data);
        free((char *)s->entries[i]->p.name);
        free(s->entries[i]);
    }
    free(s->entries);
    free(s->table);
    free(s);
}

int paramset_count(const paramset *s) { return s->count; }
param *paramset_at(const paramset *s, int index) { return &s->entries[index]->p; }

static int *place_of(const paramset *s, const char *name)
{
    size_t mask = 2 * (size_t)s->capacity - 1;
    for (size_t i = (size_t)name_hash(name);; i++) {
        int *at = &s->table[i & mask];
        if (*at == 0 || !strcmp(s->entries[*at - 1]->p.name, name)) return at;
    }
}

param *paramset_find(const paramset *s, const char *name)
{
    if (s->capacity == 0) return NULL;
    int at = *place_of(s, name);
    return at ? &s->entries[at - 1]->p : NULL;
}

static bool grow(paramset *s)
{
    int capacity = s->capacity ? 2 * s->capacity : 256;
    entry **entries = realloc(s->entries, (size_t)capacity * sizeof *entries);
    if (!entries) return false;
    s->entries = entries;
    int *table = calloc(2 * (size_t)capacity, sizeof *table);
    if (!table) return false;
    free(s->table);
    s->table = table;
    s->capacity = capacity;
    for (int i = 0; i < s->count; i++) *place_of(s, s->entries[i]->p.name) = i + 1;
    return true;
}

param *paramset_declare(paramset *s, const char *name, shape sh, int init, int64_t fan_in)
{
    param *found = paramset_find(s, name);
    if (found) {
        check(shape_equal(found->shape, sh), "parameter %s is declared with two shapes", name);
        return found;
    }
    if (s->count == s->capacity && !grow(s)) return NULL;
    entry *e = calloc(1, sizeof *e);
    char *copy = strdup(name);
    if (!e || !copy) {
        free(e);
        free(copy);
        return NULL;
    }
    e->p = (param){.name = copy, .shape = sh, .type = DT_F32, .trainable = true, .index = s->count,
                   .init = init, .fan_in = fan_in};
    s->entries[s->count++] = e;
    *place_of(s, copy) = s->count;
    return &e->p;
}

/* p is the first member of its entry. */
static void own(param *p, float *data)
{
    entry *e = (entry *)p;
    if (e->owned) free(p->data);
    e->owned = true;
    p->data = data;
    p->mapped = false;
    p->type = DT_F32;
    p->version++;
}

static float *new_data(const param *p, m2m_error *err)
{
    size_t bytes = (size_t)shape_count(p->shape) * sizeof(float);
    float *data = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!data) fail(err, M2M_ENOMEM, "parameter %s: no memory for %zu bytes", p->name, bytes);
    return data;
}

int paramset_init(paramset *s, uint64_t seed, m2m_error *err)
{
    for (int i = 0; i < s->count; i++) {
        param *p = paramset_at(s, i);
        if (p->data) continue;
        float *data = new_data(p, err);
        if (!data) return M2M_ENOMEM;
        int64_t n = shape_count(p->shape);
        float bound = 1.0f / sqrtf((float)(p->fan_in > 0 ? p->fan_in : 1));
        uint64_t h = name_hash(p->name);
        if (p->init == INIT_UNIFORM) rng_uniform(seed, (uint32_t)h, (uint32_t)(h >> 32), data, (size_t)n);
        for (int64_t k = 0; k < n; k++)
            data[k] = p->init == INIT_ONES ? 1.0f : p->init == INIT_ZEROS ? 0.0f : bound * (2.0f * data[k] - 1.0f);
        own(p, data);
    }
    return 0;
}

int param_own_f32(param *p, m2m_error *err)
{
    if (((entry *)p)->owned) return 0;
    check(p->data, "parameter %s was never filled", p->name);
    float *data = new_data(p, err);
    if (!data) return M2M_ENOMEM;
    to_f32(data, p->data, p->type, shape_count(p->shape));
    own(p, data);
    return 0;
}

float *param_new_f32(param *p, m2m_error *err)
{
    float *data = new_data(p, err);
    if (data) own(p, data);
    return data;
}

size_t paramset_bytes(const paramset *s)
{
    size_t bytes = 0;
    for (int i = 0; i < s->count; i++)
        bytes += (size_t)shape_count(paramset_at(s, i)->shape) * dtype_size(paramset_at(s, i)->type);
    return bytes;
}

int64_t paramset_elements(const paramset *s)
{
    int64_t n = 0;
    for (int i = 0; i < s->count; i++) n += shape_count(paramset_at(s, i)->shape);
    return n;
}
