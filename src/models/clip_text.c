#include "models/clip_text.h"

#include "models/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int clip_text_config_parse(clip_text_config *c, const cJSON *json, m2m_error *err)
{
    reader r = {.o = json, .err = err};
    *c = (clip_text_config){0};
    if (!cJSON_IsObject(json)) return fail(err, M2M_EFORMAT, "is not a JSON object");
    reader_only_text(&r, "model_type", "clip_text_model");
    c->width = reader_int(&r, "hidden_size", 512, 1, 1 << 16);
    c->hidden = reader_int(&r, "intermediate_size", 2048, 1, 1 << 18);
    c->layers = reader_int(&r, "num_hidden_layers", 12, 1, 1000);
    c->heads = reader_int(&r, "num_attention_heads", 8, 1, 1 << 16);
    c->vocabulary = reader_int(&r, "vocab_size", 49408, 1, 1 << 24);
    c->positions = reader_int(&r, "max_position_embeddings", 77, 2, 1 << 16);
    c->end_id = reader_int(&r, "eos_token_id", 49407, 0, 1 << 24);
    c->eps = reader_real(&r, "layer_norm_eps", 1e-5, 0, 1);
    const char *act = reader_text(&r, "hidden_act", "quick_gelu");
    c->quick = !strcmp(act, "quick_gelu");
    if (!c->quick && strcmp(act, "gelu"))
        reader_refuse(&r, M2M_EUNSUPPORTED, "hidden_act", act, "gelu or quick_gelu");
    if (!r.status && c->width % c->heads)
        r.status = fail(err, M2M_EFORMAT, "hidden_size %d is not a multiple of its %d heads", c->width, c->heads);
    return r.status;
}

/* ---- the model ---- */

/* Causal where there are lens: every query is a row of its own that sees the keys up to its place, so attention's
 * lengths are the mask. */
static node *self_attention(nn *n, const clip_text_config *c, node *x, node *lens)
{
    graph *g = n->g;
    int64_t batch = x->shape.dim[0], length = x->shape.dim[1], width = c->width;
    nn_enter(n, "self_attn");
    node *q = nn_linear(n, "q_proj", x, width, true);
    if (lens) q = reshape(g, q, SHAPE(batch * length, 1, width));
    node *k = nn_linear(n, "k_proj", x, width, true);
    node *v = nn_linear(n, "v_proj", x, width, true);
    x = reshape(g, nn_queries_attend(n, q, k, v, lens, c->heads), SHAPE(batch, length, width));
    return nn_leave(n, nn_linear(n, "out_proj", x, width, true));
}

/* x * sigmoid(1.702 x) */
static node *quick_gelu(graph *g, node *x)
{
    const float a = 1.702f;
    return scale(g, silu(g, scale(g, x, a, 0)), 1 / a, 0);
}

node *clip_layer(nn *n, const clip_text_config *c, int index, node *x, node *lens)
{
    graph *g = n->g;
    nn_enter(n, "encoder.layers.%d", index);
    x = add(g, x, self_attention(n, c, nn_layer_norm(n, "layer_norm1", x, c->eps), lens));
    node *h = nn_linear(n, "mlp.fc1", nn_layer_norm(n, "layer_norm2", x, c->eps), c->hidden, true);
    h = c->quick ? quick_gelu(g, h) : gelu(g, h);
    return nn_leave(n, add(g, x, nn_linear(n, "mlp.fc2", h, c->width, true)));
}

static const char token_table[] = "embeddings.token_embedding.weight";

node *clip_text(nn *n, const clip_text_config *c, node *tokens, node *lens)
{
    int64_t length = tokens->shape.dim[1], width = c->width;
    if (c->prefixed) nn_enter(n, "text_model");
    node *table = nn_param(n, token_table, SHAPE(c->vocabulary, width), INIT_UNIFORM, width);
    node *place = nn_param(n, "embeddings.position_embedding.weight", SHAPE(c->positions, width), INIT_UNIFORM, width);
    node *x = tokens->type == DT_I32 ? gather_rows(n->g, table, tokens) : tokens;
    x = add(n->g, x, slice(n->g, place, 0, 0, length));
    for (int i = 0; i < c->layers; i++) x = clip_layer(n, c, i, x, lens);
    x = nn_layer_norm(n, "final_layer_norm", x, c->eps);
    return c->prefixed ? nn_leave(n, x) : x;
}

void clip_text_lens(int32_t *lens, int batch, int length)
{
    for (int i = 0; i < batch * length; i++) lens[i] = i % length + 1;
}

int clip_text_check(const clip_text_config *c, const int32_t *ids, int64_t n, m2m_error *err)
{
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= c->vocabulary)
            return fail(err, M2M_EINVAL, "token id %d, wanted 0..%d (vocab_size)", ids[i], c->vocabulary - 1);
    return 0;
}

int clip_text_embed(const clip_text_config *c, const paramset *params, const int32_t *ids, int64_t n, float *out,
                    m2m_error *err)
{
    char name[80];
    int64_t width = c->width;
    snprintf(name, sizeof name, "%s%s", c->prefixed ? "text_model." : "", token_table);
    const param *p = paramset_find(params, name);
    check(p && p->data, "%s is not filled", name);
    int status = clip_text_check(c, ids, n, err);
    for (int64_t i = 0; i < n && !status; i++)
        to_f32(out + i * width, (const char *)p->data + (size_t)(ids[i] * width) * dtype_size(p->type), p->type, width);
    return status;
}

int clip_text_pooled(const clip_text_config *c, const int32_t *ids, int length)
{
    int at = 0;
    for (int i = 1; i < length && c->end_id == 2; i++)
        if (ids[i] > ids[at]) at = i;
    for (int i = 0; i < length && c->end_id != 2; i++)
        if (ids[i] == c->end_id) return i;
    return at;
}

/* ---- its graph ---- */

int clip_text_graph_build(clip_text_graph *t, const clip_text_config *c, paramset *params, int batch, int length,
                          m2m_error *err)
{
    memset(t, 0, sizeof *t);
    if (batch < 1 || length < 1 || length > c->positions)
        return fail(err, M2M_ESHAPE, "%d texts of %d tokens, wanted 1 or more texts of 1..%d (max_position_embeddings)",
                    batch, length, c->positions);
    int status = nn_begin(&t->n, params, err);
    if (status) return status;
    t->g = t->n.g;
    t->embedded = graph_input(t->g, "inputs_embeds", DT_F32, SHAPE(batch, length, c->width));
    t->lens = graph_input(t->g, "lens", DT_I32, SHAPE((int64_t)batch * length));
    t->states = clip_text(&t->n, c, t->embedded, t->lens);
    return nn_finish(&t->n, err);
}

void clip_text_graph_free(clip_text_graph *t)
{
    nn_end(&t->n);
    memset(t, 0, sizeof *t);
}
