/* A U-Net, a VAE or an image encoder with its weights, opened from a component folder (config.json and safetensors) or
 * from a pipeline directory that holds one. Every tensor is accounted for: a missing, unknown or misshapen one is an
 * error that names it. */
#ifndef MODELS_COMPONENT_H
#define MODELS_COMPONENT_H

#include "models/dinov2.h"
#include "models/unet.h"
#include "models/vae.h"
#include "tensor/weights.h"

typedef struct unet_model {
    unet_config config;
    paramset *params;
    weights *weights;        /* params point into it; NULL for fresh ones */
    char *dir;               /* the component's folder */
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

/* read: whether weights are read; otherwise parameters are declared and empty (paramset_init fills them). On failure
 * *m is zero. */
int unet_model_open(unet_model *m, const char *dir, bool read, m2m_error *err);
void unet_model_close(unet_model *m);
int vae_model_open(vae_model *m, const char *dir, bool read, m2m_error *err);
void vae_model_close(vae_model *m);
int encoder_model_open(encoder_model *m, const char *dir, bool read, m2m_error *err);   /* "image_encoder" */
void encoder_model_close(encoder_model *m);

/* "dir/name" if that is a folder, else dir itself: components are found in pipelines and alone. New string (free). */
char *component_dir(const char *dir, const char *name);

/* Declares every parameter of a model by building it once at a small size. */
int unet_declare(const unet_config *u, paramset *params, m2m_error *err);
int vae_declare(const vae_config *v, paramset *params, m2m_error *err);
int encoder_declare(const dinov2_config *d, paramset *params, m2m_error *err);

/* Writes params as dir/diffusion_pytorch_model.safetensors; as `stored`. */
int params_save(const paramset *params, const char *dir, dtype stored, m2m_error *err);

#endif
