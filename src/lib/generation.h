/* What m2m_generate works with, and what it is given: images, or tensors in their place, and task conditions; or a
 * prompt. */
#ifndef LIB_GENERATION_H
#define LIB_GENERATION_H

#include "diffusion/painter.h"
#include "diffusion/rollout.h"
#include "image/resize.h"
#include "lib/model.h"
#include "models/pixels.h"

typedef struct generation {
    const m2m_model *m;
    const m2m_generate_options *o;
    const m2m_generate_calls *calls;
    backend *be;
    int width, height;       /* pixels */
    int64_t floats;          /* of a latent */
    int latent_h, latent_w;
    uint8_t background[3];
    image_fit_mode fit;
    int given;
    int tokens;              /* M2M-DINO: L of an image's features */
    int64_t content;         /* floats of an image's context: its latent, or its features */
    float *contents;         /* [given, content] */
    float *conditions;       /* [given + n, numbers], or NULL: none has one */
    int first_condition;     /* images before it have none */
    float *noise;            /* [n, C,h,w] from a file, or NULL */
    float *made;             /* [n, C,h,w] */
    float *trajectory;       /* [n, calls of the model + 1, C,h,w], or NULL */
    float *image;            /* [3, H, W] */
    pixels *decoder;
    sight *sight;            /* M2M-DINO */
    rollout *rollout;        /* M2M */
    float *states;           /* text-to-image: [2, T,D], of the negative prompt and of the prompt */
    painter *painter;
    int index;               /* image being made */
} generation;

/* Size in pixels, fit and background; the size of latents from a file comes with them. */
int given_geometry(generation *q, m2m_error *err);
/* From options->latents: contents, tokens, given, the size, and conditions if they are there. */
int given_replay(generation *q, m2m_error *err);
int given_noise(generation *q, m2m_error *err);
/* contents of q->given images, through VAE or encoder. */
int given_encode(generation *q, const m2m_image *images, m2m_error *err);
/* From options->camera and position; does nothing for a model without a condition. */
int given_conditions(generation *q, m2m_error *err);
/* Of image `index` of given + made ones; NULL: it has none. */
const float *given_condition(const generation *q, int index);

/* Text-to-image: options that don't fit; the states and the painter; one image's latent. */
int prompt_check(const generation *q, int n_given, m2m_error *err);
int prompt_open(generation *q, m2m_error *err);
int prompt_make(generation *q, const float *noise, float *latent, float *trajectory, painter_step *step,
                m2m_error *err);

#endif
