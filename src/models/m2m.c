#include "models/m2m.h"

#include <stdlib.h>
#include <string.h>

int wants_image_set(const unet_config *u, m2m_error *err)
{
    if (u->variant != SET_NONE) return 0;
    return fail(err, M2M_EUNSUPPORTED, "unet: has no image_set_attention, wanted a U-Net of M2M-Self or M2M-DINO");
}

static bool is_self(const unet_config *u) { return u->variant == SET_SELF; }
static int embedding_width(const unet_config *u) { return 4 * u->width[0]; }

static void set_kind(cross *c, const unet_config *u, cross_kind kind, int tokens)
{
    *c = (cross){.kind = kind};
    if (is_self(u)) return;
    c->feature_tokens = tokens;
    c->feature_dim = u->cross_dim;
}

/* [present rows, E]; NULL without a condition. */
static node *embed_rows(nn *n, const unet_config *u, const condition_inputs *in)
{
    if (!in->values) return NULL;
    return condition_embed(n, "condition_embedder", in, embedding_width(u), embedding_width(u));
}

/* Features [B,L,D] with their images' condition added. */
static node *embed_features(nn *n, const unet_config *u, const condition_inputs *in, node *features)
{
    if (!in->values) return features;
    node *e = condition_embed(n, "condition_embedder_dino", in, u->dino_hidden, u->cross_dim);
    return add(n->g, features, reshape(n->g, e, SHAPE(features->shape.dim[0], 1, u->cross_dim)));
}

int64_t context_floats(const unet_config *u, int height, int width, int tokens)
{
    return is_self(u) ? (int64_t)u->in_channels * height * width : (int64_t)tokens * u->cross_dim;
}

static node *context_input(graph *g, const unet_config *u, int64_t images, int height, int width, int tokens)
{
    if (is_self(u)) return graph_input(g, "clean", DT_F32, SHAPE(images, u->in_channels, height, width));
    return graph_input(g, "features", DT_F32, SHAPE(images, tokens, u->cross_dim));
}

static int add_gradients(nn *n, node *loss, node ***grads, m2m_error *err)
{
    *grads = calloc((size_t)paramset_count(n->params) + 1, sizeof **grads);
    if (!*grads) return fail(err, M2M_ENOMEM, "no memory for gradients");
    return nn_gradients(n, loss, *grads, err);
}

/* ---- training ---- */

/* The images' embeddings [S*N,E] for all rows of the U-Net: each serves the image's noise draws, too. */
static node *embed_training(train_graph *t, const unet_config *u)
{
    const train_shape *s = &t->shape;
    graph *g = t->g = t->n.g;
    node *clean = embed_rows(&t->n, u, &t->condition), *noisy = clean;
    if (!clean) return NULL;
    int64_t width = embedding_width(u), images = s->images;
    if (s->draws > 1) {
        noisy = reshape(g, clean, SHAPE(s->sets, 1, images * width));
        noisy = broadcast_to(g, noisy, SHAPE(s->sets, s->draws, images * width));
        noisy = reshape(g, noisy, SHAPE(s->sets * s->draws * images, width));
    }
    return is_self(u) ? concat(g, clean, noisy, 0) : noisy;
}

static void train_inputs(train_graph *t, const unet_config *u)
{
    const train_shape *s = &t->shape;
    int images = s->sets * s->images, noisy = images * s->draws;
    graph *g = t->g = t->n.g;
    set_kind(&t->c, u, CROSS_SET_TRAIN, s->tokens);
    t->c.sets = s->sets;
    t->c.images = s->images;
    t->c.draws = s->draws;
    t->context = context_input(g, u, images, s->height, s->width, s->tokens);
    t->noisy = graph_input(g, "noisy", DT_F32, SHAPE(noisy, u->in_channels, s->height, s->width));
    t->timesteps = graph_input(g, "timesteps", DT_F32, SHAPE(is_self(u) ? images + noisy : noisy));
    t->condition = condition_declare(g, u->condition, images, images);
    t->c.embedded = embed_training(t, u);
    if (!is_self(u)) t->c.features = embed_features(&t->n, u, &t->condition, t->context);
}

