/* Training of a CLIPModel: images against the captions of their sets, both ways (models/contrast.h). Images whose
 * captions have equal tokens are positives of each other. */
#include "train/task.h"

#include "models/contrast.h"
#include "text/tokenizer.h"
#include "train/alike.h"
#include "train/contrast_start.h"
#include "train/modeldir.h"
#include "train/pictures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The captions of a data set's sets. */
typedef struct texts {
    int32_t *ids;    /* [sets, positions] */
    int32_t *labels; /* [sets]: equal for equal ids */
    int longest;     /* tokens, start and end included */
} texts;

typedef struct clip_task {
    task base;
    const m2m_train_options *o;
    backend *be;
    const m2m_calls *calls;
    clip_model model;
    tokenizer *tokenizer;
    pictures pictures;
    texts train, val;
    clip_train graph;
    int batch;
    int32_t *ids, *labels;              /* of a batch: [batch, positions], [batch] */
    float *targets, *images, *captions; /* [batch, batch], [batch, projection] twice */
} clip_task;

static int read_texts(clip_task *t, texts *to, const dataset *d, m2m_error *err)
{
    const int n = dataset_sets(d), length = t->model.config.text.positions;
    to->ids = malloc((size_t)n * (size_t)length * sizeof *to->ids);
    to->labels = malloc((size_t)n * sizeof *to->labels);
    if (!to->ids || !to->labels) return fail(err, M2M_ENOMEM, "no memory for %d captions", n);
    for (int s = 0; s < n; s++) {
        char *text = NULL;
        int32_t *ids = to->ids + (int64_t)s * length;
        int status = dataset_caption(d, s, &text, err);
        if (status) return status;
        status = tokenizer_encode_padded(t->tokenizer, text, strlen(text), ids, length, err);
        free(text);
        if (!status) status = clip_text_check(&t->model.config.text, ids, length, err);
        if (status) return fail_prefix(err, status, "set %s, its caption", dataset_key(d, s));
        const int used = clip_text_pooled(&t->model.config.text, ids, length) + 1;
        to->labels[s] = label_of(ids, (size_t)used * sizeof *ids);
        if (used > to->longest) to->longest = used;
    }
    return 0;
}

static int load_batch(clip_task *t, bool validate, int64_t batch, m2m_error *err)
{
    const int length = (int)t->graph.ids->shape.dim[1], positions = t->model.config.text.positions;
    const texts *from = validate && t->pictures.val.data ? &t->val : &t->train;
    int status = pictures_read(&t->pictures, validate, batch, err);
    if (status) return status;
    for (int i = 0; i < t->batch; i++) {
        const int set = t->pictures.items[i].set;
        memcpy(t->ids + i * length, from->ids + (int64_t)set * positions, (size_t)length * sizeof *t->ids);
        t->labels[i] = from->labels[set];
    }
    contrast_targets(t->labels, t->batch, true, t->targets);
    status = exec_write(t->base.x, t->graph.towers.pixels, t->pictures.values, err);
    if (!status) status = exec_write(t->base.x, t->graph.targets, t->targets, err);
    if (!status) status = clip_train_write_ids(&t->graph, &t->model.config.text, t->base.x, t->ids, err);
    return status ? status : exec_run(t->base.x, err);
}

static int run(task *base, int64_t batch, double *loss, m2m_error *err)
{
    clip_task *t = (clip_task *)base;
    float value;
    int status = load_batch(t, false, batch, err);
    if (status) return status;
    exec_read(base->x, t->graph.loss, &value);
    *loss = value;
    return 0;
}

/* Share of the rows of `asking` whose nearest row of `asked` has the same caption. */
static double first_is_right(const clip_task *t, const float *asking, const float *asked)
{
    const int width = t->model.config.projection;
    int right = 0;
    for (int i = 0; i < t->batch; i++) {
        int best = 0;
        for (int j = 1; j < t->batch; j++)
            if (cosine100(asking + i * width, asked + j * width, width) >
                cosine100(asking + i * width, asked + best * width, width))
                best = j;
        right += t->labels[best] == t->labels[i];
    }
    return (double)right / t->batch;
}

static int validate(task *base, journal_field fields[TASK_FIELDS], int *n, m2m_error *err)
{
    clip_task *t = (clip_task *)base;
    const int batches = (int)((t->o->val_sets + t->batch - 1) / t->batch);
    double loss = 0, to_image = 0, to_text = 0;
    if (!t->pictures.val.data) return 0;
    for (int b = 0; b < batches; b++) {
        float value;
        int status = load_batch(t, true, b, err);
        if (status) return status;
        exec_read(base->x, t->graph.loss, &value);
        exec_read(base->x, t->graph.images, t->images);
        exec_read(base->x, t->graph.texts, t->captions);
        loss += value / batches;
        to_image += first_is_right(t, t->captions, t->images) / batches;
        to_text += first_is_right(t, t->images, t->captions) / batches;
    }
    const float *scale = paramset_find(t->model.params, "logit_scale")->data;
    fields[0] = (journal_field){"val_loss", loss};
    fields[1] = (journal_field){"val_text_to_image", to_image};
    fields[2] = (journal_field){"val_image_to_text", to_text};
    fields[3] = (journal_field){"logit_scale", exp(*scale)};
    *n = 4;
    return 0;
}

