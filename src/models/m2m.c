#include "models/m2m.h"

#include <stdlib.h>
#include <string.h>

static int begin(graph **g, nn *n, paramset *params, m2m_error *err)
{
    *g = graph_new();
    if (!*g) return fail(err, M2M_ENOMEM, "no memory for a graph");
    nn_begin(n, *g, params);
    return 0;
}

static int finish(graph *g, const nn *n, m2m_error *err)
{
    if (n->failed) return fail(err, M2M_ENOMEM, "no memory for the parameters of a graph");
    return graph_error(g, err);
}

static int supported(const unet_config *u, m2m_error *err)
{
    if (u->variant == SET_SELF && u->condition == CONDITION_NONE) return 0;
    return fail(err, M2M_EUNSUPPORTED, "unet: image_set_attention is %s, wanted \"self\" without a condition",
                u->variant == SET_NONE ? "absent" : u->variant == SET_DINO ? "\"dino\"" : "conditioned");
}

static int add_gradients(nn *n, node *loss, node ***grads, m2m_error *err)
{
    *grads = calloc((size_t)paramset_count(n->params) + 1, sizeof **grads);
    if (!*grads) return fail(err, M2M_ENOMEM, "no memory for gradients");
    return nn_gradients(n, loss, *grads, err);
}

/* ---- training ---- */

int train_graph_build(train_graph *t, const unet_config *u, paramset *params, const train_shape *s, bool with_loss,
                      bool gradients, m2m_error *err)
{
    memset(t, 0, sizeof *t);
    t->shape = *s;
    int status = supported(u, err);
    if (!status && s->draws > 1 && u->clean_timestep == CLEAN_TIMESTEP_SAME)
        status = fail(err, M2M_EINVAL,
                      "draws is %d, but clean_timestep \"same\" allows 1: clean images differ per draw", s->draws);
    if (!status) status = begin(&t->g, &t->n, params, err);
    if (status) return status;
    graph *g = t->g;
    int clean = s->sets * s->images, noisy = clean * s->draws;
    t->c = (cross){.kind = CROSS_SET_TRAIN, .sets = s->sets, .images = s->images, .draws = s->draws};
    t->clean = graph_input(g, "clean", DT_F32, SHAPE(clean, u->in_channels, s->height, s->width));
    t->noisy = graph_input(g, "noisy", DT_F32, SHAPE(noisy, u->in_channels, s->height, s->width));
    t->timesteps = graph_input(g, "timesteps", DT_F32, SHAPE(clean + noisy));
    node *x = to_channels_last(g, concat(g, t->clean, t->noisy, 0));
    x = unet(&t->n, u, x, t->timesteps, &t->c, s->recompute);
    t->prediction = to_channels_first(g, slice(g, x, 0, clean, noisy));
    if (with_loss || gradients) {
        t->target = graph_input(g, "noise", DT_F32, t->prediction->shape);
        t->loss = mse(g, t->prediction, t->target);
    }
    status = finish(g, &t->n, err);
    if (!status && gradients) status = add_gradients(&t->n, t->loss, &t->grads, err);
    return status;
}

void train_graph_free(train_graph *t)
{
    free(t->grads);
    nn_end(&t->n);
    graph_free(t->g);
    memset(t, 0, sizeof *t);
}

void clean_timesteps(const unet_config *u, const train_shape *s, const float *noisy, float *clean)
{
    for (int i = 0; i < s->sets * s->images; i++)
        clean[i] = u->clean_timestep == CLEAN_TIMESTEP_SAME ? noisy[i] : (float)u->clean_timestep;
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

/* ---- sampling ---- */

int clean_graph_build(clean_graph *t, const unet_config *u, paramset *params, int height, int width, m2m_error *err)
{
    memset(t, 0, sizeof *t);
    int status = supported(u, err);
    if (!status) status = begin(&t->g, &t->n, params, err);
    if (status) return status;
    t->c = (cross){.kind = CROSS_SET_CLEAN};
    t->latent = graph_input(t->g, "clean", DT_F32, SHAPE(1, u->in_channels, height, width));
    t->timestep = graph_input(t->g, "timestep", DT_F32, SHAPE(1));
    unet(&t->n, u, to_channels_last(t->g, t->latent), t->timestep, &t->c, false);
    return finish(t->g, &t->n, err);
}

void clean_graph_free(clean_graph *t)
{
    nn_end(&t->n);
    graph_free(t->g);
    memset(t, 0, sizeof *t);
}

int step_graph_build(step_graph *t, const unet_config *u, paramset *params, int height, int width, int branches,
                     const int *slots, m2m_error *err)
{
    memset(t, 0, sizeof *t);
    int status = supported(u, err);
    if (!status) status = begin(&t->g, &t->n, params, err);
    if (status) return status;
    graph *g = t->g;
    t->c = (cross){.kind = CROSS_SET_CACHED, .n_branches = branches};
    for (int i = 0; i < branches; i++) t->c.branch[i].slots = slots[i];
    t->latent = graph_input(g, "noisy", DT_F32, SHAPE(1, u->in_channels, height, width));
    t->timestep = graph_input(g, "timestep", DT_F32, SHAPE(1));
    node *x = to_channels_last(g, t->latent), *rows = x;
    for (int i = 1; i < branches; i++) rows = concat(g, rows, x, 0);
    node *time = broadcast_to(g, t->timestep, SHAPE(branches));
    t->prediction = to_channels_first(g, unet(&t->n, u, rows, time, &t->c, false));
    return finish(g, &t->n, err);
}

void step_graph_free(step_graph *t)
{
    nn_end(&t->n);
    graph_free(t->g);
    memset(t, 0, sizeof *t);
}

/* ---- text ---- */

int text_graph_build(text_graph *t, const unet_config *u, paramset *params, int batch, int height, int width,
                     int n_tokens, bool gradients, m2m_error *err)
{
    memset(t, 0, sizeof *t);
    if (u->variant != SET_NONE)
        return fail(err, M2M_EUNSUPPORTED, "unet: has image-set attention; run it as component m2m");
    int status = begin(&t->g, &t->n, params, err);
    if (status) return status;
    graph *g = t->g;
    t->sample = graph_input(g, "sample", DT_F32, SHAPE(batch, u->in_channels, height, width));
    t->timestep = graph_input(g, "timestep", DT_F32, SHAPE(batch));
    t->tokens = graph_input(g, "encoder_hidden_states", DT_F32, SHAPE(batch, n_tokens, u->cross_dim));
    t->c = (cross){.kind = CROSS_TEXT, .tokens = t->tokens};
    t->prediction = to_channels_first(g, unet(&t->n, u, to_channels_last(g, t->sample), t->timestep, &t->c, false));
    if (gradients) {
        t->target = graph_input(g, "noise", DT_F32, t->prediction->shape);
        t->loss = mse(g, t->prediction, t->target);
    }
    status = finish(g, &t->n, err);
    if (!status && gradients) status = add_gradients(&t->n, t->loss, &t->grads, err);
    return status;
}

void text_graph_free(text_graph *t)
{
    free(t->grads);
    nn_end(&t->n);
    graph_free(t->g);
    memset(t, 0, sizeof *t);
}
