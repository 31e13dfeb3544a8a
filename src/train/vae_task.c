/* Training of the VAE: L1 + KL (+ gradient term) on single images. */
#include "train/task.h"

#include "base/file.h"
#include "base/json.h"
#include "image/draw.h"
#include "image/image.h"
#include "models/vae_graph.h"
#include "models/component.h"
#include "train/modeldir.h"
#include "train/set_source.h"
#include "train/stream.h"
#include "train/timesteps.h"
#include "train/vae_start.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct vae_task {
    task base;
    const m2m_train_options *o;
    backend *be;
    const m2m_calls *calls;
    vae_model vae;
    stream train, val; /* single images; val.data NULL: none */
    dataset_view view;
    vae_graph graph;
    int batch;
    int64_t image, latent;   /* floats */
    float *images, *noise;
} vae_task;

static int load_batch(vae_task *v, draw_purpose purpose, int64_t batch, m2m_error *err)
{
    bool flip[DRAW_MAX_SETS] = {false};
    bool val = purpose == DRAW_VALIDATE;
    draw_plan d = {
        .seed = (uint64_t)v->o->seed, .purpose = purpose, .sets = v->batch, .draws = 1, .images = 1, .t_last = 999};
    if (v->o->flip && !val) draw_flips(&d, batch, flip);
    int status = stream_read(val ? &v->val : &v->train, batch, v->images, err);
    if (status) return status;
    for (int i = 0; i < v->batch; i++)
        if (flip[i]) image_mirror_chw(v->images + i * v->image, 3 * v->view.height, v->view.width);
    draw_noise(&d, batch, v->latent, v->noise);
    status = exec_write(v->base.x, v->graph.in, v->images, err);
    return status ? status : exec_write(v->base.x, v->graph.noise, v->noise, err);
}

static int run(task *t, int64_t batch, double *loss, m2m_error *err)
{
    vae_task *v = (vae_task *)t;
    float value;
    int status = load_batch(v, DRAW_VAE, batch, err);
    if (!status) status = exec_run(t->x, err);
    if (status) return status;
    exec_read(t->x, v->graph.loss, &value);
    *loss = value;
    return 0;
}

static int validate(task *t, journal_field fields[TASK_FIELDS], int *n, m2m_error *err)
{
    vae_task *v = (vae_task *)t;
    int batches = (int)((v->o->val_sets + v->batch - 1) / v->batch), status = 0;
    double l1 = 0, loss = 0, squares = 0;
    float *made = malloc((size_t)(v->batch * v->image) * sizeof *made);
    if (!made) return fail(err, M2M_ENOMEM, "no memory for validation");
    for (int b = 0; b < batches && !status && v->val.data; b++) {
        float a, c;
        status = load_batch(v, DRAW_VALIDATE, b, err);
        if (!status) status = exec_run(t->x, err);
        if (status) break;
        exec_read(t->x, v->graph.loss, &c);
        exec_read(t->x, v->graph.l1, &a);
        exec_read(t->x, v->graph.out, made);
        for (int64_t i = 0; i < v->batch * v->image; i++) {
            double e = fmin(fmax(made[i], -1), 1) - v->images[i];
            squares += e * e;
        }
        l1 += a / batches;
        loss += c / batches;
    }
    free(made);
    if (!v->val.data) return 0;
    double mse = squares / ((double)batches * (double)(v->batch * v->image));
    fields[0] = (journal_field){"val_loss", loss};
    fields[1] = (journal_field){"val_l1", l1};
    fields[2] = (journal_field){"val_psnr", 10 * log10(4 / mse)};
    *n = 3;
    return status;
}

/* Two rows of 8 pairs: above what went in, below what came out. */
static int sample(task *t, m2m_image *picture, m2m_error *err)
{
    vae_task *v = (vae_task *)t;
    int size = v->view.width, shown = v->batch < 12 ? v->batch : 12;
    float *made = malloc((size_t)(v->batch * v->image) * sizeof *made);
    if (!made) return fail(err, M2M_ENOMEM, "no memory for a sample");
    int status = load_batch(v, v->val.data ? DRAW_VALIDATE : DRAW_VAE, 0, err);
    if (!status) status = exec_run(t->x, err);
    if (!status) status = m2m_image_new(picture, shown * size, 2 * size, 3, err);
    if (!status) exec_read(t->x, v->graph.out, made);
    for (int i = 0; i < 2 * shown && !status; i++) {
        m2m_image one = {0};
        const float *from = i < shown ? v->images + i * v->image : made + (i - shown) * v->image;
        status = image_from_chw(&one, from, size, size, err);
        if (!status) image_paste(picture, &one, i % shown * size, i / shown * size);
        m2m_image_free(&one);
    }
    free(made);
    return status;
}

