#include "models/dinov2.h"

#include "models/reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- configuration ---- */

/* One side of a square: an integer, or an array of two equal ones. */
static int square(reader *r, const char *key, int otherwise)
{
    const cJSON *v = r->status ? NULL : json_member(r->o, key);
    int64_t sides[2];
    int n;
    if (!v || !cJSON_IsArray(v)) return reader_int(r, key, otherwise, 1, 1 << 16);
    r->status = json_ints(r->o, key, 1, 1 << 16, sides, 2, &n, r->err);
    if (!r->status && (n != 2 || sides[0] != sides[1]))
        reader_refuse(r, M2M_EUNSUPPORTED, key, "no square", "one side, or two equal ones");
    return r->status ? otherwise : (int)sides[0];
}

int dinov2_config_parse(dinov2_config *d, const cJSON *json, m2m_error *err)
{
    reader r = {.o = json, .err = err};
    *d = (dinov2_config){0};
    if (!cJSON_IsObject(json)) return fail(err, M2M_EFORMAT, "is not a JSON object");
    reader_only_text(&r, "model_type", "dinov2");
    reader_only_text(&r, "hidden_act", "gelu");
    d->width = reader_int(&r, "hidden_size", 768, 1, 1 << 16);
    d->layers = reader_int(&r, "num_hidden_layers", 12, 1, 1000);
    d->heads = reader_int(&r, "num_attention_heads", 12, 1, 1 << 16);
    d->channels = reader_int(&r, "num_channels", 3, 1, 4096);
    d->image_size = square(&r, "image_size", 224);
    d->patch_size = square(&r, "patch_size", 14);
    d->eps = reader_real(&r, "layer_norm_eps", 1e-6, 0, 1);
    d->qkv_bias = reader_bool(&r, "qkv_bias", true);
    d->swiglu = reader_bool(&r, "use_swiglu_ffn", false);
    d->mask_token = reader_bool(&r, "use_mask_token", true);
    int ratio = reader_int(&r, "mlp_ratio", 4, 1, 64);
    d->hidden = d->width * ratio;
    if (d->swiglu) d->hidden = ((int)(d->hidden * 2 / 3.0) + 7) / 8 * 8;
    if (!r.status && d->width % d->heads)
        r.status = fail(err, M2M_EFORMAT, "hidden_size %d is not a multiple of its %d heads", d->width, d->heads);
    if (!r.status && d->image_size < d->patch_size)
        r.status = fail(err, M2M_EFORMAT, "image_size %d is less than patch_size %d", d->image_size, d->patch_size);
    return r.status;
}

int64_t dinov2_tokens(const dinov2_config *d, int64_t height, int64_t width)
{
    return height / d->patch_size * (width / d->patch_size) + 1;
}

/* ---- position embeddings ---- */

