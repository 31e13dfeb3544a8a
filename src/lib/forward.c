/* m2m_forward: one component of a model directory on tensors from a file, with or without gradients. */
#include "m2m_train.h"

#include "base/file.h"
#include "diffusion/schedule.h"
#include "lib/contrast_job.h"
#include "lib/device.h"
#include "lib/job.h"
#include "lib/setjob.h"
#include "lib/unetjob.h"
#include "models/clip.h"
#include "models/features.h"
#include "models/inception.h"
#include "models/text_states.h"
#include "models/vae_bands.h"
#include "models/vae_graph.h"
#include "train/modeldir.h"

#include <stdlib.h>
#include <string.h>

typedef struct request {
    const char *dir;
    const safetensors *in;
    backend *be;
    bool backward;
    results *out;
} request;

/* ---- unet ---- */

static int size_is(const request *q, const char *name, int64_t found, int64_t wanted, const char *what, m2m_error *err)
{
    if (found == wanted) return 0;
    return fail(err, M2M_ESHAPE, "%s: tensor %s has %lld %s, wanted %lld", safetensors_path(q->in), name,
                (long long)found, what, (long long)wanted);
}

static int run_unet(const request *q, m2m_error *err)
{
    unet_job j;
    const text_graph *t = &j.graph;
    int status = unet_job_open(&j, q->dir, q->in, q->be, 0, q->backward, err);
    if (!status) status = unet_job_run(&j, 0, err);
    if (!status) {
        results_add_output(q->out, j.x, "", "sample", t->prediction, t->prediction->shape);
        if (t->loss) results_add_output(q->out, j.x, "", "loss", t->loss, (shape){0});
        if (t->grads) results_add_grads(q->out, j.x, j.unet.params, t->grads);
    }
    unet_job_close(&j);
    return status;
}

/* ---- vae ---- */

static int run_vae_graph(const request *q, vae_graph *t, const char *output, const paramset *params, const float *x_in,
                         const float *noise, m2m_error *err)
{
    node *wanted[4] = {t->out, t->loss, t->l1, t->kl};
    exec *x = task_exec(t->g, q->be, wanted, t->loss ? 4 : 1, params, t->grads, err);
    if (!x) return M2M_EUNSUPPORTED;
    int status = exec_write(x, t->in, x_in, err);
    if (!status && noise) status = exec_write(x, t->noise, noise, err);
    if (!status) status = exec_run(x, err);
    if (!status) {
        results_add_output(q->out, x, "", output, t->out, t->out->shape);
        if (t->loss) results_add_output(q->out, x, "", "loss", t->loss, (shape){0});
        if (t->loss) results_add_output(q->out, x, "", "l1", t->l1, (shape){0});
        if (t->loss) results_add_output(q->out, x, "", "kl", t->kl, (shape){0});
        if (t->grads) results_add_grads(q->out, x, params, t->grads);
    }
    exec_free(x);
    return status;
}

/* sample [B,c,h,w] -> result "sample", each image in bands of rows. */
static int decode_in_bands(const request *q, const vae_model *m, const float *sample, shape s,
                           const band_limits *limits, m2m_error *err)
{
    const int height = (int)s.dim[2], width = (int)s.dim[3], f = vae_factor(&m->config);
    const shape out = SHAPE(s.dim[0], m->config.out_channels, (int64_t)height * f, (int64_t)width * f);
    const int64_t in_floats = shape_count(s) / s.dim[0], out_floats = shape_count(out) / s.dim[0];
    float *images = malloc((size_t)shape_count(out) * sizeof *images);
    if (!images) return fail(err, M2M_ENOMEM, "no memory for %lld images of %dx%d", (long long)s.dim[0], width * f,
                             height * f);
    vae_bands *b = vae_bands_new(&m->config, m->params, q->be, height, width, limits, err);
    int status = b ? 0 : M2M_ENOMEM;
    for (int64_t i = 0; i < s.dim[0] && !status; i++)
        status = vae_bands_decode(b, sample + i * in_floats, images + i * out_floats, err);
    if (!status) results_add(q->out, "", "sample", out, images);
    vae_bands_free(b);
    free(images);
    return status;
}

