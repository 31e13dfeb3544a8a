#include "train/text_check.h"

#include "base/rng.h"
#include "diffusion/painter.h"
#include "image/draw.h"
#include "image/font.h"
#include "image/image.h"
#include "models/pixels.h"

#include <stdlib.h>

enum { MADE = 4, STEPS = 25, GAP = 8, LINE = FONT_HEIGHT + 4 };
#define GUIDANCE 3.0

typedef struct row_maker {
    const text_sheet *s;
    painter *painter;
    pixels *decoder;
    int side;                /* of an image */
    int64_t floats;          /* of a latent */
    float *states;           /* [rows of the prompts, T,D] */
    float *latents, *noise;  /* [MADE, C,h,w] */
    float *planes;           /* [3, side, side] */
    m2m_image *picture;
} row_maker;

static int open_maker(row_maker *m, const text_sheet *s, m2m_image *picture, m2m_error *err)
{
    const unet_config *u = &s->unet->config;
    const painter_options o = {.batch = MADE, .tokens = s->prompts->length, .steps = STEPS, .guidance = GUIDANCE,
                               .sampler = "ddim"};
    *m = (row_maker){.s = s, .picture = picture, .side = s->side * vae_factor(&s->vae->config),
                     .floats = (int64_t)u->in_channels * s->side * s->side};
    m->painter = painter_new(u, s->unet->params, s->be, s->schedule, s->side, s->side, &o, err);
    m->decoder = m->painter ? pixels_new(s->vae, s->be, VAE_DECODE, 1, m->side, m->side, err) : NULL;
    if (!m->decoder) return M2M_ENOMEM;
    m->states = malloc((size_t)(s->prompts->rows * s->prompts->length) * (size_t)u->cross_dim * sizeof *m->states);
    m->latents = malloc(MADE * (size_t)m->floats * sizeof *m->latents);
    m->noise = malloc(MADE * (size_t)m->floats * sizeof *m->noise);
    m->planes = malloc(3 * (size_t)m->side * (size_t)m->side * sizeof *m->planes);
    return m->states && m->latents && m->noise && m->planes ? 0 : fail(err, M2M_ENOMEM, "no memory for a sample");
}

static void close_maker(row_maker *m)
{
    painter_free(m->painter);
    pixels_free(m->decoder);
    free(m->states);
    free(m->latents);
    free(m->noise);
    free(m->planes);
}

static int show(row_maker *m, const float *latent, int x, int y, m2m_error *err)
{
    m2m_image one = {0};
    int status = pixels_decode(m->decoder, latent, m->planes, err);
    if (!status) status = image_from_chw(&one, m->planes, m->side, m->side, err);
    if (!status) image_paste(m->picture, &one, x, y);
    m2m_image_free(&one);
    return status;
}

static int make_row(row_maker *m, int row, const char *caption, const float *latent, m2m_error *err)
{
    static const uint8_t ink[3] = {0, 0, 0};
    const int y = row * (m->side + LINE);
    const float *negative = m->states + (size_t)m->s->prompts->length * (size_t)m->s->unet->config.cross_dim;
    for (int i = 0; i < MADE; i++)
        rng_normal(m->s->seed, RNG_NOISE, (uint32_t)(row * MADE + i), m->noise + i * m->floats, (size_t)m->floats);
    int status = prompts_states(m->s->prompts, &caption, 1, m->states, err);     /* and behind it those of "" */
    if (!status)
        status = painter_make(m->painter, m->states, negative, m->noise, MADE, m->latents, NULL, NULL, NULL, err);
    if (!status) status = show(m, latent, 0, y, err);
    for (int i = 0; i < MADE && !status; i++)
        status = show(m, m->latents + i * m->floats, GAP + (i + 1) * m->side, y, err);
    font_draw(m->picture, 2, y + m->side + 2, 1, caption, ink);
    return status;
}

int text_sheet_make(const text_sheet *s, const char *const *captions, const float *latents, int n,
                    m2m_image *picture, m2m_error *err)
{
    static const uint8_t white[3] = {255, 255, 255};
    row_maker m;
    int status = open_maker(&m, s, picture, err);
    if (!status) status = m2m_image_new(picture, (MADE + 1) * m.side + GAP, n * (m.side + LINE), 3, err);
    if (!status) image_fill(picture, 0, 0, picture->width, picture->height, white);
    for (int row = 0; row < n && !status; row++)
        status = make_row(&m, row, captions[row], latents + row * m.floats, err);
    if (status) m2m_image_free(picture);
    close_maker(&m);
    return status;
}
