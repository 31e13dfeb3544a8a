#include "models/pixels.h"

#include "graph/exec.h"
#include "models/vae_bands.h"

#include <stdlib.h>

struct pixels {
    const vae_model *vae;
    vae_graph graph;
    exec *x;
    vae_bands *bands;        /* instead of graph and x, where the features are large */
    int batch;
    int64_t latent, plane;   /* floats of one latent; of one of its channels */
    float *buffer;           /* encode: moments [batch, 2c, h, w]; decode: unscaled latents */
};

pixels *pixels_new(const vae_model *vae, backend *be, vae_part part, int batch, int height, int width, m2m_error *err)
{
    int f = vae_factor(&vae->config), c = vae->config.latent_channels;
    if (height % f || width % f || height < f || width < f) {
        fail(err, M2M_EINVAL, "size: %dx%d, wanted multiples of %d", width, height, f);
        return NULL;
    }
    pixels *p = calloc(1, sizeof *p);
    if (!p) return fail(err, M2M_ENOMEM, "no memory for the VAE"), NULL;
    p->vae = vae;
    p->batch = batch;
    p->plane = (int64_t)(height / f) * (width / f);
    p->latent = c * p->plane;
    p->buffer = malloc(2 * (size_t)(batch * p->latent) * sizeof *p->buffer);
    int h = part == VAE_ENCODE ? height : height / f, w = part == VAE_ENCODE ? width : width / f;
    const band_limits limits = VAE_BAND_LIMITS;
    int status = p->buffer ? 0 : fail(err, M2M_ENOMEM, "no memory for latents");
    if (!status && part == VAE_DECODE && vae_bands_apply(&vae->config, h, w, &limits)) {
        p->bands = vae_bands_new(&vae->config, vae->params, be, h, w, &limits, err);
    } else if (!status) {
        status = vae_graph_build(&p->graph, &vae->config, vae->params, part, batch, h, w, err);
        if (!status) p->x = exec_new(p->graph.g, be, &p->graph.out, 1, err);
    }
    if (p->x || p->bands) return p;
    pixels_free(p);
    return NULL;
}

void pixels_free(pixels *p)
{
    if (!p) return;
    exec_free(p->x);
    vae_bands_free(p->bands);
    vae_graph_free(&p->graph);
    free(p->buffer);
    free(p);
}

size_t pixels_bytes(const pixels *p) { return p->bands ? vae_bands_bytes(p->bands) : exec_bytes(p->x); }

static int run(pixels *p, const float *in, float *out, m2m_error *err)
{
    int status = exec_write(p->x, p->graph.in, in, err);
    if (!status) status = exec_run(p->x, err);
    if (!status) exec_read(p->x, p->graph.out, out);
    return status;
}

int pixels_encode(pixels *p, const float *images, float *latents, m2m_error *err)
{
    int status = run(p, images, p->buffer, err);
    float s = p->vae->config.scaling_factor;
    for (int b = 0; b < p->batch && !status; b++)      /* the mean is the first half of each image's channels */
        for (int64_t i = 0; i < p->latent; i++) latents[b * p->latent + i] = p->buffer[2 * b * p->latent + i] * s;
    return status;
}

int pixels_decode(pixels *p, const float *latents, float *images, m2m_error *err)
{
    float s = 1.0f / p->vae->config.scaling_factor;
    for (int64_t i = 0; i < p->batch * p->latent; i++) p->buffer[i] = latents[i] * s;
    if (!p->bands) return run(p, p->buffer, images, err);
    const int64_t f = vae_factor(&p->vae->config), image = p->vae->config.out_channels * f * f * p->plane;
    int status = 0;
    for (int64_t b = 0; b < p->batch && !status; b++)
        status = vae_bands_decode(p->bands, p->buffer + b * p->latent, images + b * image, err);
    return status;
}
