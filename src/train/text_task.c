/* Training of a text-to-image U-Net on images with captions: VAE, tokenizer and text tower are frozen; latents are made
 * once, states of the captions for each batch. From an M2M directory all is kept but attn2, which becomes text
 * cross-attention. */
#include "train/task.h"

#include "models/m2m.h"
#include "train/modeldir.h"
#include "train/noising.h"
#include "train/prompts.h"
#include "train/set_source.h"
#include "train/text_check.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN = 4 };          /* rows of a sample picture from each of both data sets */

/* Where batches come from: an image of each set, with the set's caption. */
typedef struct feed {
    dataset *data;           /* NULL: none */
    set_source source;
    loader loader;
    draw_plan plan;
    bool flip;
    uint64_t captions;       /* a hash of all */
} feed;

typedef struct text_task {
    task base;
    const m2m_train_options *o;
    backend *be;
    const m2m_calls *calls;
    const char *from;        /* the directory of the U-Net and the schedule */
    unet_model unet;
    vae_model vae;
    schedule schedule;
    prompts prompts;
    dataset_view view;
    feed train, val;
    text_graph graph;
    int rows, side;          /* images of a batch; side of a latent */
    int64_t floats;          /* of a latent */
    loader_item *items;      /* [rows] */
    char **texts;            /* [rows] */
    float *clean, *noisy, *target;   /* [rows, C,h,w] */
    float *times;            /* [rows] */
    float *states;           /* [prompts.rows, T,D] */
} text_task;

/* ---- a batch ---- */

static int load_images(text_task *t, feed *f, int64_t batch, m2m_error *err)
{
    bool flips[DRAW_MAX_SETS] = {false};
    int status = 0;
    loader_batch(&f->loader, batch, t->items);
    if (f->flip) draw_flips(&f->plan, batch, flips);
    for (int i = 0; i < t->rows && !status; i++) {
        int64_t image;
        status = set_source_image(&f->source, f->data, t->items[i], &image, err);
        if (!status) latents_get(&f->source.latents, image, flips[i], t->clean + i * t->floats);
    }
    return status;
}

/* Each image's caption, or that of the image `shift` further on; "" where it is dropped. */
static int load_texts(text_task *t, feed *f, int64_t batch, int shift, m2m_error *err)
{
    static const char nothing[] = "";
    const char *texts[DRAW_MAX_SETS];
    bool dropped[DRAW_MAX_SETS];
    int status = 0;
    draw_dropped(&f->plan, batch, dropped);
    for (int i = 0; i < t->rows && !status; i++) {
        free(t->texts[i]);
        t->texts[i] = NULL;
        status = dataset_caption(f->data, t->items[(i + shift) % t->rows].set, &t->texts[i], err);
        texts[i] = dropped[i] ? nothing : t->texts[i];
    }
    return status ? status : prompts_states(&t->prompts, texts, t->rows, t->states, err);
}

static int run_batch(text_task *t, feed *f, int64_t batch, int shift, double *loss, m2m_error *err)
{
    exec *x = t->base.x;
    float value;
    int status = load_images(t, f, batch, err);
    if (!status) status = load_texts(t, f, batch, shift, err);
    if (status) return status;
    noise_latents(&f->plan, &t->schedule, batch, t->floats, t->clean, t->times, t->noisy, t->target);
    status = exec_write(x, t->graph.sample, t->noisy, err);
    if (!status) status = exec_write(x, t->graph.timestep, t->times, err);
    if (!status) status = exec_write(x, t->graph.tokens, t->states, err);
    if (!status) status = exec_write(x, t->graph.target, t->target, err);
    if (!status) status = exec_run(x, err);
    if (status) return status;
    exec_read(x, t->graph.loss, &value);
    *loss = value;
    return 0;
}

static int run(task *base, int64_t batch, double *loss, m2m_error *err)
{
    text_task *t = (text_task *)base;
    return run_batch(t, &t->train, batch, 0, loss, err);
}

/* ---- validation ---- */

/* Mean loss with the images' own captions and with others', at the same noise. */
static int measure(text_task *t, int t_first, int t_last, double mean[2], m2m_error *err)
{
    const int batches = (int)((t->o->val_sets + t->rows - 1) / t->rows);
    int status = 0;
    t->val.plan.t_first = t_first;
    t->val.plan.t_last = t_last;
    mean[0] = mean[1] = 0;
    for (int b = 0; b < batches; b++)
        for (int other = 0; other < 2 && !status; other++) {
            double loss = 0;
            status = run_batch(t, &t->val, b, other, &loss, err);
            mean[other] += loss / batches;
        }
    return status;
}

