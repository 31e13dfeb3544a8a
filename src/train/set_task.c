/* Training of M2M-Self on sets of latents (spec 7): the VAE is frozen, its latents are made once. */
#include "train/task.h"

#include "base/file.h"
#include "data/loader.h"
#include "image/spec.h"
#include "models/m2m.h"
#include "train/latents.h"
#include "train/modeldir.h"
#include "train/set_check.h"
#include "train/set_batch.h"
#include "train/timesteps.h"

#include <stdlib.h>
#include <string.h>

typedef struct set_task {
    task base;
    const m2m_train_options *o;
    backend *be;
    const m2m_calls *calls;
    char *from;              /* the pipeline directory */
    unet_model unet;
    vae_model vae;
    schedule schedule;
    dataset_view view;
    dataset *data, *val;
    latents latents, val_latents;
    loader loader;
    train_graph graph;
    set_batch batch;
    set_check *check;        /* validation and samples; NULL without validation data */
} set_task;

static int run(task *t, int64_t batch, double *loss, m2m_error *err)
{
    set_task *s = (set_task *)t;
    float value;
    int status = set_batch_load(&s->batch, &s->loader, &s->latents, batch, err);
    if (!status) status = set_batch_write(&s->batch, &s->graph, t->x, err);
    if (!status) status = exec_run(t->x, err);
    if (status) return status;
    exec_read(t->x, s->graph.loss, &value);
    *loss = value;
    return 0;
}

static int validate(task *t, journal_field fields[TASK_FIELDS], int *n, m2m_error *err)
{
    set_task *s = (set_task *)t;
    return s->check ? set_check_run(s->check, fields, n, err) : 0;
}

static int sample(task *t, m2m_image *picture, m2m_error *err)
{
    set_task *s = (set_task *)t;
    return s->check ? set_check_sample(s->check, picture, err) : 0;
}

static int save(task *t, const char *dir, dtype stored, m2m_error *err)
{
    set_task *s = (set_task *)t;
    return modeldir_save_m2m(dir, s->from, s->vae.dir, s->unet.params, stored, err);
}

static void free_task(task *t)
{
    set_task *s = (set_task *)t;
    set_check_free(s->check);
    exec_free(t->x);
    set_batch_free(&s->batch);
    train_graph_free(&s->graph);
    loader_close(&s->loader);
    latents_close(&s->latents);
    latents_close(&s->val_latents);
    dataset_close(&s->data);
    dataset_close(&s->val);
    schedule_free(&s->schedule);
    vae_model_close(&s->vae);
    unet_model_close(&s->unet);
    free(s->from);
    free(s);
}

static const task_kind kind = {"m2m", run, validate, sample, save, free_task};

static int open_models(set_task *s, m2m_error *err)
{
    const m2m_train_options *o = s->o;
    s->from = strdup(o->from ? o->from : o->config);
    if (!s->from) return fail(err, M2M_ENOMEM, "no memory for a path");
    int status = unet_model_open(&s->unet, s->from, o->from != NULL, err);
    if (!status) status = vae_model_open(&s->vae, s->from, true, err);
    char *path = status ? NULL : path_join(s->from, "scheduler/scheduler_config.json");
    if (!status) status = path ? schedule_load(&s->schedule, path, err) : fail(err, M2M_ENOMEM, "no memory for a path");
    free(path);
    if (!status && (s->unet.config.variant != SET_SELF || s->unet.config.condition != CONDITION_NONE))
        status = fail(err, M2M_EUNSUPPORTED, "%s: its U-Net has no image-set attention of variant self", s->from);
    if (!status && s->schedule.prediction != PREDICT_EPSILON)
        status = fail(err, M2M_EUNSUPPORTED, "%s: prediction_type is not epsilon, which training needs", s->from);
    return status ? status : params_prepare(s->unet.params, (uint64_t)o->seed, err);
}