int train_graph_build(train_graph *t, const unet_config *u, paramset *params, const train_shape *s, bool with_loss,
                      bool gradients, m2m_error *err)
{
    memset(t, 0, sizeof *t);
    t->shape = *s;
    int status = wants_image_set(u, err);
    if (!status && s->draws > 1 && is_self(u) && u->clean_timestep == CLEAN_TIMESTEP_SAME)
        status = fail(err, M2M_EINVAL,
                      "draws is %d, but clean_timestep \"same\" allows 1: clean images differ per draw", s->draws);
    if (!status) status = nn_begin(&t->n, params, err);
    if (status) return status;
    graph *g = t->g = t->n.g;
    int noisy = s->sets * s->images * s->draws, clean = is_self(u) ? s->sets * s->images : 0;
    train_inputs(t, u);
    node *x = to_channels_last(g, clean ? concat(g, t->context, t->noisy, 0) : t->noisy);
    x = unet(&t->n, u, x, t->timesteps, &t->c, NULL, s->recompute);
    t->prediction = to_channels_first(g, slice(g, x, 0, clean, noisy));
    if (with_loss || gradients) {
        t->target = graph_input(g, "noise", DT_F32, t->prediction->shape);
        t->loss = mse(g, t->prediction, t->target);
    }
    status = nn_finish(&t->n, err);
    if (!status && gradients) status = add_gradients(&t->n, t->loss, &t->grads, err);
    return status;
}

void train_graph_free(train_graph *t)
{
    free(t->grads);
    nn_end(&t->n);
    memset(t, 0, sizeof *t);
}

void clean_timesteps(const unet_config *u, const train_shape *s, const float *noisy, float *clean)
{
    for (int i = 0; i < s->sets * s->images; i++)
        clean[i] = u->clean_timestep == CLEAN_TIMESTEP_SAME ? noisy[i] : (float)u->clean_timestep;
}

int context_noise_fits(const unet_config *u, m2m_error *err)
{
    if (!is_self(u))
        return fail(err, M2M_EINVAL, "context_noise: the U-Net is no M2M-Self, wanted 0: only latents can be noised");
    if (u->clean_timestep == CLEAN_TIMESTEP_SAME)
        return fail(err, M2M_EINVAL, "context_noise: clean_timestep is \"same\", wanted 0: the clean images' timestep "
                    "tells their noise, so it must be an integer otherwise");
    return 0;
}

int train_graph_write_lens(const train_graph *t, exec *x, m2m_error *err)
{
    const cross *c = &t->c;
    int32_t *lens = malloc((size_t)(c->sets * c->images * c->draws) * sizeof *lens);
    if (!lens) return fail(err, M2M_ENOMEM, "no memory for the lengths of %d sets", c->sets);
    int status = 0;
    for (int i = 0; i < c->sizes && !status; i++) {
        cross_train_lens(c, c->size[i], lens);
        status = exec_write_i32(x, c->lens[i], lens, err);
    }
    free(lens);
    return status;
}

int train_graph_write_times(const train_graph *t, exec *x, const float *times, m2m_error *err)
{
    int noisy = t->shape.sets * t->shape.images * t->shape.draws;
    int64_t wanted = shape_count(t->timesteps->shape);
    return exec_write(x, t->timesteps, times + t->shape.sets * t->shape.images + noisy - wanted, err);
}

int train_graph_write_condition(const train_graph *t, exec *x, const float *values, const float *present,
                                m2m_error *err)
{
    const condition_inputs *c = &t->condition;
    if (!c->values) return 0;
    int images = t->shape.sets * t->shape.images, numbers = condition_numbers(c->kind);
    float *own = calloc((size_t)images * (size_t)(numbers + 1), sizeof *own);
    if (!own) return fail(err, M2M_ENOMEM, "no memory for the conditions of %d images", images);
    float *there = own + images * numbers;
    for (int i = 0; i < images; i++) there[i] = values && (!present || present[i] != 0) ? 1.0f : 0.0f;
    int status = exec_write(x, c->values, values ? values : own, err);
    if (!status) status = exec_write(x, c->present, there, err);
    free(own);
    return status;
}

/* ---- sampling ---- */

