/* What m2m_model is inside the library. */
#ifndef LIB_MODEL_H
#define LIB_MODEL_H

#include "diffusion/schedule.h"
#include "models/sight.h"

#include <pthread.h>

struct m2m_model {
    char *dir;
    unet_model unet;
    vae_model vae;
    vision vision;           /* M2M-DINO; else zero */
    text_model text;         /* text-to-image; else zero */
    struct tokenizer *tokenizer;
    schedule schedule;
    const char *sampler;     /* that the directory's scheduler_config.json asks for; NULL: as the options say */
    cJSON *defaults;         /* generation_config.json, or NULL */
    m2m_model_facts facts;
    pthread_mutex_t lock;    /* guards sha256, which is computed when first asked for */
    char sha256[SHA256_HEX];
};

/* Side of the U-Net's own latents, and the pixels they stand for. */
int model_latent_side(const m2m_model *m);

/* 16-bit weights in a file's map are not kept as floats but packed from there at every use, where those of `beside`
 * (their own, or the largest model's) take more than 512 MiB, as Stable Diffusion's. Before any plan is made. */
void model_keep_small(paramset *params, const paramset *beside);

/* Tokens of a text: what the tokenizer (model_max_length, if it has one) and the encoder's positions allow. */
int text_length(const struct tokenizer *t, const text_model *m);

/* L of an image's features at that size in pixels; 0 for M2M-Self. */
int model_tokens(const m2m_model *m, int width, int height);

/* Checks model_index.json; class gets "M2MPipeline" or "StableDiffusionPipeline". */
int pipeline_class(const char *dir, char *class_name, size_t size, m2m_error *err);

/* The pipeline's scheduler_config.json: inside dir, or beside it where dir is one component's folder. A single-file
 * checkpoint has that of SD 1 and 2. */
int pipeline_schedule(schedule *s, const char *dir, m2m_error *err);

#endif
