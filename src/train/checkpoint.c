#include "train/checkpoint.h"

#include "tensor/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KINDS = 4 };
static const char *const prefix[KINDS] = {"param.", "exp_avg.", "exp_avg_sq.", "ema."};

static float *data_of(const paramset *params, const optimizer *o, int kind, int i)
{
    static const optimizer_part part[KINDS] = {OPTIMIZER_M, OPTIMIZER_M, OPTIMIZER_V, OPTIMIZER_EMA};
    const param *p = paramset_at(params, i);
    if (!p->trainable) return NULL;    /* frozen: where it came from */
    return kind == 0 ? p->data : optimizer_data(o, part[kind], i);
}

static char *full_name(int kind, const param *p)
{
    char *name;
    return asprintf(&name, "%s%s", prefix[kind], p->name) < 0 ? NULL : name;
}

/* ---- saving ---- */

static int collect(const paramset *params, const optimizer *o, safetensors_item *items, m2m_error *err)
{
    int n = 0;
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < paramset_count(params); i++) {
            const param *p = paramset_at(params, i);
            float *data = data_of(params, o, kind, i);
            if (!data) continue;
            char *name = full_name(kind, p);
            if (!name) return fail(err, M2M_ENOMEM, "no memory for a checkpoint"), -1;
            items[n++] = (safetensors_item){.name = name, .t = {.type = DT_F32, .shape = p->shape, .data = data},
                                            .stored = DT_F32};
        }
    return n;
}

int checkpoint_save(const char *path, const paramset *params, const optimizer *o, const checkpoint_state *s,
                    m2m_error *err)
{
    size_t most = KINDS * (size_t)paramset_count(params);
    safetensors_item *items = calloc(most + 1, sizeof *items);
    if (!items) return fail(err, M2M_ENOMEM, "%s: no memory for a checkpoint", path);
    char step[32], updates[32], skipped[32], fingerprint[32], seconds[32];
    snprintf(step, sizeof step, "%" PRId64, s->step);
    snprintf(updates, sizeof updates, "%" PRId64, s->updates);
    snprintf(skipped, sizeof skipped, "%" PRId64, s->skipped);
    snprintf(fingerprint, sizeof fingerprint, "%" PRIu64, s->fingerprint);
    snprintf(seconds, sizeof seconds, "%.0f", s->seconds);
    const m2m_text meta[] = {{"format", "m2m-checkpoint"}, {"step", step}, {"updates", updates}, {"skipped", skipped},
                             {"fingerprint", fingerprint}, {"seconds", seconds}};
    int n = collect(params, o, items, err);
    int status = n < 0 ? M2M_ENOMEM
                       : safetensors_save(path, items, n, meta, (int)(sizeof meta / sizeof *meta), err);
    for (size_t i = 0; i < most; i++) free((char *)items[i].name);
    free(items);
    return status;
}

/* ---- loading ---- */

static int counter(const safetensors *f, const char *key, uint64_t *out, m2m_error *err)
{
    const char *text = safetensors_meta(f, key);
    char *end = NULL;
    errno = 0;
    *out = text ? strtoull(text, &end, 10) : 0;
    if (text && *text >= '0' && *text <= '9' && !*end && !errno) return 0;
    return fail(err, M2M_EFORMAT, "%s: metadata \"%s\" is %s, wanted a number", safetensors_path(f), key,
                text ? text : "missing");
}

static int read_state(const safetensors *f, uint64_t fingerprint, checkpoint_state *s, m2m_error *err)
{
    uint64_t step, updates, skipped, found, seconds;
    int status = counter(f, "step", &step, err);
    if (!status) status = counter(f, "updates", &updates, err);
    if (!status) status = counter(f, "skipped", &skipped, err);
    if (!status) status = counter(f, "fingerprint", &found, err);
    if (!status) status = counter(f, "seconds", &seconds, err);
    if (status) return status;
    if (found != fingerprint)
        return fail(err, M2M_EINVAL, "%s: comes from a run with another model, data, seed or batch; wanted the same",
                    safetensors_path(f));
    *s = (checkpoint_state){.step = (int64_t)step, .updates = (int64_t)updates, .skipped = (int64_t)skipped,
                            .fingerprint = found, .seconds = (double)seconds};
    return 0;
}

static int read_tensors(const safetensors *f, paramset *params, optimizer *o, m2m_error *err)
{
    int status = 0;
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < paramset_count(params) && !status; i++) {
            param *p = paramset_at(params, i);
            float *data = data_of(params, o, kind, i);
            if (!data) continue;
            char *name = full_name(kind, p);
            const tensor *t = NULL;
            status = name ? safetensors_need(f, name, &p->shape, &t, err) : fail(err, M2M_ENOMEM, "no memory");
            if (!status) to_f32(data, t->data, t->type, shape_count(p->shape));
            p->version++;
            free(name);
        }
    return status;
}

int checkpoint_load(const char *path, paramset *params, optimizer *o, uint64_t fingerprint, checkpoint_state *s,
                    m2m_error *err)
{
    safetensors *f;
    int status = safetensors_open(&f, path, err);
    if (status) return status;
    status = read_state(f, fingerprint, s, err);
    if (!status) status = read_tensors(f, params, o, err);
    if (!status) optimizer_restore(o, s->updates, s->skipped);
    safetensors_close(&f);
    return status;
}
