/* Does a text-to-image model heed its captions? Pictures of what it makes of them. */
#ifndef TRAIN_TEXT_CHECK_H
#define TRAIN_TEXT_CHECK_H

#include "diffusion/schedule.h"
#include "models/component.h"
#include "train/prompts.h"

typedef struct text_sheet {
    const unet_model *unet;
    const vae_model *vae;
    const schedule *schedule;
    prompts *prompts;
    backend *be;
    uint64_t seed;
    int side;                /* of the latent */
} text_sheet;

/* A picture of n rows, each with its caption below: the image of latents [n, C,h,w], and four made of the caption. */
int text_sheet_make(const text_sheet *s, const char *const *captions, const float *latents, int n,
                    m2m_image *picture, m2m_error *err);

#endif
