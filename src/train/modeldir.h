/* Writing model directories from training, and the small things both tasks share. */
#ifndef TRAIN_MODELDIR_H
#define TRAIN_MODELDIR_H

#include "diffusion/schedule.h"
#include "graph/exec.h"
#include "models/condition.h"

/* For training: draws what has no data, and makes float32 in memory of what is trained: parameters whose names contain
 * one of `only`'s words (comma separated; NULL: all). The others stay where they are, as float32. Backends keep nothing
 * made of any. */
int params_prepare(paramset *params, uint64_t seed, const char *only, m2m_error *err);

/* A plan of `more` and all gradients (grads NULL: none). */
exec *task_exec(graph *g, backend *be, node *const *more, int n, const paramset *params, node *const *grads,
                m2m_error *err);

/* dir/vae: config.json of `from` with this scaling_factor, and weights. */
int modeldir_save_vae(const char *dir, const char *from, const paramset *params, double scale, dtype stored,
                      m2m_error *err);
/* dir: the M2M pipeline of `from` with these U-Net weights, and this task condition and prediction in its
 * configurations; VAE, index and, if they are there, image_encoder and feature_extractor are copied. vae_dir: the VAE's
 * folder. */
int modeldir_save_m2m(const char *dir, const char *from, const char *vae_dir, const paramset *unet,
                      set_condition condition, prediction predicted, dtype stored, m2m_error *err);

/* What a text-to-image directory is made of, besides its U-Net's weights. */
typedef struct text_parts {
    const char *from;            /* the directory with the U-Net's config.json (also M2M's) and the scheduler */
    const char *vae;             /* folders */
    const char *text_encoder;
    const char *tokenizer;
    const paramset *text;        /* the text encoder's; written as float32: transformers computes in a file's type */
    int width;                   /* of text states */
    prediction predicted;
} text_parts;

/* dir: diffusers' StableDiffusionPipeline. */
int modeldir_save_text(const char *dir, const text_parts *parts, const paramset *unet, dtype stored, m2m_error *err);

/* CLIPModel's folder with these weights: all files of `from` but weights, model.safetensors, and, for text-to-image
 * models, text_encoder/ with the text tower as a CLIPTextModel. */
int modeldir_save_clip(const char *dir, const char *from, const paramset *params, dtype stored, m2m_error *err);
/* Dinov2Model's folder with these weights, without the heads of training, and its preprocessor_config.json. */
int modeldir_save_encoder(const char *dir, const char *from, const paramset *params, dtype stored, m2m_error *err);

#endif