/* part: VAE_ENCODE or VAE_DECODE; with gradients the whole autoencoder under its training loss. */
static int run_vae(const request *q, vae_part part, bool whole, m2m_error *err)
{
    vae_model m;
    shape s, e;
    float *sample = NULL, *noise = NULL;
    vae_graph t = {0};
    int status = vae_model_open(&m, q->dir, true, err);
    if (status) return status;
    if (!(sample = job_floats(q->in, "sample", 4, &s, err))) status = M2M_ESHAPE;
    if (!status && whole && !(noise = job_floats(q->in, "noise", 4, &e, err))) status = M2M_ESHAPE;
    int channels = part == VAE_ENCODE ? m.config.in_channels : m.config.latent_channels;
    if (!status) status = size_is(q, "sample", s.dim[1], channels, "channels", err);
    int batch = (int)s.dim[0], height = (int)s.dim[2], width = (int)s.dim[3], f = vae_factor(&m.config);
    if (!status && whole)
        status = size_is(q, "noise", shape_count(e),
                         (int64_t)batch * m.config.latent_channels * (height / f) * (width / f), "elements", err);
    const band_limits limits = VAE_BAND_LIMITS;
    const bool bands = !status && part == VAE_DECODE && vae_bands_apply(&m.config, height, width, &limits);
    if (bands)
        status = decode_in_bands(q, &m, sample, s, &limits, err);
    else if (!status && whole)
        status =
            vae_train_build(&t, &m.config, m.params, batch, height, width, &(vae_loss){.kl = 1e-6f}, q->backward, err);
    else if (!status)
        status = vae_graph_build(&t, &m.config, m.params, part, batch, height, width, err);
    const char *output = part == VAE_ENCODE && !whole ? "moments" : "sample";
    if (!status && !bands) status = run_vae_graph(q, &t, output, m.params, sample, noise, err);
    vae_graph_free(&t);
    free(sample);
    free(noise);
    vae_model_close(&m);
    return status;
}

static int run_vae_encoder(const request *q, m2m_error *err) { return run_vae(q, VAE_ENCODE, false, err); }
static int run_vae_decoder(const request *q, m2m_error *err) { return run_vae(q, VAE_DECODE, false, err); }
static int run_vae_whole(const request *q, m2m_error *err) { return run_vae(q, VAE_ENCODE, true, err); }

/* ---- image encoder ---- */

static int run_contrast(const request *q, contrast_kind kind, m2m_error *err)
{
    contrast_job j;
    int status = contrast_job_open(&j, q->dir, kind, q->in, q->be, 0, err);
    if (!status) status = contrast_job_run(&j, 0, err);
    if (!status) {
        const shape embeds = SHAPE(j.batch, shape_last(j.out[0]->shape));
        if (kind == CONTRAST_CLIP) results_add_output(q->out, j.x, "", "image_embeds", j.out[0], embeds);
        if (kind == CONTRAST_CLIP) results_add_output(q->out, j.x, "", "text_embeds", j.out[1], embeds);
        results_add_output(q->out, j.x, "", "loss", j.loss, (shape){0});
        results_add_grads(q->out, j.x, j.params, j.grads);
    }
    contrast_job_close(&j);
    return status;
}

static int run_image_encoder(const request *q, m2m_error *err)
{
    if (q->backward) return run_contrast(q, CONTRAST_ENCODER, err);
    encoder_model m;
    shape s;
    features *f = NULL;
    float *pixels = NULL, *out = NULL;
    int status = encoder_model_open(&m, q->dir, true, err);
    if (status) return status;
    if (!(pixels = job_floats(q->in, "pixel_values", 4, &s, err))) status = M2M_ESHAPE;
    if (!status) status = size_is(q, "pixel_values", s.dim[1], m.config.channels, "channels", err);
    if (!status) f = features_new(&m, q->be, (int)s.dim[0], (int)s.dim[2], (int)s.dim[3], err);
    if (!status && !f) status = M2M_EINVAL;
    if (!status) {
        shape tokens = SHAPE(s.dim[0], features_tokens(f), m.config.width);
        out = malloc((size_t)shape_count(tokens) * sizeof *out);
        status = out ? features_run(f, pixels, out, err) : fail(err, M2M_ENOMEM, "no memory for features");
        if (!status) results_add(q->out, "", "last_hidden_state", tokens, out);
    }
    features_free(f);
    free(pixels);
    free(out);
    encoder_model_close(&m);
    return status;
}

/* ---- text encoder ---- */

