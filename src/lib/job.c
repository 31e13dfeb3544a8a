#include "lib/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool job_has(const safetensors *in, const char *name) { return safetensors_find(in, name) != NULL; }

float *job_floats(const safetensors *in, const char *name, int rank, shape *s, m2m_error *err)
{
    const tensor *t;
    char found[80];
    if (safetensors_need(in, name, NULL, &t, err)) return NULL;
    if (t->shape.rank != rank || shape_count(t->shape) < 1) {
        fail(err, M2M_ESHAPE, "%s: tensor %s has shape %s, wanted %d dimensions, none of them empty",
             safetensors_path(in), name, shape_text(t->shape, found, sizeof found), rank);
        return NULL;
    }
    int64_t n = shape_count(t->shape);
    float *data = malloc((size_t)n * sizeof *data);
    if (!data) {
        fail(err, M2M_ENOMEM, "%s: no memory for tensor %s", safetensors_path(in), name);
        return NULL;
    }
    to_f32(data, t->data, t->type, n);
    *s = t->shape;
    return data;
}

int32_t *job_integers(const safetensors *in, const char *name, int rank, shape *s, m2m_error *err)
{
    const tensor *t;
    if (safetensors_need(in, name, NULL, &t, err)) return NULL;
    const int64_t n = shape_count(t->shape);
    if (t->shape.rank != rank || n < 1 || n > INT32_MAX / 4 || (t->type != DT_I64 && t->type != DT_I32)) {
        fail(err, M2M_ESHAPE, "%s: tensor %s is no I64 or I32 of %d dimensions", safetensors_path(in), name, rank);
        return NULL;
    }
    int32_t *all = malloc((size_t)n * sizeof *all);
    if (!all) return fail(err, M2M_ENOMEM, "%s: no memory for tensor %s", safetensors_path(in), name), NULL;
    for (int64_t i = 0; i < n; i++) {
        const int64_t v = t->type == DT_I64 ? ((const int64_t *)t->data)[i] : ((const int32_t *)t->data)[i];
        all[i] = v < 0 || v > INT32_MAX ? -1 : (int32_t)v;
    }
    *s = t->shape;
    return all;
}

/* ---- results ---- */

static safetensors_item *new_item(results *r)
{
    if (r->n == r->capacity) {
        int capacity = r->capacity ? 2 * r->capacity : 64;
        safetensors_item *items = realloc(r->items, (size_t)capacity * sizeof *items);
        if (!items) return r->failed = true, NULL;
        r->items = items;
        r->capacity = capacity;
    }
    return &r->items[r->n];
}

static float *add_item(results *r, const char *prefix, const char *name, shape s)
{
    safetensors_item *item = new_item(r);
    if (!item) return NULL;
    char *full;
    float *data = calloc((size_t)shape_count(s) + 1, sizeof *data);
    if (asprintf(&full, "%s%s", prefix, name) < 0) full = NULL;
    if (!data || !full) {
        free(data);
        free(full);
        return r->failed = true, NULL;
    }
    *item = (safetensors_item){.name = full, .t = {.type = DT_F32, .shape = s, .data = data}, .stored = DT_F32};
    r->n++;
    return data;
}

void results_add(results *r, const char *prefix, const char *name, shape s, const float *data)
{
    float *to = add_item(r, prefix, name, s);
    if (to) memcpy(to, data, (size_t)shape_count(s) * sizeof *to);
}

void results_add_output(results *r, const exec *x, const char *prefix, const char *name, const node *output, shape s)
{
    float *to = add_item(r, prefix, name, s);
    if (to) exec_read(x, output, to);
}

void results_add_grads(results *r, const exec *x, const paramset *params, node *const *grads)
{
    for (int i = 0; i < paramset_count(params); i++) {
        const param *p = paramset_at(params, i);
        if (!p->trainable) continue;
        float *to = add_item(r, "grad.", p->name, p->shape);
        if (to && grads[i]) exec_read(x, grads[i], to);
    }
}

int results_save(const results *r, const char *path, m2m_error *err)
{
    if (r->failed) return fail(err, M2M_ENOMEM, "%s: no memory for the results", path);
    return safetensors_save(path, r->items, r->n, NULL, 0, err);
}

void results_free(results *r)
{
    for (int i = 0; i < r->n; i++) {
        free((char *)r->items[i].name);
        free(r->items[i].t.data);
    }
    free(r->items);
    *r = (results){0};
}
