#include "train/vae_start.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Measured on 32x32 emoji, 600 steps of 16 (docs/training.md): 15.0 dB before, 19.7 dB with all of these. */
#define LOG_VARIANCE -6.0f   /* latents begin nearly without noise */
#define CARRIER 2.0f         /* beside which an image's own contrast is small, see below */
#define OUTPUT_GAIN 2.0f     /* makes up for what the carriers take */

static bool contains_any(const char *name, const char *const *parts)
{
    for (; *parts; parts++)
        if (strstr(name, *parts)) return true;
    return false;
}

static void scale_param(param *p, float f)
{
    float *data = p->data;
    for (int64_t i = 0; i < shape_count(p->shape); i++) data[i] *= f;
}

/* Convolutions that no skip connection goes around. PyTorch's uniform +-1/sqrt(fan_in) loses sqrt(3) of the signal in
 * each, until only the biases are left. */
static bool on_the_trunk(const char *name)
{
    static const char *const parts[] = {"conv_in.",         "conv_out.",   "conv_shortcut.",
                                        "samplers.0.conv.", "quant_conv.", NULL};
    return contains_any(name, parts);
}

/* The group norms before the two conv_out divide by the contrast of the whole image: bright or dark, pale or strong,
 * all come out alike. Constant channels much stronger than the image keep the divisor nearly constant. */
static void carry(paramset *params, const char *name)
{
    param *p = paramset_find(params, name);
    check(p, "a VAE without %s", name);
    float *bias = p->data;
    for (int64_t i = 0; i < shape_count(p->shape); i += 4) bias[i] = i % 8 ? -CARRIER : CARRIER;
}

void vae_start(const vae_config *v, paramset *params)
{
    static const char *const branch_ends[] = {".conv2.", ".to_out.0.", NULL};
    char last[64];
    for (int i = 0; i < paramset_count(params); i++) {
        param *p = paramset_at(params, i);
        size_t length = strlen(p->name);
        bool bias = length > 5 && !strcmp(p->name + length - 5, ".bias");
        if (contains_any(p->name, branch_ends)) scale_param(p, 0);
        else if (on_the_trunk(p->name))
            scale_param(p, bias ? 0 : sqrtf(3) * (strstr(p->name, "conv_out.") ? OUTPUT_GAIN : 1));
    }
    carry(params, "encoder.mid_block.resnets.1.conv2.bias");
    snprintf(last, sizeof last, "decoder.up_blocks.%d.resnets.%d.conv2.bias", v->blocks - 1, v->layers);
    carry(params, last);
    param *moments = paramset_find(params, v->quant_conv ? "quant_conv.bias" : "encoder.conv_out.bias");
    float *log_variance = (float *)moments->data + v->latent_channels;
    for (int i = 0; i < v->latent_channels; i++) log_variance[i] = LOG_VARIANCE;
}