static int run_text(const request *q, const text_model *m, const int32_t *ids, shape s, m2m_error *err)
{
    int64_t width = m->config.width, length = s.dim[1];
    float *out = malloc((size_t)(shape_count(s) * width) * sizeof *out);
    float *pooled = malloc((size_t)(s.dim[0] * width) * sizeof *pooled);
    text_states *t = text_states_new(m, q->be, (int)s.dim[0], (int)length, err);
    int status = !t ? M2M_EINVAL : !out || !pooled ? fail(err, M2M_ENOMEM, "no memory for the states of texts") : 0;
    if (!status) status = text_states_run(t, ids, out, err);
    for (int64_t b = 0; b < s.dim[0] && !status; b++) {
        int at = clip_text_pooled(&m->config, ids + b * length, (int)length);
        memcpy(pooled + b * width, out + (b * length + at) * width, (size_t)width * sizeof *out);
    }
    if (!status) results_add(q->out, "", "last_hidden_state", SHAPE(s.dim[0], length, width), out);
    if (!status) results_add(q->out, "", "pooler_output", SHAPE(s.dim[0], width), pooled);
    text_states_free(t);
    free(out);
    free(pooled);
    return status;
}

static int run_text_encoder(const request *q, m2m_error *err)
{
    text_model m;
    shape s;
    int status = text_model_open(&m, q->dir, true, err);
    if (status) return status;
    int32_t *ids = job_integers(q->in, "input_ids", 2, &s, err);
    status = ids ? run_text(q, &m, ids, s, err) : M2M_ESHAPE;
    free(ids);
    text_model_close(&m);
    return status;
}

/* ---- clip ---- */

static int run_clip_images(const request *q, const clip_model *m, m2m_error *err)
{
    shape s;
    float *pixels = job_floats(q->in, "pixel_values", 4, &s, err);
    if (!pixels) return M2M_ESHAPE;
    const int64_t side = m->config.image_size, width = m->config.projection;
    float *out = malloc((size_t)(s.dim[0] * width) * sizeof *out);
    int status = out ? 0 : fail(err, M2M_ENOMEM, "no memory for %lld embeddings", (long long)s.dim[0]);
    if (!status) status = size_is(q, "pixel_values", s.dim[1], m->config.channels, "channels", err);
    if (!status) status = size_is(q, "pixel_values", s.dim[2], side, "rows (image_size)", err);
    if (!status) status = size_is(q, "pixel_values", s.dim[3], side, "columns (image_size)", err);
    if (!status) status = clip_images(m, q->be, pixels, (int)s.dim[0], out, err);
    if (!status) results_add(q->out, "", "image_embeds", SHAPE(s.dim[0], width), out);
    free(pixels);
    free(out);
    return status;
}

static int run_clip_texts(const request *q, const clip_model *m, m2m_error *err)
{
    shape s;
    int32_t *ids = job_integers(q->in, "input_ids", 2, &s, err);
    if (!ids) return M2M_ESHAPE;
    float *out = malloc((size_t)(s.dim[0] * m->config.projection) * sizeof *out);
    int status = out ? 0 : fail(err, M2M_ENOMEM, "no memory for %lld embeddings", (long long)s.dim[0]);
    if (!status) status = clip_texts(m, q->be, ids, (int)s.dim[0], (int)s.dim[1], out, err);
    if (!status) results_add(q->out, "", "text_embeds", SHAPE(s.dim[0], m->config.projection), out);
    free(ids);
    free(out);
    return status;
}

static int run_clip(const request *q, m2m_error *err)
{
    if (q->backward) return run_contrast(q, CONTRAST_CLIP, err);
    clip_model m;
    const bool images = job_has(q->in, "pixel_values"), texts = job_has(q->in, "input_ids");
    int status = clip_model_open(&m, q->dir, err);
    if (status) return fail_prefix(err, status, "component clip");
    if (!images && !texts)
        status = fail(err, M2M_ESHAPE, "%s: has neither pixel_values nor input_ids", safetensors_path(q->in));
    if (!status && images) status = run_clip_images(q, &m, err);
    if (!status && texts) status = run_clip_texts(q, &m, err);
    clip_model_close(&m);
    return status;
}

/* ---- inception ---- */