int clean_graph_build(clean_graph *t, const unet_config *u, paramset *params, int height, int width, int tokens,
                      m2m_error *err)
{
    memset(t, 0, sizeof *t);
    int status = nn_begin(&t->n, params, err);
    if (status) return status;
    graph *g = t->g = t->n.g;
    set_kind(&t->c, u, CROSS_SET_CLEAN, tokens);
    t->context = context_input(g, u, 1, height, width, tokens);
    t->condition = condition_declare(g, u->condition, 1, 1);
    t->c.embedded = embed_rows(&t->n, u, &t->condition);
    node *x = t->context, *time = NULL;
    if (is_self(u)) {
        time = t->timestep = graph_input(g, "timestep", DT_F32, SHAPE(1));
    } else {           /* the U-Net is only walked through for its layers: nothing of it is computed */
        t->c.features = embed_features(&t->n, u, &t->condition, t->context);
        x = graph_fill(g, SHAPE(1, u->in_channels, height, width), 0);
        time = graph_fill(g, SHAPE(1), 0);
    }
    unet(&t->n, u, to_channels_last(g, x), time, &t->c, NULL, false);
    return nn_finish(&t->n, err);
}

void clean_graph_free(clean_graph *t)
{
    nn_end(&t->n);
    memset(t, 0, sizeof *t);
}

int step_graph_build(step_graph *t, const unet_config *u, paramset *params, const step_shape *s, m2m_error *err)
{
    memset(t, 0, sizeof *t);
    int status = nn_begin(&t->n, params, err);
    if (status) return status;
    graph *g = t->g = t->n.g;
    t->deep.given = s->shallow;
    set_kind(&t->c, u, u->variant == SET_NONE ? CROSS_TEXT_CACHED : CROSS_SET_CACHED, s->tokens);
    t->c.n_branches = s->branches;
    t->c.branch_rows = s->rows;
    for (int i = 0; i < s->branches; i++) t->c.branch[i].slots = s->slots[i];
    t->latent = graph_input(g, "noisy", DT_F32, SHAPE(s->rows, u->in_channels, s->height, s->width));
    t->timestep = graph_input(g, "timestep", DT_F32, SHAPE(1));
    t->condition = condition_declare(g, u->condition, 1, s->branches);
    t->c.embedded = embed_rows(&t->n, u, &t->condition);
    node *x = unet(&t->n, u, to_channels_last(g, t->latent), t->timestep, &t->c, &t->deep, false);
    t->prediction = to_channels_first(g, repeat_rows(g, x, (int64_t)s->branches * s->rows));
    return nn_finish(&t->n, err);
}

void step_graph_free(step_graph *t)
{
    nn_end(&t->n);
    memset(t, 0, sizeof *t);
}

/* ---- text ---- */

int text_graph_build(text_graph *t, const unet_config *u, paramset *params, int batch, int height, int width,
                     int n_tokens, int flags, m2m_error *err)
{
    const bool gradients = flags & TEXT_GRADIENTS;
    memset(t, 0, sizeof *t);
    if (u->variant != SET_NONE)
        return fail(err, M2M_EUNSUPPORTED, "unet: has image-set attention; run it as component m2m");
    int status = nn_begin(&t->n, params, err);
    if (status) return status;
    graph *g = t->g = t->n.g;
    t->sample = graph_input(g, "sample", DT_F32, SHAPE(batch, u->in_channels, height, width));
    t->timestep = graph_input(g, "timestep", DT_F32, SHAPE(batch));
    t->tokens = graph_input(g, "encoder_hidden_states", DT_F32, SHAPE(batch, n_tokens, u->cross_dim));
    t->c = (cross){.kind = CROSS_TEXT, .tokens = t->tokens};
    node *x = unet(&t->n, u, to_channels_last(g, t->sample), t->timestep, &t->c, NULL, flags & TEXT_RECOMPUTE);
    t->prediction = to_channels_first(g, x);
    if (gradients) {
        t->target = graph_input(g, "noise", DT_F32, t->prediction->shape);
        t->loss = mse(g, t->prediction, t->target);
    }
    status = nn_finish(&t->n, err);
    if (!status && gradients) status = add_gradients(&t->n, t->loss, &t->grads, err);
    return status;
}

void text_graph_free(text_graph *t)
{
    free(t->grads);
    nn_end(&t->n);
    memset(t, 0, sizeof *t);
}
