/* Training of a Dinov2Model by supervised contrast (models/contrast.h): images that are alike in some way are brought
 * together by that way's head. The heads are dropped when the model is saved. */
#include "train/task.h"

#include "eval/retrieval.h"
#include "models/contrast.h"
#include "train/alike.h"
#include "train/contrast_start.h"
#include "train/modeldir.h"
#include "train/pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 48 };

typedef struct encoder_task {
    task base;
    const m2m_train_options *o;
    backend *be;
    const m2m_calls *calls;
    encoder_model model;
    pictures pictures;
    alike train, val;
    encoder_train graph;
    bool written;    /* what depends on no batch */
    int32_t *labels; /* [rows] */
    float *targets;  /* [rows, rows] */
    char names[2 * CONTRAST_HEADS][NAME];
    /* of a validation, over all its rows */
    int64_t checked;
    float *embeds;                         /* [checked, 2D] */
    int32_t *found[CONTRAST_HEADS], *sets; /* [checked] */
} encoder_task;

static int32_t label_at(const encoder_task *t, bool validate, int way, loader_item it)
{
    const alike *a = validate && t->pictures.val.data ? &t->val : &t->train;
    return a->labels[way][dataset_first(pictures_data(&t->pictures, validate), it.set) + it.image];
}

static int load_batch(encoder_task *t, bool validate, int64_t batch, m2m_error *err)
{
    exec *x = t->base.x;
    int status = pictures_read(&t->pictures, validate, batch, err);
    if (!status && !t->written) status = encoder_train_write(&t->graph, x, err);
    t->written = !status;
    if (!status) status = exec_write(x, t->graph.tower.pixels, t->pictures.values, err);
    for (int w = 0; w < t->graph.ways && !status; w++) {
        for (int i = 0; i < t->pictures.rows; i++) t->labels[i] = label_at(t, validate, w, t->pictures.items[i]);
        contrast_targets(t->labels, t->pictures.rows, false, t->targets);
        status = exec_write(x, t->graph.targets[w], t->targets, err);
    }
    return status ? status : exec_run(x, err);
}

static int run(task *base, int64_t batch, double *loss, m2m_error *err)
{
    encoder_task *t = (encoder_task *)base;
    float value;
    int status = load_batch(t, false, batch, err);
    if (status) return status;
    exec_read(base->x, t->graph.loss, &value);
    *loss = value;
    return 0;
}

static int embed(encoder_task *t, double *loss, m2m_error *err)
{
    const int each = t->pictures.rows;
    const int64_t batches = t->checked / each, width = shape_last(t->graph.embeds->shape);
    for (int64_t b = 0; b < batches; b++) {
        float value;
        int status = load_batch(t, true, b, err);
        if (status) return status;
        exec_read(t->base.x, t->graph.loss, &value);
        exec_read(t->base.x, t->graph.embeds, t->embeds + b * each * width);
        *loss += value / (double)batches;
        for (int i = 0; i < each; i++) {
            t->sets[b * each + i] = t->pictures.items[i].set;
            for (int w = 0; w < t->graph.ways; w++)
                t->found[w][b * each + i] = label_at(t, true, w, t->pictures.items[i]);
        }
    }
    return 0;
}

/* Retrieval with what the exported model computes, before any head. Ways other than "set" must be found in other sets:
 * inside its own, an image finds everything by the common look. */
static int validate(task *base, journal_field fields[TASK_FIELDS], int *n, m2m_error *err)
{
    encoder_task *t = (encoder_task *)base;
    double loss = 0;
    if (!t->pictures.val.data) return 0;
    int status = embed(t, &loss, err);
    fields[0] = (journal_field){"val_loss", loss};
    *n = 1;
    const rows all = {.data = t->embeds, .count = t->checked, .dim = (int)shape_last(t->graph.embeds->shape)};
    for (int w = 0; w < t->graph.ways && !status; w++) {
        const bool own = !strcmp(t->train.names[w], "set");
        retrieval_score score;
        status = retrieval(all, t->found[w], own ? NULL : t->sets, &score, err);
        fields[(*n)++] = (journal_field){t->names[2 * w], score.precision};
        fields[(*n)++] = (journal_field){t->names[2 * w + 1], score.nearest};
    }
    return status;
}

/* The nearest images of the first image of each set. */
static int sample(task *base, m2m_image *picture, m2m_error *err)
{
    encoder_task *t = (encoder_task *)base;
    int status = load_batch(t, true, 0, err);
    if (status) return status;
    exec_read(base->x, t->graph.embeds, t->embeds);
    const rows all = {.data = t->embeds, .count = t->pictures.rows, .dim = (int)shape_last(t->graph.embeds->shape)};
    return pictures_nearest(&t->pictures, all, all, (int)t->o->images, false, picture, err);
}