static int run_inception_graph(const request *q, inception_graph *t, const float *pixels, m2m_error *err)
{
    node *wanted[3] = {t->features, t->logits, t->logits_unbiased};
    exec *x = exec_new(t->g, q->be, wanted, 3, err);
    if (!x) return M2M_EUNSUPPORTED;
    int status = exec_write(x, t->pixels, pixels, err);
    if (!status) status = exec_run(x, err);
    if (!status) {
        results_add_output(q->out, x, "", "features", t->features, t->features->shape);
        results_add_output(q->out, x, "", "logits", t->logits, t->logits->shape);
        results_add_output(q->out, x, "", "logits_unbiased", t->logits_unbiased, t->logits_unbiased->shape);
    }
    exec_free(x);
    return status;
}

static int run_inception(const request *q, m2m_error *err)
{
    inception_model m;
    inception_graph t = {0};
    shape s;
    float *pixels = NULL;
    const char *name = job_has(q->in, "pixel_values") ? "pixel_values" : job_has(q->in, "sample") ? "sample" : NULL;
    int status = inception_open(&m, q->dir, err);
    if (status) return status;
    if (!(pixels = job_floats(q->in, name ? name : "pixel_values", 4, &s, err))) status = M2M_ESHAPE;
    if (!status) status = size_is(q, name, s.dim[1], 3, "channels", err);
    if (!status) status = inception_graph_build(&t, &m, (int)s.dim[0], (int)s.dim[2], (int)s.dim[3], err);
    if (!status) status = run_inception_graph(q, &t, pixels, err);
    inception_graph_free(&t);
    free(pixels);
    inception_close(&m);
    return status;
}

/* ---- m2m ---- */

static int run_m2m(const request *q, m2m_error *err)
{
    set_job j;
    int status = set_job_open(&j, q->dir, q->in, q->be, 0, q->backward, err);
    if (!status) status = set_job_run(&j, 0, err);
    if (!status) {
        const train_graph *t = &j.graph;
        shape s = SHAPE(t->shape.sets, t->shape.images, j.unet.config.in_channels, t->shape.height, t->shape.width);
        results_add_output(q->out, j.x, "", "sample", t->prediction, s);
        if (t->loss) results_add_output(q->out, j.x, "", "loss", t->loss, (shape){0});
        if (t->grads) results_add_grads(q->out, j.x, j.unet.params, t->grads);
    }
    set_job_close(&j);
    return status;
}

/* ---- the call ---- */

static const struct component {
    const char *name;
    int (*run)(const request *q, m2m_error *err);
    bool can_backward;
} components[] = {
    {"unet", run_unet, true},         {"vae_encoder", run_vae_encoder, false}, {"vae_decoder", run_vae_decoder, false},
    {"vae", run_vae_whole, true},     {"m2m", run_m2m, true},
    {"image_encoder", run_image_encoder, true}, {"text_encoder", run_text_encoder, false},
    {"clip", run_clip, true},        {"inception", run_inception, false},
};

static const struct component *find_component(const char *name, m2m_error *err)
{
    for (size_t i = 0; i < sizeof components / sizeof *components; i++)
        if (!strcmp(components[i].name, name)) return &components[i];
    fail(err, M2M_EINVAL, "component: %s, wanted unet, vae_encoder, vae_decoder, vae, image_encoder, "
         "text_encoder, clip, inception or m2m", name);
    return NULL;
}

int m2m_forward(const char *dir, const char *component, const char *in, const char *out, int backward, int exact,
                int fast, int int8, const char *device, int threads, m2m_error *err)
{
    const struct component *c = find_component(component, err);
    if (!c) return M2M_EINVAL;
    if (backward && !c->can_backward)
        return fail(err, M2M_EINVAL,
                    "component %s has no backward pass; wanted unet, vae, m2m, clip or image_encoder", component);
    if (!dir_exists(dir) && !file_exists(dir))
        return fail(err, M2M_EIO, "%s: is not a directory, wanted a model's (or a single-file checkpoint)", dir);
    safetensors *tensors;
    int status = safetensors_open(&tensors, in, err);
    if (status) return status;
    results r = {0};
    request q = {.dir = dir, .in = tensors, .backward = backward != 0, .out = &r};
    q.be = device_open(device, threads, (device_way){exact != 0, fast != 0, int8 != 0}, NULL, err);
    status = q.be ? c->run(&q, err) : M2M_EDEVICE;
    if (!status) status = results_save(&r, out, err);
    results_free(&r);
    if (q.be) q.be->close(q.be);
    safetensors_close(&tensors);
    return status;
}