/* The kernel of torch's bicubic: a = -0.75. */
static float cubic(float x)
{
    const float a = -0.75f;
    x = fabsf(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* w [out, in], which interpolates along one side. */
static void fill_weights(float *w, int64_t out, int64_t in)
{
    float step = (float)in / (float)out;
    for (int64_t i = 0; i < out; i++) {
        float at = step * ((float)i + 0.5f) - 0.5f, base = floorf(at);
        for (int k = -1; k <= 2; k++) {
            int64_t from = (int64_t)base + k;
            from = from < 0 ? 0 : from >= in ? in - 1 : from;
            w[i * in + from] += cubic(at - base - (float)k);
        }
    }
}

static int write_weights(exec *x, const node *input, m2m_error *err)
{
    if (!input) return 0;
    float *w = calloc((size_t)shape_count(input->shape), sizeof *w);
    if (!w) return fail(err, M2M_ENOMEM, "no memory for the interpolation of position embeddings");
    fill_weights(w, input->shape.dim[0], input->shape.dim[1]);
    int status = exec_write(x, input, w, err);
    free(w);
    return status;
}

int dinov2_graph_write(const dinov2_graph *t, exec *x, m2m_error *err)
{
    int status = write_weights(x, t->rows, err);
    return status ? status : write_weights(x, t->columns, err);
}

/* The stored [1, 1 + grid*grid, D] for h x w patches: [1, 1 + h*w, D]. */
static node *positions(dinov2_graph *t, const dinov2_config *d, int64_t h, int64_t w)
{
    graph *g = t->g;
    int64_t grid = d->image_size / d->patch_size, width = d->width;
    node *all = nn_param(&t->n, "position_embeddings", SHAPE(1, 1 + grid * grid, width), INIT_UNIFORM, width);
    if (h == grid && w == grid) return all;
    t->rows = graph_input(g, "rows", DT_F32, SHAPE(h, grid));
    t->columns = graph_input(g, "columns", DT_F32, SHAPE(w, grid));
    node *x = reshape(g, slice(g, all, 1, 1, grid * grid), SHAPE(grid, grid, width));
    x = linear_op(g, permute(g, x, (int[]){2, 0, 1}), t->columns, NULL);  /* [D, grid, w] */
    x = linear_op(g, permute(g, x, (int[]){0, 2, 1}), t->rows, NULL);     /* [D, w, h] */
    x = reshape(g, permute(g, x, (int[]){2, 1, 0}), SHAPE(1, h * w, width));
    return concat(g, slice(g, all, 1, 0, 1), x, 1);
}

/* ---- the model ---- */

static node *embeddings(dinov2_graph *t, const dinov2_config *d, node *x)
{
    nn *n = &t->n;
    graph *g = t->g;
    int64_t width = d->width;
    nn_enter(n, "embeddings");
    nn_enter(n, "patch_embeddings");
    x = nn_leave(n, nn_conv(n, "projection", x, width, d->patch_size, d->patch_size, 0));
    int64_t batch = x->shape.dim[0], h = x->shape.dim[1], w = x->shape.dim[2];
    node *cls = nn_param(n, "cls_token", SHAPE(1, 1, width), INIT_UNIFORM, width);
    if (d->mask_token) nn_param(n, "mask_token", SHAPE(1, width), INIT_ZEROS, width);
    x = concat(g, broadcast_to(g, cls, SHAPE(batch, 1, width)), reshape(g, x, SHAPE(batch, h * w, width)), 1);
    return nn_leave(n, add(g, x, positions(t, d, h, w)));
}

static node *self_attention(nn *n, const dinov2_config *d, node *x)
{
    int64_t width = d->width;
    nn_enter(n, "attention");
    nn_enter(n, "attention");
    node *q = nn_linear(n, "query", x, width, d->qkv_bias);
    node *k = nn_linear(n, "key", x, width, d->qkv_bias);
    node *v = nn_linear(n, "value", x, width, d->qkv_bias);
    x = nn_leave(n, nn_queries_attend(n, q, k, v, NULL, d->heads));
    return nn_leave(n, nn_linear(n, "output.dense", x, width, true));
}

static node *mlp(nn *n, const dinov2_config *d, node *x)
{
    graph *g = n->g;
    const char *last = !d->swiglu ? "fc2" : d->split_gate ? "down_proj" : "weights_out";
    nn_enter(n, "mlp");
    if (!d->swiglu) {
        x = gelu(g, nn_linear(n, "fc1", x, d->hidden, true));
    } else if (d->split_gate) {
        node *gate = silu(g, nn_linear(n, "gate_proj", x, d->hidden, true));
        x = mul(g, gate, nn_linear(n, "up_proj", x, d->hidden, true));
    } else {
        node *both = nn_linear(n, "weights_in", x, 2 * (int64_t)d->hidden, true);
        x = mul(g, silu(g, slice(g, both, -1, 0, d->hidden)), slice(g, both, -1, d->hidden, d->hidden));
    }
    return nn_leave(n, nn_linear(n, last, x, d->width, true));
}

static node *layer_scale(nn *n, const char *name, const dinov2_config *d, node *x)
{
    nn_enter(n, "%s", name);
    return nn_leave(n, mul(n->g, x, nn_param(n, "lambda1", SHAPE(d->width), INIT_ONES, d->width)));
}

static node *layer(nn *n, const dinov2_config *d, int index, node *x)
{
    nn_enter(n, "encoder.layer.%d", index);
    node *h = self_attention(n, d, nn_layer_norm(n, "norm1", x, d->eps));
    x = add(n->g, x, layer_scale(n, "layer_scale1", d, h));
    h = mlp(n, d, nn_layer_norm(n, "norm2", x, d->eps));
    return nn_leave(n, add(n->g, x, layer_scale(n, "layer_scale2", d, h)));
}

int dinov2_graph_build(dinov2_graph *t, const dinov2_config *d, paramset *params, int batch, int height, int width,
                       m2m_error *err)
{
    memset(t, 0, sizeof *t);
    if (height < d->patch_size || width < d->patch_size)
        return fail(err, M2M_ESHAPE, "an image of %dx%d pixels is smaller than a patch of %dx%d", width, height,
                    d->patch_size, d->patch_size);
    int status = nn_begin(&t->n, params, err);
    if (status) return status;
    t->g = t->n.g;
    t->pixels = graph_input(t->g, "pixel_values", DT_F32, SHAPE(batch, d->channels, height, width));
    node *x = embeddings(t, d, to_channels_last(t->g, t->pixels));
    for (int i = 0; i < d->layers; i++) x = layer(&t->n, d, i, x);
    t->features = nn_layer_norm(&t->n, "layernorm", x, d->eps);
    return nn_finish(&t->n, err);
}

void dinov2_graph_free(dinov2_graph *t)
{
    nn_end(&t->n);
    memset(t, 0, sizeof *t);
}
