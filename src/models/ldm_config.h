/* What config.json would say of a component that came without one, from its tensors under diffusers' names (ldm.h). */
#ifndef MODELS_LDM_CONFIG_H
#define MODELS_LDM_CONFIG_H

#include "tensor/weights.h"

struct cJSON;

int ldm_unet_config(const weights *w, struct cJSON **config, m2m_error *err);
int ldm_vae_config(const weights *w, struct cJSON **config, m2m_error *err);
int ldm_text_config(const weights *w, struct cJSON **config, m2m_error *err);

#endif
