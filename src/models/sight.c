#include "models/sight.h"

#include <stdlib.h>

int vision_open(vision *v, const char *dir, bool read, int width, m2m_error *err)
{
    *v = (vision){0};
    int status = encoder_model_open(&v->encoder, dir, read, err);
    if (!status) status = processor_load(&v->processor, dir, err);
    if (!status && v->encoder.config.width != width)
        status = fail(err, M2M_ESHAPE, "%s: the image encoder's hidden_size is %d, but the U-Net's cross_attention_dim "
                      "is %d", dir, v->encoder.config.width, width);
    if (!status && v->encoder.config.channels != 3)
        status = fail(err, M2M_EUNSUPPORTED, "%s: the image encoder's num_channels is %d, wanted 3", dir,
                      v->encoder.config.channels);
    if (status) vision_close(v);
    return status;
}

void vision_close(vision *v)
{
    encoder_model_close(&v->encoder);
    *v = (vision){0};
}

int vision_tokens(const vision *v, int width, int height)
{
    int w, h;
    processor_size(&v->processor, width, height, &w, &h);
    return (int)dinov2_tokens(&v->encoder.config, h, w);
}

struct sight {
    const vision *v;
    int width, height;
    features *features;
    float *pixels;       /* [3, h, w] as the encoder wants them */
};

sight *sight_new(const vision *v, backend *be, int width, int height, m2m_error *err)
{
    sight *s = calloc(1, sizeof *s);
    int w, h;
    if (!s) return fail(err, M2M_ENOMEM, "no memory for the image encoder"), NULL;
    s->v = v;
    s->width = width;
    s->height = height;
    processor_size(&v->processor, width, height, &w, &h);
    s->pixels = malloc(3 * (size_t)w * (size_t)h * sizeof *s->pixels);
    if (!s->pixels) fail(err, M2M_ENOMEM, "no memory for %d x %d pixels", w, h);
    else s->features = features_new(&v->encoder, be, 1, h, w, err);
    if (s->features) return s;
    sight_free(s);
    return NULL;
}

void sight_free(sight *s)
{
    if (!s) return;
    features_free(s->features);
    free(s->pixels);
    free(s);
}

size_t sight_bytes(const sight *s) { return features_bytes(s->features); }

int sight_run(sight *s, const m2m_image *image, float *out, m2m_error *err)
{
    if (image->width != s->width || image->height != s->height)
        return fail(err, M2M_EINVAL, "image: %d x %d pixels, wanted %d x %d", image->width, image->height, s->width,
                    s->height);
    int status = processor_run(&s->v->processor, image, s->pixels, err);
    return status ? status : features_run(s->features, s->pixels, out, err);
}