/* scaling_factor = 1 / standard deviation of the latents' means, as latent diffusion sets it. */
static int measure_scale(vae_task *v, double *scale, m2m_error *err)
{
    vae_graph g = {0};
    double sum = 0, squares = 0, n = 0;
    int c = v->vae.config.latent_channels, size = v->view.width, status;
    status = vae_graph_build(&g, &v->vae.config, v->vae.params, VAE_ENCODE, v->batch, size, size, err);
    exec *x = status ? NULL : exec_new(g.g, v->be, &g.out, 1, err);
    float *moments = malloc(2 * (size_t)(v->batch * v->latent) * sizeof *moments);
    if (!x || !moments) status = status ? status : M2M_ENOMEM;
    int64_t plane = v->latent / c;
    for (int b = 0; b < 8 && !status; b++) {
        status = stream_read(&v->train, b, v->images, err);
        if (!status) status = exec_write(x, g.in, v->images, err);
        if (!status) status = exec_run(x, err);
        if (status) break;
        exec_read(x, g.out, moments);
        for (int i = 0; i < v->batch; i++)
            for (int64_t k = 0; k < c * plane; k++) {
                double m = moments[2 * i * v->latent + k];
                sum += m, squares += m * m, n++;
            }
    }
    if (!status) *scale = 1 / sqrt(squares / n - sum / n * (sum / n));
    free(moments);
    exec_free(x);
    vae_graph_free(&g);
    return status;
}

static int save(task *t, const char *dir, dtype stored, m2m_error *err)
{
    vae_task *v = (vae_task *)t;
    double scale = 0;
    int status = measure_scale(v, &scale, err);
    return status ? status : modeldir_save_vae(dir, v->vae.dir, v->vae.params, scale, stored, err);
}

static void free_task(task *t)
{
    vae_task *v = (vae_task *)t;
    exec_free(t->x);
    vae_graph_free(&v->graph);
    stream_close(&v->train);
    stream_close(&v->val);
    vae_model_close(&v->vae);
    free(v->images);
    free(v->noise);
    free(v);
}

static const task_kind kind = {"vae", run, validate, sample, save, free_task};

static int open_data(vae_task *v, m2m_error *err)
{
    const m2m_train_options *o = v->o;
    int status = train_view(&v->view, o, err);
    stream_plan plan = {
        .paths = o->data, .view = v->view, .seed = (uint64_t)o->seed, .sets = v->batch, .calls = v->calls};
    if (!status) status = stream_open(&v->train, &plan, err);
    plan.paths = o->val_data;
    if (!status && o->val_data) status = stream_open(&v->val, &plan, err);
    return status;
}

static int build(vae_task *v, m2m_error *err)
{
    const m2m_train_options *o = v->o;
    const char *from = o->from ? o->from : o->config;
    int size = (int)o->size, status = vae_model_open(&v->vae, from, o->from != NULL, err), f;
    if (!status) status = params_prepare(v->vae.params, (uint64_t)o->seed, o->train_only, err);
    if (status) return status;
    if (!o->from) vae_start(&v->vae.config, v->vae.params);
    f = vae_factor(&v->vae.config);
    vae_loss loss = {.kl = (float)o->kl, .gradient = (float)o->gradient_loss};
    v->image = 3 * (int64_t)size * size;
    v->latent = (int64_t)v->vae.config.latent_channels * (size / f) * (size / f);
    status = vae_train_build(&v->graph, &v->vae.config, v->vae.params, v->batch, size, size, &loss, true, err);
    if (status) return status;
    v->images = malloc((size_t)(v->batch * v->image) * sizeof *v->images);
    v->noise = malloc((size_t)(v->batch * v->latent) * sizeof *v->noise);
    if (!v->images || !v->noise) return fail(err, M2M_ENOMEM, "no memory for a batch of %d images", v->batch);
    node *more[4] = {v->graph.loss, v->graph.l1, v->graph.kl, v->graph.out};
    v->base.x = task_exec(v->graph.g, v->be, more, 4, v->vae.params, v->graph.grads, err);
    return v->base.x ? 0 : M2M_ENOMEM;
}

task *vae_task_new(const m2m_train_options *o, backend *be, const m2m_calls *calls, m2m_error *err)
{
    vae_task *v = calloc(1, sizeof *v);
    if (!v) return fail(err, M2M_ENOMEM, "no memory for a training task"), NULL;
    v->o = o;
    v->be = be;
    v->calls = calls;
    v->batch = (int)o->sets;
    v->base.kind = &kind;
    if (build(v, err) || open_data(v, err)) {
        free_task(&v->base);
        return NULL;
    }
    v->base.params = v->vae.params;
    v->base.grads = v->graph.grads;
    v->base.bytes = paramset_bytes(v->vae.params) + (size_t)(v->batch * (v->image + v->latent)) * sizeof(float);
    v->base.fingerprint = dataset_fingerprint(v->train.data);
    v->base.sets = v->batch;
    return &v->base;
}
