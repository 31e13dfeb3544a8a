#include "models/ldm_config.h"

#include "base/error.h"
#include "models/ldm.h"
#include "models/unet.h"
#include "models/vae.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>

enum { SD1_CONTEXT = 768, SD1_HEADS = 8, SD2_CONTEXT = 1024, HEAD_WIDTH = 64, PIXELS = 512 };

/* Dimension `axis` of the tensor of that name; 0: there is none. */
static int dim(const weights *w, int axis, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int dim(const weights *w, int axis, const char *fmt, ...)
{
    char name[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    const tensor *t = weights_find(w, name);
    if (!t || t->shape.rank <= axis || t->shape.dim[axis] > 1 << 20) return 0;
    return (int)t->shape.dim[axis];
}

static int missing(m2m_error *err, const char *name)
{
    return fail(err, M2M_ESHAPE, "tensor %s (diffusers' name) is missing or misshapen", name);
}

/* Takes o: out of memory if any addition failed. */
static int give(cJSON *o, bool good, cJSON **config, m2m_error *err)
{
    if (good && o) {
        *config = o;
        return 0;
    }
    cJSON_Delete(o);
    return fail(err, M2M_ENOMEM, "no memory for a configuration");
}

static bool add_ints(cJSON *o, const char *key, const int *value, int n)
{
    cJSON *list = cJSON_CreateIntArray(value, n);
    if (list && cJSON_AddItemToObject(o, key, list)) return true;
    cJSON_Delete(list);
    return false;
}

static bool add_types(cJSON *o, const char *key, const char *const *type, int n)
{
    cJSON *list = cJSON_CreateStringArray(type, n);
    if (list && cJSON_AddItemToObject(o, key, list)) return true;
    cJSON_Delete(list);
    return false;
}

typedef struct number {
    const char *key;
    double value;
} number;

static bool add_numbers(cJSON *o, const number *list, size_t n)
{
    bool good = true;
    for (size_t i = 0; i < n; i++) good = good && cJSON_AddNumberToObject(o, list[i].key, list[i].value);
    return good;
}
#define ADD_NUMBERS(o, ...) \
    add_numbers(o, (const number[]){__VA_ARGS__}, sizeof((const number[]){__VA_ARGS__}) / sizeof(number))

/* ---- U-Net ---- */

typedef struct unet_shape {
    int blocks, layers, context;
    int width[MAX_BLOCKS], heads[MAX_BLOCKS];
    const char *down[MAX_BLOCKS], *up[MAX_BLOCKS];
} unet_shape;

static int measure_unet(const weights *w, unet_shape *u, m2m_error *err)
{
    static const char middle[] = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight";
    for (; u->blocks < MAX_BLOCKS; u->blocks++) {
        int i = u->blocks;
        u->width[i] = dim(w, 0, "down_blocks.%d.resnets.0.conv1.weight", i);
        if (!u->width[i]) break;
        bool down = dim(w, 0, "down_blocks.%d.attentions.0.norm.weight", i) > 0;
        bool up = dim(w, 0, "up_blocks.%d.attentions.0.norm.weight", i) > 0;
        u->down[i] = down ? "CrossAttnDownBlock2D" : "DownBlock2D";
        u->up[i] = up ? "CrossAttnUpBlock2D" : "UpBlock2D";
    }
    if (!u->blocks) return missing(err, "down_blocks.0.resnets.0.conv1.weight");
    while (dim(w, 0, "down_blocks.0.resnets.%d.conv1.weight", u->layers)) u->layers++;
    u->context = dim(w, 1, middle);
    if (!u->context) return missing(err, middle);
    if (u->context != SD1_CONTEXT && u->context != SD2_CONTEXT)
        return fail(err, M2M_EUNSUPPORTED, "its text context is %d wide, wanted %d (Stable Diffusion 1) or %d (2)",
                    u->context, SD1_CONTEXT, SD2_CONTEXT);
    for (int i = 0; i < u->blocks; i++) {
        u->heads[i] = u->context == SD1_CONTEXT ? SD1_HEADS : u->width[i] / HEAD_WIDTH;
        if (!u->heads[i] || u->width[i] % u->heads[i])
            return fail(err, M2M_EUNSUPPORTED, "a block is %d wide, which is no whole number of attention heads",
                        u->width[i]);
    }
    return 0;
}

int ldm_unet_config(const weights *w, cJSON **config, m2m_error *err)
{
    unet_shape u = {0};
    int in = dim(w, 1, "conv_in.weight"), out = dim(w, 0, "conv_out.weight");
    int status = measure_unet(w, &u, err);
    if (!status && !in) status = missing(err, "conv_in.weight");
    if (!status && !out) status = missing(err, "conv_out.weight");
    if (status) return status;
    bool linear = !dim(w, 2, "mid_block.attentions.0.proj_in.weight");    /* else a 1x1 convolution */
    cJSON *o = cJSON_CreateObject();
    bool good = o && cJSON_AddStringToObject(o, "_class_name", "UNet2DConditionModel") &&
                cJSON_AddStringToObject(o, "act_fn", "silu") && add_ints(o, "attention_head_dim", u.heads, u.blocks) &&
                add_ints(o, "block_out_channels", u.width, u.blocks) &&
                add_types(o, "down_block_types", u.down, u.blocks) && add_types(o, "up_block_types", u.up, u.blocks) &&
                cJSON_AddBoolToObject(o, "center_input_sample", false) &&
                cJSON_AddBoolToObject(o, "flip_sin_to_cos", true) &&
                cJSON_AddBoolToObject(o, "use_linear_projection", linear) &&
                ADD_NUMBERS(o, {"in_channels", in}, {"out_channels", out}, {"layers_per_block", u.layers},
                            {"cross_attention_dim", u.context}, {"downsample_padding", 1}, {"freq_shift", 0},
                            {"mid_block_scale_factor", 1}, {"norm_eps", 1e-5}, {"norm_num_groups", 32},
                            {"sample_size", PIXELS / 8});
    return give(o, good, config, err);
}

/* ---- VAE ---- */

int ldm_vae_config(const weights *w, cJSON **config, m2m_error *err)
{
    int blocks = 0, layers = 0, width[MAX_VAE_BLOCKS];
    const char *down[MAX_VAE_BLOCKS], *up[MAX_VAE_BLOCKS];
    for (; blocks < MAX_VAE_BLOCKS; blocks++) {
        width[blocks] = dim(w, 0, "encoder.down_blocks.%d.resnets.0.conv1.weight", blocks);
        if (!width[blocks]) break;
        down[blocks] = "DownEncoderBlock2D";
        up[blocks] = "UpDecoderBlock2D";
    }
    if (!blocks) return missing(err, "encoder.down_blocks.0.resnets.0.conv1.weight");
    while (dim(w, 0, "encoder.down_blocks.0.resnets.%d.conv1.weight", layers)) layers++;
    int in = dim(w, 1, "encoder.conv_in.weight"), out = dim(w, 0, "decoder.conv_out.weight");
    int latent = dim(w, 1, "post_quant_conv.weight");
    if (!in) return missing(err, "encoder.conv_in.weight");
    if (!out) return missing(err, "decoder.conv_out.weight");
    if (!latent) return missing(err, "post_quant_conv.weight");
    cJSON *o = cJSON_CreateObject();
    bool good = o && cJSON_AddStringToObject(o, "_class_name", "AutoencoderKL") &&
                cJSON_AddStringToObject(o, "act_fn", "silu") && add_ints(o, "block_out_channels", width, blocks) &&
                add_types(o, "down_block_types", down, blocks) && add_types(o, "up_block_types", up, blocks) &&
                ADD_NUMBERS(o, {"in_channels", in}, {"out_channels", out}, {"latent_channels", latent},
                            {"layers_per_block", layers}, {"norm_num_groups", 32}, {"sample_size", PIXELS},
                            {"scaling_factor", 0.18215});
    return give(o, good, config, err);
}

/* ---- text encoder ---- */

/* transformers' CLIPTextModel, as it is in SD 1's and SD 2's directories. */
int ldm_text_config(const weights *w, cJSON **config, m2m_error *err)
{
    static const char tokens[] = "text_model.embeddings.token_embedding.weight";
    int vocab = dim(w, 0, tokens), width = dim(w, 1, tokens), layers = 0;
    int positions = dim(w, 0, "text_model.embeddings.position_embedding.weight");
    int inner = dim(w, 0, "text_model.encoder.layers.0.mlp.fc1.weight");
    while (dim(w, 0, "text_model.encoder.layers.%d.mlp.fc1.weight", layers)) layers++;
    if (!vocab || width < HEAD_WIDTH) return missing(err, tokens);
    if (!positions) return missing(err, "text_model.embeddings.position_embedding.weight");
    if (!layers) return missing(err, "text_model.encoder.layers.0.mlp.fc1.weight");
    cJSON *o = cJSON_CreateObject();
    const char *class_name = "CLIPTextModel";
    bool good = o && add_types(o, "architectures", &class_name, 1) &&
                cJSON_AddStringToObject(o, "model_type", "clip_text_model") &&
                cJSON_AddStringToObject(o, "hidden_act", width == SD1_CONTEXT ? "quick_gelu" : "gelu") &&
                ADD_NUMBERS(o, {"attention_dropout", 0}, {"bos_token_id", 0}, {"eos_token_id", 2}, {"pad_token_id", 1},
                            {"hidden_size", width}, {"intermediate_size", inner}, {"layer_norm_eps", 1e-5},
                            {"max_position_embeddings", positions}, {"num_attention_heads", width / HEAD_WIDTH},
                            {"num_hidden_layers", layers}, {"projection_dim", width == SD1_CONTEXT ? 768 : 512},
                            {"vocab_size", vocab});
    return give(o, good, config, err);
}

/* ---- scheduler ---- */

cJSON *ldm_scheduler(void)
{
    cJSON *o = cJSON_CreateObject();
    bool good = o && cJSON_AddStringToObject(o, "_class_name", "PNDMScheduler") &&
                cJSON_AddStringToObject(o, "beta_schedule", "scaled_linear") &&
                cJSON_AddStringToObject(o, "prediction_type", "epsilon") &&
                cJSON_AddBoolToObject(o, "clip_sample", false) && cJSON_AddBoolToObject(o, "set_alpha_to_one", false) &&
                cJSON_AddBoolToObject(o, "skip_prk_steps", true) &&
                ADD_NUMBERS(o, {"beta_start", 0.00085}, {"beta_end", 0.012}, {"num_train_timesteps", 1000},
                            {"steps_offset", 1});
    if (good) return o;
    cJSON_Delete(o);
    return NULL;
}
