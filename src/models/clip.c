#include "models/clip.h"

#include "models/reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- configuration ---- */

static int parse_vision(clip_config *c, const cJSON *json, m2m_error *err)
{
    reader r = {.o = json, .err = err};
    clip_text_config *v = &c->vision;
    if (!cJSON_IsObject(json)) return fail(err, M2M_EFORMAT, "vision_config is no JSON object");
    reader_only_text(&r, "model_type", "clip_vision_model");
    v->width = reader_int(&r, "hidden_size", 768, 1, 1 << 16);
    v->hidden = reader_int(&r, "intermediate_size", 3072, 1, 1 << 18);
    v->layers = reader_int(&r, "num_hidden_layers", 12, 1, 1000);
    v->heads = reader_int(&r, "num_attention_heads", 12, 1, 1 << 16);
    v->eps = reader_real(&r, "layer_norm_eps", 1e-5, 0, 1);
    c->channels = reader_int(&r, "num_channels", 3, 3, 3);
    c->image_size = reader_int(&r, "image_size", 224, 1, 1 << 14);
    c->patch_size = reader_int(&r, "patch_size", 32, 1, 1 << 14);
    const char *act = reader_text(&r, "hidden_act", "quick_gelu");
    v->quick = !strcmp(act, "quick_gelu");
    if (!v->quick && strcmp(act, "gelu"))
        reader_refuse(&r, M2M_EUNSUPPORTED, "hidden_act", act, "gelu or quick_gelu");
    if (!r.status && v->width % v->heads)
        r.status = fail(err, M2M_EFORMAT, "hidden_size %d is not a multiple of its %d heads", v->width, v->heads);
    if (!r.status && c->patch_size > c->image_size)
        r.status = fail(err, M2M_EFORMAT, "patch_size %d, wanted at most image_size %d", c->patch_size, c->image_size);
    return r.status;
}

static int parse(clip_config *c, const cJSON *json, m2m_error *err)
{
    reader r = {.o = json, .err = err};
    *c = (clip_config){0};
    reader_only_text(&r, "model_type", "clip");
    c->projection = reader_int(&r, "projection_dim", 512, 1, 1 << 16);
    int status = r.status;
    if (!status) status = clip_text_config_parse(&c->text, json_member(json, "text_config"), err);
    if (!status) status = parse_vision(c, json_member(json, "vision_config"), err);
    c->text.prefixed = true;
    return status;
}

/* ---- the model ---- */

static node *vision(clip_graph *t, const clip_config *c)
{
    nn *n = &t->n;
    graph *g = t->g;
    const int64_t width = c->vision.width, grid = c->image_size / c->patch_size, batch = t->pixels->shape.dim[0];
    nn_enter(n, "vision_model");
    nn_enter(n, "embeddings");
    const int64_t fan_in = (int64_t)c->channels * c->patch_size * c->patch_size;
    node *w = nn_param(n, "patch_embedding.weight", SHAPE(width, c->channels, c->patch_size, c->patch_size),
                       INIT_UNIFORM, fan_in);
    node *x = conv2d_op(g, to_channels_last(g, t->pixels), w, NULL, c->patch_size, (int[4]){0});
    node *cls = reshape(g, nn_param(n, "class_embedding", SHAPE(width), INIT_UNIFORM, width), SHAPE(1, 1, width));
    x = concat(g, broadcast_to(g, cls, SHAPE(batch, 1, width)), reshape(g, x, SHAPE(batch, grid * grid, width)), 1);
    x = add(g, x, nn_param(n, "position_embedding.weight", SHAPE(grid * grid + 1, width), INIT_UNIFORM, width));
    nn_leave(n, x);
    x = nn_layer_norm(n, "pre_layrnorm", x, c->vision.eps);     /* transformers' spelling */
    for (int i = 0; i < c->vision.layers; i++) x = clip_layer(n, &c->vision, i, x, NULL);
    x = reshape(g, slice(g, x, 1, 0, 1), SHAPE(batch, width));
    return nn_leave(n, nn_layer_norm(n, "post_layernorm", x, c->vision.eps));
}

int clip_image_build(clip_graph *t, const clip_config *c, paramset *params, int batch, m2m_error *err)
{
    memset(t, 0, sizeof *t);
    int status = nn_begin(&t->n, params, err);
    if (status) return status;
    t->g = t->n.g;
    t->pixels = graph_input(t->g, "pixel_values", DT_F32, SHAPE(batch, c->channels, c->image_size, c->image_size));
    t->out = nn_linear(&t->n, "visual_projection", vision(t, c), c->projection, false);
    return nn_finish(&t->n, err);
}

int clip_texts_build(clip_graph *t, const clip_config *c, paramset *params, int batch, int length, m2m_error *err)
{
    memset(t, 0, sizeof *t);
    int status = nn_begin(&t->n, params, err);
    if (status) return status;
    if (length < 1 || length > c->text.positions)
        return fail(err, M2M_ESHAPE, "texts of %d tokens, wanted 1..%d (max_position_embeddings)", length,
                    c->text.positions);
    t->g = t->n.g;
    t->embedded = graph_input(t->g, "inputs_embeds", DT_F32, SHAPE(batch, length, c->text.width));
    t->lens = graph_input(t->g, "lens", DT_I32, SHAPE((int64_t)batch * length));
    node *states = clip_text(&t->n, &c->text, t->embedded, t->lens);
    t->out = nn_linear(&t->n, "text_projection", states, c->projection, false);
    return nn_finish(&t->n, err);
}