static int validate(task *base, journal_field fields[TASK_FIELDS], int *n, m2m_error *err)
{
    text_task *t = (text_task *)base;
    double all[2], high[2];
    if (!t->val.data) return 0;
    int status = measure(t, 0, t->schedule.train_steps - 1, all, err);
    if (!status) status = measure(t, 600, 900, high, err);
    if (status) return status;
    fields[0] = (journal_field){"val_loss", all[0]};
    fields[1] = (journal_field){"val_loss_other", all[1]};
    fields[2] = (journal_field){"ratio", all[0] / all[1]};
    fields[3] = (journal_field){"ratio_high", high[0] / high[1]};
    *n = 4;
    return 0;
}

/* The first images of batch 0 of a feed, with their captions, behind the n that are there. */
static int add_rows(text_task *t, feed *f, char **captions, float *shown, int *n, m2m_error *err)
{
    int status = f->data ? load_images(t, f, 0, err) : 0;
    for (int i = 0; f->data && i < SHOWN && i < t->rows && !status; i++) {
        status = dataset_caption(f->data, t->items[i].set, &captions[*n], err);
        if (status) break;
        memcpy(shown + *n * t->floats, t->clean + i * t->floats, (size_t)t->floats * sizeof *shown);
        ++*n;
    }
    return status;
}

static int sample(task *base, m2m_image *picture, m2m_error *err)
{
    text_task *t = (text_task *)base;
    const text_sheet sheet = {.unet = &t->unet, .vae = &t->vae, .schedule = &t->schedule, .prompts = &t->prompts,
                              .be = t->be, .seed = (uint64_t)t->o->seed, .side = t->side};
    char *captions[2 * SHOWN] = {NULL};
    int n = 0;
    float *shown = malloc(2 * SHOWN * (size_t)t->floats * sizeof *shown);
    int status = shown ? add_rows(t, &t->train, captions, shown, &n, err) : fail(err, M2M_ENOMEM, "no memory");
    if (!status) status = add_rows(t, &t->val, captions, shown, &n, err);
    if (!status) status = text_sheet_make(&sheet, (const char *const *)captions, shown, n, picture, err);
    for (int i = 0; i < 2 * SHOWN; i++) free(captions[i]);
    free(shown);
    return status;
}

static int save(task *base, const char *dir, dtype stored, m2m_error *err)
{
    text_task *t = (text_task *)base;
    const text_parts parts = {.from = t->from, .vae = t->vae.dir, .text_encoder = t->prompts.model.dir,
                              .tokenizer = t->prompts.folder, .text = t->prompts.model.params,
                              .width = t->prompts.model.config.width, .predicted = t->schedule.prediction};
    return modeldir_save_text(dir, &parts, t->unet.params, stored, err);
}

/* ---- opening and closing ---- */

static void close_feed(feed *f)
{
    loader_close(&f->loader);
    set_source_close(&f->source);
    dataset_close(&f->data);
}

static void free_task(task *base)
{
    text_task *t = (text_task *)base;
    exec_free(base->x);
    text_graph_free(&t->graph);
    for (int i = 0; t->texts && i < t->rows; i++) free(t->texts[i]);
    void *all[] = {t->items, t->texts, t->clean, t->noisy, t->target, t->times, t->states};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    close_feed(&t->train);
    close_feed(&t->val);
    prompts_close(&t->prompts);
    schedule_free(&t->schedule);
    vae_model_close(&t->vae);
    unet_model_close(&t->unet);
    free(t);
}

static const task_kind kind = {"text_to_image", run, validate, sample, save, free_task};

static int open_models(text_task *t, m2m_error *err)
{
    const m2m_train_options *o = t->o;
    int status = prompts_open(&t->prompts, o->text_encoder ? o->text_encoder : t->from, err);
    if (!status)
        status = unet_model_open_for_text(&t->unet, t->from, o->from != NULL, t->prompts.model.config.width, err);
    if (!status) status = vae_model_open(&t->vae, o->vae ? o->vae : t->from, true, err);
    if (!status && t->unet.config.in_channels != t->vae.config.latent_channels)
        status = fail(err, M2M_ESHAPE, "%s: takes %d channels, the VAE of %s gives %d", t->unet.dir,
                      t->unet.config.in_channels, t->vae.dir, t->vae.config.latent_channels);
    if (!status && t->unet.config.out_channels != t->unet.config.in_channels)
        status = fail(err, M2M_EUNSUPPORTED, "%s: gives %d channels, wanted the %d that it takes", t->unet.dir,
                      t->unet.config.out_channels, t->unet.config.in_channels);
    if (!status) status = train_schedule(&t->schedule, t->from, o, err);
    if (!status) status = params_prepare(t->unet.params, (uint64_t)o->seed, o->train_only, err);
    if (!status) weights_drop(t->unet.weights);    /* copied, as far as they are trained */
    return status;
}

