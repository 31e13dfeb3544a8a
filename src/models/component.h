/* A U-Net, a VAE, a text or an image encoder with its weights, opened from a component folder (config.json and
 * safetensors), from a pipeline directory that holds one, or (all but the image encoder) from a single-file checkpoint
 * (ldm.h). Every tensor is accounted for: a missing, unknown or misshapen one is an error that names it. */
#ifndef MODELS_COMPONENT_H
#define MODELS_COMPONENT_H

#include "models/clip_text.h"
#include "models/dinov2.h"
#include "models/unet.h"
#include "models/vae.h"
#include "tensor/weights.h"

/* Where a component is read from: configuration and weights, whichever of the three it is. */
typedef struct component_files {
    char *dir;               /* the component's folder, or the file */
    struct cJSON *config;
    weights *weights;        /* NULL if not to be read */
} component_files;

/* name: the folder's in a pipeline ("unet"). read: whether weights are opened. On failure *c is zero. */
int component_open(component_files *c, const char *from, const char *name, bool read, m2m_error *err);
void component_close(component_files *c);
/* Points the parameters at the weights; all must be used, none missing. Messages begin with `dir`. */
int component_fill(paramset *params, const weights *w, const char *dir, m2m_error *err);

/* Parses c->config into *config and declares its parameters; c->weights may be looked at, NULL where not read. */
typedef int component_declare(void *config, const component_files *c, paramset *params, m2m_error *err);
/* A whole component: opened, declared, and filled if `read`. params, w and dir are the caller's; untouched on failure
 * but for *params, which is then NULL. */
int component_load(const char *from, const char *name, bool read, component_declare *declare, void *config,
                   paramset **params, weights **w, char **dir, m2m_error *err);

typedef struct unet_model {
    unet_config config;
    paramset *params;
    weights *weights;        /* params point into it; NULL for fresh ones */
    char *dir;               /* the component's folder, or the file */
} unet_model;

typedef struct vae_model {
    vae_config config;
    paramset *params;
    weights *weights;
    char *dir;
} vae_model;

typedef struct encoder_model {
    dinov2_config config;
    paramset *params;
    weights *weights;
    char *dir;
} encoder_model;

typedef struct text_model {
    clip_text_config config;
    paramset *params;
    weights *weights;
    char *dir;
} text_model;

/* read: whether weights are read; otherwise parameters are declared and empty (paramset_init fills them). On failure
 * *m is zero. */
int unet_model_open(unet_model *m, const char *dir, bool read, m2m_error *err);
/* For fine-tuning: a task condition is added to a model that has none; its parameters are then empty. */
int unet_model_open_with(unet_model *m, const char *dir, bool read, set_condition added, m2m_error *err);
void unet_model_close(unet_model *m);

/* A text-to-image U-Net whose text states are `width` wide. One of M2M becomes that: the parameters of its attn2 (and
 * of a task condition) are declared anew and empty, all else is kept. Errors also: M2M_ESHAPE for another width. */
int unet_model_open_for_text(unet_model *m, const char *dir, bool read, int width, m2m_error *err);
/* Its config.json from M2M's, in place; that of a text-to-image U-Net stays as it is. */
int unet_json_for_text(struct cJSON *config, int width, m2m_error *err);
/* Is that a parameter that M2M and text-to-image don't have in common? */
bool unet_is_cross(const char *name);
int vae_model_open(vae_model *m, const char *dir, bool read, m2m_error *err);
void vae_model_close(vae_model *m);
int encoder_model_open(encoder_model *m, const char *dir, bool read, m2m_error *err);   /* "image_encoder" */
void encoder_model_close(encoder_model *m);
int text_model_open(text_model *m, const char *dir, bool read, m2m_error *err);         /* "text_encoder" */
void text_model_close(text_model *m);

/* "dir/name" if that is a folder, else dir itself: components are found in pipelines and alone. New string (free). */
char *component_dir(const char *dir, const char *name);
/* Where a model's tokenizer is: component_dir(dir, "tokenizer"); of a single-file checkpoint, which has none, the same
 * of the folder the file is in. New string; NULL: no memory. */
char *tokenizer_dir(const char *dir);

/* Declares every parameter of a model by building it once at a small size. */
int unet_declare(const unet_config *u, paramset *params, m2m_error *err);
int vae_declare(const vae_config *v, paramset *params, m2m_error *err);
int encoder_declare(const dinov2_config *d, paramset *params, m2m_error *err);
int text_declare(const clip_text_config *c, paramset *params, m2m_error *err);

/* "f32", "f16" or "bf16", as options say it. */
dtype stored_type(const char *name);
/* Writes those parameters that `chosen` wants, as `stored`; NULL: all. */
int params_save_chosen(
    const paramset *params, bool (*chosen)(const char *name), const char *path, dtype stored, m2m_error *err);
/* All, as dir/diffusion_pytorch_model.safetensors. */
int params_save(const paramset *params, const char *dir, dtype stored, m2m_error *err);

#endif
