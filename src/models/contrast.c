#include "models/contrast.h"

#include <stdlib.h>
#include <string.h>

static int add_gradients(nn *n, node *loss, node ***grads, m2m_error *err)
{
    *grads = calloc((size_t)paramset_count(n->params) + 1, sizeof **grads);
    if (!*grads) return fail(err, M2M_ENOMEM, "no memory for gradients");
    return nn_gradients(n, loss, *grads, err);
}

static node *cross_entropy(graph *g, node *similarities, node *targets)
{
    return scale(g, sum_to(g, mul(g, log_softmax(g, similarities), targets), SHAPE(1)), -1, 0);
}

/* ---- images and texts ---- */

static node *clip_loss(clip_train *t)
{
    const int turned[MAX_RANK] = {1, 0};
    nn *n = &t->towers.n;
    graph *g = n->g;
    node *sharpness = exponential(g, nn_param(n, "logit_scale", (shape){0}, INIT_ONES, 1));
    node *by_text = mul(g, linear_op(g, t->texts, t->images, NULL), sharpness);
    node *texts = cross_entropy(g, by_text, t->targets);
    node *images = cross_entropy(g, permute(g, by_text, turned), permute(g, t->targets, turned));
    return scale(g, add(g, texts, images), 0.5f, 0);
}

int clip_train_build(clip_train *t, const clip_config *c, paramset *params, int batch, int length, bool gradients,
                     m2m_error *err)
{
    memset(t, 0, sizeof *t);
    int status = clip_image_build(&t->towers, c, params, batch, err);
    if (status) return status;
    if (length < 1 || length > c->text.positions)
        return fail(err, M2M_ESHAPE, "texts of %d tokens, wanted 1..%d (max_position_embeddings)", length,
                    c->text.positions);
    nn *n = &t->towers.n;
    graph *g = n->g;
    t->ids = graph_input(g, "input_ids", DT_I32, SHAPE(batch, length));
    t->lens = graph_input(g, "lens", DT_I32, SHAPE((int64_t)batch * length));
    t->ends = graph_input(g, "ends", DT_I32, SHAPE(batch));
    t->targets = graph_input(g, "targets", DT_F32, SHAPE(batch, batch));
    node *states = clip_text(n, &c->text, t->ids, t->lens);
    states = gather_rows(g, reshape(g, states, SHAPE((int64_t)batch * length, c->text.width)), t->ends);
    t->texts = unit(g, nn_linear(n, "text_projection", states, c->projection, false));
    t->images = unit(g, t->towers.out);
    t->loss = clip_loss(t);
    status = nn_finish(n, err);
    return status || !gradients ? status : add_gradients(n, t->loss, &t->grads, err);
}

void clip_train_free(clip_train *t)
{
    free(t->grads);
    clip_graph_free(&t->towers);
    memset(t, 0, sizeof *t);
}

int clip_train_write_ids(const clip_train *t, const clip_text_config *c, exec *x, const int32_t *ids, m2m_error *err)
{
    const int batch = (int)t->ids->shape.dim[0], length = (int)t->ids->shape.dim[1];
    int status = clip_text_check(c, ids, (int64_t)batch * length, err);
    if (status) return status;
    int32_t *more = malloc((size_t)batch * (size_t)length * sizeof *more);
    if (!more) return fail(err, M2M_ENOMEM, "no memory for %d texts", batch);
    clip_text_lens(more, batch, length);
    status = exec_write_i32(x, t->ids, ids, err);
    if (!status) status = exec_write_i32(x, t->lens, more, err);
    for (int b = 0; b < batch; b++) more[b] = b * length + clip_text_pooled(c, ids + b * length, length);
    if (!status) status = exec_write_i32(x, t->ends, more, err);
    free(more);
    return status;
}

/* ---- images and images ---- */

/* [B,2D] of last_hidden_state [B,L,D]: what DINOv2's own linear probes take. */
static node *embeds(graph *g, node *features)
{
    const int64_t b = features->shape.dim[0], patches = features->shape.dim[1] - 1, d = features->shape.dim[2];
    node *cls = slice(g, features, 1, 0, 1);
    node *rest = sum_to(g, slice(g, features, 1, 1, patches), SHAPE(b, 1, d));
    return reshape(g, concat(g, cls, scale(g, rest, 1.0f / (float)patches, 0), 2), SHAPE(b, 2 * d));
}

static node *head(nn *n, int index, node *x, int64_t projection)
{
    nn_enter(n, CONTRAST_HEAD_PREFIX "%d", index);
    node *h = gelu(n->g, nn_linear(n, "linear_1", x, shape_last(x->shape), true));
    return nn_leave(n, nn_linear(n, "linear_2", h, projection, true));
}

static void compare(encoder_train *t, const contrast_shape *s, int way)
{
    nn *n = &t->tower.n;
    graph *g = n->g;
    node *x = unit(g, s->heads ? head(n, way, t->embeds, s->projection) : t->embeds);
    node *similarities = scale(g, linear_op(g, x, x, NULL), 1 / s->temperature, 0);
    t->targets[way] = graph_input(g, "targets", DT_F32, SHAPE(s->batch, s->batch));
    t->losses[way] = cross_entropy(g, add(g, similarities, t->others), t->targets[way]);
    t->loss = t->loss ? add(g, t->loss, t->losses[way]) : t->losses[way];
}

int encoder_train_build(encoder_train *t, const dinov2_config *d, paramset *params, const contrast_shape *s,
                        bool gradients, m2m_error *err)
{
    memset(t, 0, sizeof *t);
    check(s->heads >= 0 && s->heads <= CONTRAST_HEADS, "%d heads", s->heads);
    int status = dinov2_graph_build(&t->tower, d, params, s->batch, s->height, s->width, err);
    if (status) return status;
    graph *g = t->tower.g;
    t->ways = s->heads ? s->heads : 1;
    t->others = graph_input(g, "others", DT_F32, SHAPE(s->batch, s->batch));
    t->embeds = embeds(g, t->tower.features);
    for (int i = 0; i < t->ways; i++) compare(t, s, i);
    t->loss = scale(g, t->loss, 1.0f / (float)t->ways, 0);
    status = nn_finish(&t->tower.n, err);
    return status || !gradients ? status : add_gradients(&t->tower.n, t->loss, &t->grads, err);
}

void encoder_train_free(encoder_train *t)
{
    free(t->grads);
    dinov2_graph_free(&t->tower);
    memset(t, 0, sizeof *t);
}

int encoder_train_write(const encoder_train *t, exec *x, m2m_error *err)
{
    const int64_t n = t->others->shape.dim[0];
    float *others = calloc((size_t)(n * n), sizeof *others);
    if (!others) return fail(err, M2M_ENOMEM, "no memory for a batch of %lld images", (long long)n);
    for (int64_t i = 0; i < n; i++) others[i * n + i] = -1e9f;
    int status = exec_write(x, t->others, others, err);
    free(others);
    return status ? status : dinov2_graph_write(&t->tower, x, err);
}

/* ---- who belongs together ---- */

void contrast_targets(const int32_t *labels, int n, bool self, float *targets)
{
    int rows = 0;
    for (int i = 0; i < n; i++) {
        int positives = 0;
        for (int j = 0; j < n; j++) {
            const bool alike = labels[i] >= 0 && labels[i] == labels[j] && (self || i != j);
            targets[i * n + j] = alike ? 1 : 0;
            positives += alike;
        }
        for (int j = 0; j < n && positives; j++) targets[i * n + j] /= (float)positives;
        rows += positives > 0;
    }
    for (int i = 0; i < n * n && rows; i++) targets[i] /= (float)rows;
}