void clip_graph_free(clip_graph *t)
{
    nn_end(&t->n);
    memset(t, 0, sizeof *t);
}

/* ---- opening ---- */

static int declare(void *config, const component_files *files, paramset *params, m2m_error *err)
{
    clip_graph t = {0};
    clip_config *c = config;
    int status = parse(c, files->config, err);
    if (!status) status = clip_image_build(&t, c, params, 1, err);
    clip_graph_free(&t);
    if (!status) status = clip_texts_build(&t, c, params, 1, 1, err);
    clip_graph_free(&t);
    if (!status && !paramset_declare(params, "logit_scale", (shape){0}, INIT_ONES, 1))
        status = fail(err, M2M_ENOMEM, "no memory for the parameters of a graph");
    return status;
}

static int load(clip_model *m, const char *dir, bool read, m2m_error *err)
{
    *m = (clip_model){0};
    int status = component_load(dir, "clip", read, declare, &m->config, &m->params, &m->weights, &m->dir, err);
    if (status) *m = (clip_model){0};
    return status;
}

int clip_model_open(clip_model *m, const char *dir, m2m_error *err) { return load(m, dir, true, err); }
int clip_model_declare(clip_model *m, const char *dir, m2m_error *err) { return load(m, dir, false, err); }

void clip_model_close(clip_model *m)
{
    paramset_free(m->params);
    weights_close(&m->weights);
    free(m->dir);
    *m = (clip_model){0};
}

/* ---- running ---- */

static void make_unit(float *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)x[i] * x[i];
    for (int i = 0; i < n; i++) x[i] = (float)(x[i] / sqrt(sum));
}

int clip_images_run(const clip_model *m, const clip_graph *t, exec *x, const float *pixels, float *out, m2m_error *err)
{
    const int64_t batch = t->pixels->shape.dim[0], width = m->config.projection;
    int status = exec_write(x, t->pixels, pixels, err);
    if (!status) status = exec_run(x, err);
    if (!status) exec_read(x, t->out, out);
    for (int64_t b = 0; b < batch && !status; b++) make_unit(out + b * width, (int)width);
    return status;
}

int clip_images(const clip_model *m, backend *be, const float *pixels, int batch, float *out, m2m_error *err)
{
    clip_graph t;
    exec *x = NULL;
    int status = clip_image_build(&t, &m->config, m->params, batch, err);
    if (!status && !(x = exec_new(t.g, be, &t.out, 1, err))) status = M2M_EUNSUPPORTED;
    if (!status) status = clip_images_run(m, &t, x, pixels, out, err);
    exec_free(x);
    clip_graph_free(&t);
    return status;
}

/* The projected state of each text's end token, as a unit vector. */
static void pool(const clip_model *m, const int32_t *ids, int batch, int length, const float *projected, float *out)
{
    const int64_t width = m->config.projection;
    for (int b = 0; b < batch; b++) {
        const int64_t at = (int64_t)b * length + clip_text_pooled(&m->config.text, ids + (int64_t)b * length, length);
        memcpy(out + b * width, projected + at * width, (size_t)width * sizeof *out);
        make_unit(out + b * width, (int)width);
    }
}

int clip_texts_run(const clip_model *m, const clip_graph *t, exec *x, const int32_t *ids, float *out, m2m_error *err)
{
    const int batch = (int)t->embedded->shape.dim[0], length = (int)t->embedded->shape.dim[1];
    float *embedded = malloc((size_t)shape_count(t->embedded->shape) * sizeof *embedded);
    float *projected = malloc((size_t)shape_count(t->out->shape) * sizeof *projected);
    int32_t *lens = malloc((size_t)shape_count(t->lens->shape) * sizeof *lens);
    int status = embedded && projected && lens ? 0 : fail(err, M2M_ENOMEM, "no memory for %d texts", batch);
    if (!status) status = clip_text_embed(&m->config.text, m->params, ids, (int64_t)batch * length, embedded, err);
    if (!status) clip_text_lens(lens, batch, length);
    if (!status) status = exec_write(x, t->embedded, embedded, err);
    if (!status) status = exec_write_i32(x, t->lens, lens, err);
    if (!status) status = exec_run(x, err);
    if (!status) {
        exec_read(x, t->out, projected);
        pool(m, ids, batch, length, projected, out);
    }
    free(embedded);
    free(projected);
    free(lens);
    return status;
}

int clip_texts(const clip_model *m, backend *be, const int32_t *ids, int batch, int length, float *out, m2m_error *err)
{
    clip_graph t;
    exec *x = NULL;
    int status = clip_texts_build(&t, &m->config, m->params, batch, length, err);
    if (!status && !(x = exec_new(t.g, be, &t.out, 1, err))) status = M2M_EUNSUPPORTED;
    if (!status) status = clip_texts_run(m, &t, x, ids, out, err);
    exec_free(x);
    clip_graph_free(&t);
    return status;
}
