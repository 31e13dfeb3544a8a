/* Training of M2M-Self and M2M-DINO on sets of latents (spec 7): VAE and image encoder are frozen, what they make of
 * each image is made once. A task condition may be added to a model that has none. */
#include "train/task.h"

#include "data/loader.h"
#include "models/m2m.h"
#include "train/modeldir.h"
#include "train/noising.h"
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
    vision vision;           /* M2M-DINO; else zero */
    dataset *data, *val;
    set_source source, val_source;
    loader loader;
    train_graph graph;
    set_batch batch;
    set_check *check;        /* validation and samples; NULL without validation data */
} set_task;

static int run(task *t, int64_t batch, double *loss, m2m_error *err)
{
    set_task *s = (set_task *)t;
    float value;
    int status = set_batch_load(&s->batch, &s->loader, &s->source, batch, err);
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
    return modeldir_save_m2m(dir, s->from, s->vae.dir, s->unet.params, s->unet.config.condition, s->schedule.prediction,
                             stored, err);
}

static void free_task(task *t)
{
    set_task *s = (set_task *)t;
    set_check_free(s->check);
    exec_free(t->x);
    set_batch_free(&s->batch);
    train_graph_free(&s->graph);
    loader_close(&s->loader);
    set_source_close(&s->source);
    set_source_close(&s->val_source);
    dataset_close(&s->data);
    dataset_close(&s->val);
    schedule_free(&s->schedule);
    vae_model_close(&s->vae);
    vision_close(&s->vision);
    unet_model_close(&s->unet);
    free(s->from);
    free(s);
}

static const task_kind kind = {"m2m", run, validate, sample, save, free_task};

static bool is_dino(const set_task *s) { return s->unet.config.variant == SET_DINO; }

static loader_order image_order(const m2m_train_options *o)
{
    return !o->keep_order ? ORDER_RANDOM : o->gaps ? ORDER_GAPS : ORDER_RUN;
}

static set_condition condition_wanted(const m2m_train_options *o)
{
    if (!o->condition) return CONDITION_NONE;
    return !strcmp(o->condition, "camera") ? CONDITION_CAMERA : CONDITION_POSITION;
}

static int open_models(set_task *s, m2m_error *err)
{
    const m2m_train_options *o = s->o;
    s->from = strdup(o->from ? o->from : o->config);
    if (!s->from) return fail(err, M2M_ENOMEM, "no memory for a path");
    int status = unet_model_open_with(&s->unet, s->from, o->from != NULL, condition_wanted(o), err);
    if (!status && s->unet.config.variant == SET_NONE)
        status = fail(err, M2M_EUNSUPPORTED, "%s: its U-Net has no image_set_attention", s->from);
    if (!status) status = vae_model_open(&s->vae, s->from, true, err);
    if (!status && is_dino(s)) status = vision_open(&s->vision, s->from, true, s->unet.config.cross_dim, err);
    if (!status) status = train_schedule(&s->schedule, s->from, o, err);
    if (!status && o->context_noise) status = context_noise_fits(&s->unet.config, err);
    if (!status && o->context_noise >= s->schedule.train_steps)
        status = fail(err, M2M_EINVAL, "context_noise: %lld, wanted a timestep of the schedule, 0..%d",
                      (long long)o->context_noise, s->schedule.train_steps - 1);
    if (!status && o->flip && s->unet.config.condition == CONDITION_CAMERA)
        status = fail(err, M2M_EINVAL, "flip: a mirrored image has no camera; wanted false with condition camera");
    if (!status) status = params_prepare(s->unet.params, (uint64_t)o->seed, o->train_only, err);
    if (!status) weights_drop(s->unet.weights);    /* copied, as far as they are trained */
    return status;
}

static int open_source(set_task *s, set_source *to, const char *what, const dataset *d, bool flips, m2m_error *err)
{
    set_source_plan plan = {.output = s->o->output, .what = what, .data = d, .view = &s->view, .vae = &s->vae,
                            .vision = is_dino(s) ? &s->vision : NULL, .condition = s->unet.config.condition,
                            .stored = s->o->stored_latents != 0, .flips = flips, .be = s->be, .calls = s->calls};
    return set_source_open(to, &plan, err);
}

static int open_data(set_task *s, m2m_error *err)
{
    const m2m_train_options *o = s->o;
    int n = (int)o->images;
    int status = train_view(&s->view, o, err);
    if (!status && o->stored_latents && o->flip)
        status = fail(err, M2M_EINVAL, "flip: can't be on together with stored_latents: latents can't be mirrored");
    if (!status) status = dataset_open(&s->data, o->data, n, err);
    if (!status && o->val_data) status = dataset_open(&s->val, o->val_data, n, err);
    if (!status) status = open_source(s, &s->source, "train", s->data, o->flip != 0, err);
    if (!status && s->val) status = open_source(s, &s->val_source, "val", s->val, false, err);
    if (!status) status = loader_open(&s->loader, s->data, (uint64_t)o->seed, (int)o->sets, n, image_order(o), err);
    return status;
}

static int tokens_of(const set_task *s)
{
    return is_dino(s) ? vision_tokens(&s->vision, (int)s->o->size, (int)s->o->size) : 0;
}

static int build(set_task *s, m2m_error *err)
{
    const m2m_train_options *o = s->o;
    int f = vae_factor(&s->vae.config), side = (int)o->size / f;
    if (o->size % f) return fail(err, M2M_EINVAL, "size: %lld, wanted a multiple of %d", (long long)o->size, f);
    train_shape ts = {.sets = (int)o->sets, .images = (int)o->images, .draws = (int)o->draws, .height = side,
                         .width = side, .tokens = tokens_of(s), .recompute = o->recompute != 0};
    int status = train_graph_build(&s->graph, &s->unet.config, s->unet.params, &ts, true, true, err);
    if (status) return status;
    s->base.x = task_exec(s->graph.g, s->be, &s->graph.loss, 1, s->unet.params, s->graph.grads, err);
    if (!s->base.x) return M2M_ENOMEM;
    draw_plan plan = {.seed = (uint64_t)o->seed, .purpose = DRAW_TRAIN, .sets = ts.sets, .draws = ts.draws,
                      .images = ts.images, .t_first = 0, .t_last = s->schedule.train_steps - 1,
                      .per_image = !strcmp(o->timestep_per, "image"), .drop = o->drop,
                      .drop_condition = o->drop_condition, .context_noise = (int)o->context_noise};
    return set_batch_new(&s->batch, &s->unet.config, &s->schedule, &ts, &plan, o->flip != 0, err);
}

static int open_check(set_task *s, m2m_error *err)
{
    if (!s->val) return 0;
    set_check_source from = {.unet = &s->unet, .vae = &s->vae, .schedule = &s->schedule, .data = s->val,
                             .source = &s->val_source, .be = s->be, .tokens = tokens_of(s),
                             .vision = is_dino(s) ? &s->vision : NULL, .order = image_order(s->o),
                             .images = (int)s->o->images, .sets = (int)s->o->val_sets, .seed = (uint64_t)s->o->seed,
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
    s->base.bytes = paramset_bytes(s->unet.params) + paramset_bytes(s->vae.params) + set_source_bytes(&s->source);
    if (is_dino(s)) s->base.bytes += paramset_bytes(s->vision.encoder.params);
    s->base.fingerprint = dataset_fingerprint(s->data);
    s->base.sets = o->sets;
    return &s->base;
}
