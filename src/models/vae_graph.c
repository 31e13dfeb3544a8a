#include "models/vae_graph.h"

#include <stdlib.h>
#include <string.h>

int vae_graph_build(vae_graph *t, const vae_config *v, paramset *params, vae_part part, int batch, int height,
                    int width, m2m_error *err)
{
    memset(t, 0, sizeof *t);
    int status = nn_begin(&t->n, params, err);
    if (status) return status;
    t->g = t->n.g;
    bool encode = part == VAE_ENCODE;
    int channels = encode ? v->in_channels : v->latent_channels;
    t->in = graph_input(t->g, encode ? "sample" : "latents", DT_F32, SHAPE(batch, channels, height, width));
    node *x = to_channels_last(t->g, t->in);
    t->out = to_channels_first(t->g, encode ? vae_encode(&t->n, v, x) : vae_decode(&t->n, v, x));
    return nn_finish(&t->n, err);
}

/* 0.5 * sum(mean^2 + exp(logvar) - 1 - logvar) over a latent, mean over the batch -> [1]. */
static node *kl_term(graph *g, node *mu, node *logvar, int batch)
{
    node *t = sub(g, add(g, mul(g, mu, mu), exponential(g, logvar)), scale(g, logvar, 1.0f, 1.0f));
    return scale(g, sum_to(g, t, SHAPE(1)), 0.5f / (float)batch, 0.0f);
}

/* mean |d/dx (a-b)| + mean |d/dy (a-b)| of an error image [B,H,W,C]. */
static node *edges(graph *g, node *e)
{
    int64_t h = e->shape.dim[1], w = e->shape.dim[2];
    node *dy = sub(g, slice(g, e, 1, 1, h - 1), slice(g, e, 1, 0, h - 1));
    node *dx = sub(g, slice(g, e, 2, 1, w - 1), slice(g, e, 2, 0, w - 1));
    return add(g, mean(g, absolute(g, dy)), mean(g, absolute(g, dx)));
}

static node *edges_at_scales(graph *g, node *e)
{
    node *sum = edges(g, e);
    for (int k = 2; k <= 4 && e->shape.dim[1] % k == 0 && e->shape.dim[2] % k == 0; k *= 2)
        sum = add(g, sum, edges(g, avg_pool(g, e, k)));
    return sum;
}

int vae_train_build(vae_graph *t, const vae_config *v, paramset *params, int batch, int height, int width,
                    const vae_loss *l, bool gradients, m2m_error *err)
{
    memset(t, 0, sizeof *t);
    int status = nn_begin(&t->n, params, err);
    if (status) return status;
    graph *g = t->g = t->n.g;
    t->in = graph_input(g, "sample", DT_F32, SHAPE(batch, v->in_channels, height, width));
    node *x = to_channels_last(g, t->in);
    node *moments = vae_encode(&t->n, v, x);
    int c = v->latent_channels;
    node *mu = slice(g, moments, -1, 0, c);
    node *logvar = clamp(g, slice(g, moments, -1, c, c), -30.0f, 20.0f);
    shape z = moments->shape;
    t->noise = graph_input(g, "noise", DT_F32, SHAPE(batch, c, z.dim[1], z.dim[2]));
    node *spread = exponential(g, scale(g, logvar, 0.5f, 0.0f));
    node *latents = add(g, mu, mul(g, spread, to_channels_last(g, t->noise)));
    node *y = vae_decode(&t->n, v, latents);
    if (!graph_error(g, NULL) && !shape_equal(y->shape, x->shape))
        return fail(err, M2M_ESHAPE, "vae: %d x %d pixels are not a multiple of %d", width, height, vae_factor(v));
    node *e = sub(g, x, y);
    t->l1 = mean(g, absolute(g, e));
    t->kl = kl_term(g, mu, logvar, batch);
    t->loss = add(g, t->l1, scale(g, t->kl, l->kl, 0.0f));
    if (l->gradient > 0) t->loss = add(g, t->loss, scale(g, edges_at_scales(g, e), l->gradient, 0.0f));
    t->out = to_channels_first(g, y);
    status = nn_finish(&t->n, err);
    if (status || !gradients) return status;
    t->grads = calloc((size_t)paramset_count(params) + 1, sizeof *t->grads);
    if (!t->grads) return fail(err, M2M_ENOMEM, "no memory for gradients");
    return nn_gradients(&t->n, t->loss, t->grads, err);
}

void vae_graph_free(vae_graph *t)
{
    free(t->grads);
    nn_end(&t->n);
    memset(t, 0, sizeof *t);
}