static int open_latents(set_task *s, latents *l, const char *name, const dataset *d, bool flips, m2m_error *err)
{
    char *dir = path_join(s->o->output, "latents"), *path = dir ? path_join(dir, name) : NULL;
    int status = path ? dir_make(dir, err) : fail(err, M2M_ENOMEM, "no memory for a path");
    if (!status) status = latents_open(l, path, d, &s->view, &s->vae, flips, s->be, s->calls, err);
    free(dir);
    free(path);
    return status;
}

static int open_data(set_task *s, m2m_error *err)
{
    const m2m_train_options *o = s->o;
    int n = (int)o->images;
    s->view.width = s->view.height = (int)o->size;
    int status = parse_fit(o->fit, &s->view.fit, err);
    if (!status) status = parse_colour(o->background, s->view.background, err);
    if (!status) status = dataset_open(&s->data, o->data, n, err);
    if (!status && o->val_data) status = dataset_open(&s->val, o->val_data, n, err);
    if (!status) status = open_latents(s, &s->latents, "train.safetensors", s->data, o->flip != 0, err);
    if (!status && s->val) status = open_latents(s, &s->val_latents, "val.safetensors", s->val, false, err);
    if (!status) status = loader_open(&s->loader, s->data, (uint64_t)o->seed, (int)o->sets, n, o->keep_order != 0, err);
    return status;
}

static int build(set_task *s, m2m_error *err)
{
    const m2m_train_options *o = s->o;
    int f = vae_factor(&s->vae.config), side = (int)o->size / f;
    if (o->size % f) return fail(err, M2M_EINVAL, "size: %lld, wanted a multiple of %d", (long long)o->size, f);
    train_shape ts = {.sets = (int)o->sets, .images = (int)o->images, .draws = (int)o->draws, .height = side,
                         .width = side, .recompute = o->recompute != 0};
    int status = train_graph_build(&s->graph, &s->unet.config, s->unet.params, &ts, true, true, err);
    if (status) return status;
    s->base.x = task_exec(s->graph.g, s->be, &s->graph.loss, 1, s->unet.params, s->graph.grads, err);
    if (!s->base.x) return M2M_ENOMEM;
    draw_plan plan = {.seed = (uint64_t)o->seed, .purpose = DRAW_TRAIN, .sets = ts.sets, .draws = ts.draws,
                      .images = ts.images, .t_first = 0, .t_last = s->schedule.train_steps - 1,
                      .per_image = !strcmp(o->timestep_per, "image"), .drop = o->drop};
    return set_batch_new(&s->batch, &s->unet.config, &s->schedule, &ts, &plan, o->flip != 0, err);
}

static int open_check(set_task *s, m2m_error *err)
{
    if (!s->val) return 0;
    set_check_source from = {.unet = &s->unet, .vae = &s->vae, .schedule = &s->schedule, .data = s->val,
                             .latents = &s->val_latents, .be = s->be, .images = (int)s->o->images,
                             .sets = (int)s->o->val_sets, .seed = (uint64_t)s->o->seed,
                             .side = s->graph.shape.height, .calls = s->calls};
    s->check = set_check_new(&from, err);
    return s->check ? 0 : M2M_ENOMEM;
}

task *set_task_new(const m2m_train_options *o, backend *be, const m2m_calls *calls, m2m_error *err)
{
    set_task *s = calloc(1, sizeof *s);
    if (!s) return fail(err, M2M_ENOMEM, "no memory for a training task"), NULL;
    s->o = o;
    s->be = be;
    s->calls = calls;
    s->base.kind = &kind;
    if (open_models(s, err) || open_data(s, err) || build(s, err) || open_check(s, err)) {
        free_task(&s->base);
        return NULL;
    }
    s->base.params = s->unet.params;
    s->base.grads = s->graph.grads;
    s->base.bytes = paramset_bytes(s->unet.params) + paramset_bytes(s->vae.params) +
                    (size_t)(s->latents.images * s->latents.floats) * sizeof(uint16_t);
    s->base.fingerprint = dataset_fingerprint(s->data);
    s->base.sets = o->sets;
    return &s->base;
}
