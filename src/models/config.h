/* config.json of a U-Net and of a VAE, in diffusers' keys, to the structs that the models are built from. What m2m
 * can't do is an error that names key, value found and value wanted; nothing is ignored silently that would change a
 * result. */
#ifndef MODELS_CONFIG_H
#define MODELS_CONFIG_H

#include "models/unet.h"
#include "models/vae.h"

struct cJSON;

int unet_config_parse(unet_config *u, const struct cJSON *json, m2m_error *err);
int vae_config_parse(vae_config *v, const struct cJSON *json, m2m_error *err);

#endif