/* The images that fit captions best, each caption's own image before them. */
static int sample(task *base, m2m_image *picture, m2m_error *err)
{
    clip_task *t = (clip_task *)base;
    int status = load_batch(t, true, 0, err);
    if (status) return status;
    exec_read(base->x, t->graph.images, t->images);
    exec_read(base->x, t->graph.texts, t->captions);
    rows images = {.data = t->images, .count = t->batch, .dim = t->model.config.projection}, captions = images;
    captions.data = t->captions;
    return pictures_nearest(&t->pictures, captions, images, 1, true, picture, err);
}

static int save(task *base, const char *dir, dtype stored, m2m_error *err)
{
    clip_task *t = (clip_task *)base;
    return modeldir_save_clip(dir, t->model.dir, t->model.params, stored, err);
}

static void free_task(task *base)
{
    clip_task *t = (clip_task *)base;
    exec_free(base->x);
    clip_train_free(&t->graph);
    pictures_close(&t->pictures);
    tokenizer_close(&t->tokenizer);
    clip_model_close(&t->model);
    free(t->train.ids);
    free(t->train.labels);
    free(t->val.ids);
    free(t->val.labels);
    free(t->ids);
    free(t->labels);
    free(t->targets);
    free(t->images);
    free(t->captions);
    free(t);
}

static const task_kind kind = {"clip", run, validate, sample, save, free_task};

static int open_model(clip_task *t, m2m_error *err)
{
    const m2m_train_options *o = t->o;
    int status = o->from ? clip_model_open(&t->model, o->from, err) : clip_model_declare(&t->model, o->config, err);
    if (!status) status = params_prepare(t->model.params, (uint64_t)o->seed, o->train_only, err);
    if (status) return status;
    if (!o->from) clip_start(&t->model.config, t->model.params, (uint64_t)o->seed);
    if (o->size != t->model.config.image_size)
        return fail(err, M2M_EINVAL, "size: %lld, wanted the model's image_size %d", (long long)o->size,
            t->model.config.image_size);
    char *dir = tokenizer_dir(t->model.dir);
    status = dir ? tokenizer_open(&t->tokenizer, dir, err) : fail(err, M2M_ENOMEM, "no memory for a path");
    free(dir);
    return status;
}

static int open_data(clip_task *t, m2m_error *err)
{
    int status = pictures_open(&t->pictures, t->o, t->model.dir, 1, t->calls, err);
    if (!status) status = read_texts(t, &t->train, t->pictures.train.data, err);
    if (!status && t->pictures.val.data) status = read_texts(t, &t->val, t->pictures.val.data, err);
    return status;
}

static int build(clip_task *t, m2m_error *err)
{
    const int longest = t->train.longest > t->val.longest ? t->train.longest : t->val.longest;
    const size_t batch = (size_t)t->batch, width = (size_t)t->model.config.projection;
    int status = clip_train_build(&t->graph, &t->model.config, t->model.params, t->batch, longest, true, err);
    if (status) return status;
    t->ids = malloc(batch * (size_t)longest * sizeof *t->ids);
    t->labels = malloc(batch * sizeof *t->labels);
    t->targets = malloc(batch * batch * sizeof *t->targets);
    t->images = malloc(batch * width * sizeof *t->images);
    t->captions = malloc(batch * width * sizeof *t->captions);
    if (!t->ids || !t->labels || !t->targets || !t->images || !t->captions)
        return fail(err, M2M_ENOMEM, "no memory for a batch of %d pairs", t->batch);
    node *more[3] = {t->graph.loss, t->graph.images, t->graph.texts};
    t->base.x = task_exec(t->graph.towers.g, t->be, more, 3, t->model.params, t->graph.grads, err);
    return t->base.x ? 0 : M2M_ENOMEM;
}

task *clip_task_new(const m2m_train_options *o, backend *be, const m2m_calls *calls, m2m_error *err)
{
    clip_task *t = calloc(1, sizeof *t);
    if (!t) return fail(err, M2M_ENOMEM, "no memory for a training task"), NULL;
    t->o = o;
    t->be = be;
    t->calls = calls;
    t->batch = (int)o->sets;
    t->base.kind = &kind;
    if (open_model(t, err) || open_data(t, err) || build(t, err)) {
        free_task(&t->base);
        return NULL;
    }
    t->base.params = t->model.params;
    t->base.grads = t->graph.grads;
    t->base.bytes = paramset_bytes(t->model.params) + pictures_bytes(&t->pictures) +
                    (size_t)dataset_sets(t->pictures.train.data) * (size_t)t->model.config.text.positions * 4;
    t->base.fingerprint = dataset_fingerprint(t->pictures.train.data);
    t->base.sets = t->batch;
    return &t->base;
}