static int open_feed(text_task *t, feed *f, const char *what, const char *paths, m2m_error *err)
{
    const m2m_train_options *o = t->o;
    const bool val = !strcmp(what, "val");
    f->flip = o->flip && !val;
    f->plan = (draw_plan){.seed = (uint64_t)o->seed, .purpose = val ? DRAW_VALIDATE : DRAW_TRAIN, .sets = t->rows,
                          .draws = 1, .images = 1, .t_last = t->schedule.train_steps - 1, .drop = val ? 0 : o->drop};
    int status = dataset_open(&f->data, paths, 1, err);
    if (!status) status = prompts_check(&t->prompts, f->data, &f->captions, err);
    const set_source_plan plan = {.output = o->output, .what = what, .data = f->data, .view = &t->view, .vae = &t->vae,
                                  .stored = o->stored_latents != 0, .flips = f->flip, .be = t->be, .calls = t->calls};
    if (!status) status = set_source_open(&f->source, &plan, err);
    return status ? status : loader_open(&f->loader, f->data, (uint64_t)o->seed, t->rows, 1, false, err);
}

static int open_data(text_task *t, m2m_error *err)
{
    const m2m_train_options *o = t->o;
    int f = vae_factor(&t->vae.config), status = train_view(&t->view, o, err);
    t->side = (int)o->size / f;
    t->floats = (int64_t)t->unet.config.in_channels * t->side * t->side;
    if (!status && o->size % f)
        status = fail(err, M2M_EINVAL, "size: %lld, wanted a multiple of %d", (long long)o->size, f);
    if (!status && o->stored_latents && o->flip)
        status = fail(err, M2M_EINVAL, "flip: can't be on together with stored_latents: latents can't be mirrored");
    if (!status) status = open_feed(t, &t->train, "train", o->data, err);
    if (!status && o->val_data) status = open_feed(t, &t->val, "val", o->val_data, err);
    return status;
}

static int allocate(text_task *t, m2m_error *err)
{
    const size_t rows = (size_t)t->rows, floats = rows * (size_t)t->floats;
    t->items = malloc(rows * sizeof *t->items);
    t->texts = calloc(rows, sizeof *t->texts);
    t->clean = malloc(floats * sizeof *t->clean);
    t->noisy = malloc(floats * sizeof *t->noisy);
    t->target = malloc(floats * sizeof *t->target);
    t->times = malloc(rows * sizeof *t->times);
    t->states = malloc((size_t)t->prompts.rows * (size_t)t->prompts.length * (size_t)t->prompts.model.config.width *
                       sizeof *t->states);
    bool good = t->items && t->texts && t->clean && t->noisy && t->target && t->times && t->states;
    return good ? 0 : fail(err, M2M_ENOMEM, "no memory for a batch of %d images", t->rows);
}

static int build(text_task *t, m2m_error *err)
{
    const int flags = TEXT_GRADIENTS | (t->o->recompute ? TEXT_RECOMPUTE : 0);
    int status = prompts_prepare(&t->prompts, t->be, t->rows < 2 ? 2 : t->rows, err);
    if (!status) status = allocate(t, err);
    if (!status)
        status = text_graph_build(&t->graph, &t->unet.config, t->unet.params, t->rows, t->side, t->side,
                                  t->prompts.length, flags, err);
    if (status) return status;
    t->base.x = task_exec(t->graph.g, t->be, &t->graph.loss, 1, t->unet.params, t->graph.grads, err);
    return t->base.x ? 0 : M2M_ENOMEM;
}

task *text_task_new(const m2m_train_options *o, backend *be, const m2m_calls *calls, m2m_error *err)
{
    text_task *t = calloc(1, sizeof *t);
    if (!t) return fail(err, M2M_ENOMEM, "no memory for a training task"), NULL;
    t->o = o;
    t->be = be;
    t->calls = calls;
    t->rows = (int)o->sets;
    t->from = o->from ? o->from : o->config;
    t->base.kind = &kind;
    if (open_models(t, err) || open_data(t, err) || build(t, err)) {
        free_task(&t->base);
        return NULL;
    }
    t->base.params = t->unet.params;
    t->base.grads = t->graph.grads;
    t->base.bytes = paramset_bytes(t->unet.params) + paramset_bytes(t->vae.params) + prompts_bytes(&t->prompts) +
                    set_source_bytes(&t->train.source);
    t->base.fingerprint = dataset_fingerprint(t->train.data) ^ t->train.captions;
    t->base.sets = o->sets;
    return &t->base;
}
