/* Single-file checkpoints of the latent-diffusion code ("LDM"): Stable Diffusion 1 and 2 as one .safetensors, seen as
 * the components of a diffusers directory. Names are changed by the table ldm_names.def; nothing is copied, q, k and v
 * of OpenCLIP being thirds of one tensor's rows. Where the file holds an average of the U-Net's weights (`model_ema.`,
 * LitEma's names), that average is the U-Net: what M2M starts from (spec 7).
 *
 * Configurations are read off the shapes. What shapes don't tell is taken from the two families: attention of context
 * width 768 is SD 1 (8 heads, CLIP ViT-L), 1024 is SD 2 (heads 64 wide, OpenCLIP ViT-H without its last layer), and
 * prediction_type is epsilon, as in all of them but SD 2's 768-pixel models. */
#ifndef MODELS_LDM_H
#define MODELS_LDM_H

#include "tensor/weights.h"

struct cJSON;

/* Does the file have a U-Net under its LDM name? */
bool ldm_is(const weights *w);

/* The file's `component` ("unet", "vae", "text_encoder"): weights under diffusers' names, and config.json's content
 * (cJSON_Delete). Errors: M2M_EFORMAT, M2M_ESHAPE when it isn't there whole, M2M_EUNSUPPORTED for other families. */
int ldm_open(weights **w, struct cJSON **config, const char *path, const char *component, m2m_error *err);

/* scheduler_config.json's content for SD 1 and 2 (cJSON_Delete). NULL: out of memory. */
struct cJSON *ldm_scheduler(void);

typedef struct ldm_count {
    int tensors;             /* in the file */
    int averages;            /* of them under model_ema. */
    int others;              /* of them part of no component: schedules, losses */
} ldm_count;
void ldm_counts(const weights *w, ldm_count *c);

#endif