static int save(task *base, const char *dir, dtype stored, m2m_error *err)
{
    encoder_task *t = (encoder_task *)base;
    return modeldir_save_encoder(dir, t->model.dir, t->model.params, stored, err);
}

static void free_task(task *base)
{
    encoder_task *t = (encoder_task *)base;
    exec_free(base->x);
    encoder_train_free(&t->graph);
    alike_close(&t->train);
    alike_close(&t->val);
    pictures_close(&t->pictures);
    encoder_model_close(&t->model);
    for (int w = 0; w < CONTRAST_HEADS; w++) free(t->found[w]);
    free(t->sets);
    free(t->embeds);
    free(t->labels);
    free(t->targets);
    free(t);
}

static const task_kind kind = {"image_encoder", run, validate, sample, save, free_task};

static int open_data(encoder_task *t, m2m_error *err)
{
    const m2m_train_options *o = t->o;
    if (o->images < 2) return fail(err, M2M_EINVAL, "images: %lld, wanted 2 or more of a set", (long long)o->images);
    int status = pictures_open(&t->pictures, o, t->model.dir, (int)o->images, t->calls, err);
    if (!status) status = alike_open(&t->train, t->pictures.train.data, o->alike, err);
    if (!status && t->pictures.val.data) status = alike_open(&t->val, t->pictures.val.data, o->alike, err);
    for (int w = 0; w < t->train.ways && !status; w++) {
        snprintf(t->names[2 * w], NAME, "val_map_%.32s", t->train.names[w]);
        snprintf(t->names[2 * w + 1], NAME, "val_nearest_%.32s", t->train.names[w]);
    }
    return status;
}

static int allocate(encoder_task *t, m2m_error *err)
{
    const size_t each = (size_t)t->pictures.rows, width = (size_t)shape_last(t->graph.embeds->shape);
    const int64_t batches = (t->o->val_sets + t->o->sets - 1) / t->o->sets;
    t->checked = batches * t->pictures.rows;
    t->labels = malloc(each * sizeof *t->labels);
    t->targets = malloc(each * each * sizeof *t->targets);
    t->embeds = malloc((size_t)t->checked * width * sizeof *t->embeds);
    t->sets = malloc((size_t)t->checked * sizeof *t->sets);
    bool ok = t->labels && t->targets && t->embeds && t->sets;
    for (int w = 0; w < t->graph.ways; w++) ok = (t->found[w] = malloc((size_t)t->checked * sizeof **t->found)) && ok;
    return ok ? 0 : fail(err, M2M_ENOMEM, "no memory for batches of %zu images", each);
}

static int build(encoder_task *t, m2m_error *err)
{
    const m2m_train_options *o = t->o;
    const contrast_shape s = {.batch = t->pictures.rows,
        .height = (int)o->size,
        .width = (int)o->size,
        .heads = t->train.ways,
        .projection = (int)o->head_width,
        .temperature = (float)o->temperature};
    int status = encoder_train_build(&t->graph, &t->model.config, t->model.params, &s, true, err);
    if (!status) status = params_prepare(t->model.params, (uint64_t)o->seed, o->train_only, err);
    if (!status && !o->from) encoder_start(t->model.params, (uint64_t)o->seed);
    if (!status) status = allocate(t, err);
    if (status) return status;
    node *more[2] = {t->graph.loss, t->graph.embeds};
    t->base.x = task_exec(t->graph.tower.g, t->be, more, 2, t->model.params, t->graph.grads, err);
    return t->base.x ? 0 : M2M_ENOMEM;
}

task *encoder_task_new(const m2m_train_options *o, backend *be, const m2m_calls *calls, m2m_error *err)
{
    encoder_task *t = calloc(1, sizeof *t);
    if (!t) return fail(err, M2M_ENOMEM, "no memory for a training task"), NULL;
    t->o = o;
    t->be = be;
    t->calls = calls;
    t->base.kind = &kind;
    int status = encoder_model_open(&t->model, o->from ? o->from : o->config, o->from != NULL, err);
    if (!status && t->model.config.channels != 3)
        status = fail(err, M2M_EUNSUPPORTED, "num_channels is %d, wanted 3", t->model.config.channels);
    if (status || open_data(t, err) || build(t, err)) {
        free_task(&t->base);
        return NULL;
    }
    t->base.params = t->model.params;
    t->base.grads = t->graph.grads;
    t->base.bytes = paramset_bytes(t->model.params) + pictures_bytes(&t->pictures) +
                    (size_t)t->checked * (size_t)shape_last(t->graph.embeds->shape) * sizeof(float);
    t->base.fingerprint = dataset_fingerprint(t->pictures.train.data);
    t->base.sets = o->sets;
    return &t->base;
}
