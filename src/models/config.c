#include "models/config.h"

#include "models/reader.h"

#include <string.h>

/* One number for all blocks, or an array with one each. */
static void per_block(reader *r, const char *key, int otherwise, int blocks, int *out)
{
    const cJSON *v = r->status ? NULL : json_member(r->o, key);
    if (!v || cJSON_IsNumber(v)) {
        int one = reader_int(r, key, otherwise, 1, 1 << 20);
        for (int i = 0; i < blocks; i++) out[i] = one;
        return;
    }
    if (!cJSON_IsArray(v) || cJSON_GetArraySize(v) != blocks) {
        reader_refuse(r, M2M_EFORMAT, key, "something else", "an integer, or an array with one for each block");
        return;
    }
    for (int i = 0; i < blocks; i++) {
        const cJSON *e = cJSON_GetArrayItem(v, i);
        if (!cJSON_IsNumber(e) || e->valuedouble < 1 || e->valuedouble > 1 << 20 || e->valuedouble != e->valueint)
            reader_refuse(r, M2M_EFORMAT, key, "an array with something else", "positive integers");
        else out[i] = e->valueint;
    }
}

static int count_blocks(reader *r, const char *key, int most)
{
    const cJSON *v = r->status ? NULL : json_member(r->o, key);
    int n = v && cJSON_IsArray(v) ? cJSON_GetArraySize(v) : 0;
    if (n < 1 || n > most)
        reader_refuse(r, M2M_EFORMAT, key, n < 1 ? "no array" : "too long", "an array of 1..8 block widths");
    return n;
}

static const char *block_type(reader *r, const char *key, int blocks, int i)
{
    const cJSON *v = r->status ? NULL : json_member(r->o, key);
    const cJSON *e = v && cJSON_IsArray(v) && cJSON_GetArraySize(v) == blocks ? cJSON_GetArrayItem(v, i) : NULL;
    if (e && cJSON_IsString(e)) return e->valuestring;
    reader_refuse(r, M2M_EFORMAT, key, "something else", "an array with one block type for each width");
    return "";
}

/* Is block i of this kind with attention? */
static bool is_cross(reader *r, const char *key, int blocks, int i, const char *with, const char *without)
{
    const char *type = block_type(r, key, blocks, i);
    if (!r->status && strcmp(type, with) && strcmp(type, without)) reader_refuse(r, M2M_EUNSUPPORTED, key, type, with);
    return !strcmp(type, with);
}

static void groups_divide(reader *r, const int *width, int blocks, int groups)
{
    for (int i = 0; i < blocks && !r->status; i++)
        if (width[i] % groups)
            r->status =
                fail(r->err, M2M_EFORMAT, "block width %d is not a multiple of norm_num_groups %d", width[i], groups);
}

/* ---- U-Net ---- */

static void set_attention(reader *r, unet_config *u)
{
    const cJSON *o = r->status ? NULL : json_member(r->o, "image_set_attention");
    bool m2m = !strcmp(reader_text(r, "_class_name", "UNet2DConditionModel"), "M2MUNet");
    if (m2m && !o)
        reader_refuse(r, M2M_EFORMAT, "image_set_attention", "missing", "an object, for _class_name M2MUNet");
    if (!m2m && o) reader_refuse(r, M2M_EFORMAT, "_class_name", "another", "M2MUNet, for an image_set_attention");
    if (!o || r->status) return;
    reader s = {.o = o, .err = r->err};
    const char *variant = reader_text(&s, "variant", "none"), *condition = reader_text(&s, "condition", "none");
    if (!strcmp(variant, "self")) u->variant = SET_SELF;
    else if (!strcmp(variant, "dino")) u->variant = SET_DINO;
    else reader_refuse(&s, M2M_EFORMAT, "image_set_attention.variant", variant, "self or dino");
    if (!strcmp(condition, "camera")) u->condition = CONDITION_CAMERA;
    else if (!strcmp(condition, "position")) u->condition = CONDITION_POSITION;
    else if (strcmp(condition, "none"))
        reader_refuse(&s, M2M_EFORMAT, "image_set_attention.condition", condition, "null, camera or position");
    const cJSON *t = json_member(o, "clean_timestep");
    if (t && cJSON_IsString(t) && !strcmp(t->valuestring, "same")) u->clean_timestep = CLEAN_TIMESTEP_SAME;
    else u->clean_timestep = reader_int(&s, "clean_timestep", 0, 0, 999);
    r->status = s.status;
}

static void unsupported_unet_keys(reader *r)
{
    reader_only_text(r, "act_fn", "silu");
    reader_only_bool(r, "center_input_sample", false);
    reader_only_bool(r, "dual_cross_attention", false);
    reader_only_bool(r, "class_embeddings_concat", false);
    reader_only_text(r, "resnet_time_scale_shift", "default");
    reader_only_text(r, "time_embedding_type", "positional");
    static const char *const absent[] = {"class_embed_type", "num_class_embeds", "addition_embed_type",
        "encoder_hid_dim", "encoder_hid_dim_type", "time_embedding_dim", "time_embedding_act_fn", "timestep_post_act",
        "time_cond_proj_dim", "cross_attention_norm", "addition_time_embed_dim", "num_attention_heads",
        "reverse_transformer_layers_per_block"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) reader_only_null(r, absent[i]);
    if (reader_int(r, "conv_in_kernel", 3, 0, 99) != 3)
        reader_refuse(r, M2M_EUNSUPPORTED, "conv_in_kernel", "another", "3");
    if (reader_int(r, "conv_out_kernel", 3, 0, 99) != 3)
        reader_refuse(r, M2M_EUNSUPPORTED, "conv_out_kernel", "another", "3");
    if (reader_int(r, "downsample_padding", 1, 0, 99) != 1)
        reader_refuse(r, M2M_EUNSUPPORTED, "downsample_padding", "another", "1");
    if (reader_real(r, "mid_block_scale_factor", 1, -1e9, 1e9) != 1)
        reader_refuse(r, M2M_EUNSUPPORTED, "mid_block_scale_factor", "another", "1");
    const cJSON *only = r->status ? NULL : json_member(r->o, "only_cross_attention");
    if (only && !cJSON_IsFalse(only)) reader_refuse(r, M2M_EUNSUPPORTED, "only_cross_attention", "set", "false");
}

static void unet_blocks(reader *r, unet_config *u)
{
    u->blocks = count_blocks(r, "block_out_channels", MAX_BLOCKS);
    if (r->status) return;
    per_block(r, "block_out_channels", 0, u->blocks, u->width);
    per_block(r, "layers_per_block", 2, u->blocks, u->layers);
    per_block(r, "transformer_layers_per_block", 1, u->blocks, u->depth);
    per_block(r, "attention_head_dim", 8, u->blocks, u->heads);
    for (int i = 0; i < u->blocks; i++) {
        u->down_cross[i] = is_cross(r, "down_block_types", u->blocks, i, "CrossAttnDownBlock2D", "DownBlock2D");
        u->up_cross[i] = is_cross(r, "up_block_types", u->blocks, i, "CrossAttnUpBlock2D", "UpBlock2D");
        if (!r->status && u->width[i] % u->heads[i])
            r->status = fail(r->err, M2M_EFORMAT, "block width %d is not a multiple of its %d heads", u->width[i],
                             u->heads[i]);
        if (!r->status && u->layers[i] > 7)
            r->status = fail(r->err, M2M_EUNSUPPORTED, "layers_per_block is %d, at most 7 are possible", u->layers[i]);
    }
}

int unet_config_parse(unet_config *u, const cJSON *json, m2m_error *err)
{
    reader r = {.o = json, .err = err};
    memset(u, 0, sizeof *u);
    if (!cJSON_IsObject(json)) return fail(err, M2M_EFORMAT, "is not a JSON object");
    const char *class = reader_text(&r, "_class_name", "UNet2DConditionModel");
    if (!r.status && strcmp(class, "UNet2DConditionModel") && strcmp(class, "M2MUNet"))
        reader_refuse(&r, M2M_EUNSUPPORTED, "_class_name", class, "UNet2DConditionModel or M2MUNet");
    unsupported_unet_keys(&r);
    unet_blocks(&r, u);
    u->in_channels = reader_int(&r, "in_channels", 4, 1, 4096);
    u->out_channels = reader_int(&r, "out_channels", 4, 1, 4096);
    u->sample_size = reader_int(&r, "sample_size", 64, 1, 65536);
    u->cross_dim = reader_int(&r, "cross_attention_dim", 1280, 1, 1 << 20);
    u->groups = reader_int(&r, "norm_num_groups", 32, 1, 4096);
    u->eps = reader_real(&r, "norm_eps", 1e-5, 0, 1);
    u->linear_projection = reader_bool(&r, "use_linear_projection", false);
    u->flip_sin_to_cos = reader_bool(&r, "flip_sin_to_cos", true);
    u->freq_shift = reader_real(&r, "freq_shift", 0, 0, 1);
    const char *mid = reader_text(&r, "mid_block_type", "UNetMidBlock2DCrossAttn");
    if (!r.status && strcmp(mid, "UNetMidBlock2DCrossAttn"))
        reader_refuse(&r, M2M_EUNSUPPORTED, "mid_block_type", mid, "UNetMidBlock2DCrossAttn");
    u->mid_cross = true;
    if (!r.status) groups_divide(&r, u->width, u->blocks, u->groups);
    set_attention(&r, u);
    u->dino_hidden = 4 * u->width[0];
    if (!r.status && u->variant == SET_SELF && u->in_channels != u->out_channels)
        r.status = fail(err, M2M_EFORMAT, "in_channels %d and out_channels %d differ", u->in_channels, u->out_channels);
    return r.status;
}

/* ---- VAE ---- */

int vae_config_parse(vae_config *v, const cJSON *json, m2m_error *err)
{
    reader r = {.o = json, .err = err};
    memset(v, 0, sizeof *v);
    if (!cJSON_IsObject(json)) return fail(err, M2M_EFORMAT, "is not a JSON object");
    reader_only_text(&r, "_class_name", "AutoencoderKL");
    reader_only_text(&r, "act_fn", "silu");
    reader_only_null(&r, "latents_mean");
    reader_only_null(&r, "latents_std");
    v->blocks = count_blocks(&r, "block_out_channels", MAX_VAE_BLOCKS);
    if (r.status) return r.status;
    per_block(&r, "block_out_channels", 64, v->blocks, v->width);
    for (int i = 0; i < v->blocks; i++) {
        is_cross(&r, "down_block_types", v->blocks, i, "DownEncoderBlock2D", "DownEncoderBlock2D");
        is_cross(&r, "up_block_types", v->blocks, i, "UpDecoderBlock2D", "UpDecoderBlock2D");
    }
    v->in_channels = reader_int(&r, "in_channels", 3, 1, 4096);
    v->out_channels = reader_int(&r, "out_channels", 3, 1, 4096);
    v->latent_channels = reader_int(&r, "latent_channels", 4, 1, 4096);
    v->sample_size = reader_int(&r, "sample_size", 32, 1, 65536);
    v->layers = reader_int(&r, "layers_per_block", 1, 1, 7);
    v->groups = reader_int(&r, "norm_num_groups", 32, 1, 4096);
    v->mid_attention = reader_bool(&r, "mid_block_add_attention", true);
    v->quant_conv = reader_bool(&r, "use_quant_conv", true);
    v->post_quant_conv = reader_bool(&r, "use_post_quant_conv", true);
    v->scaling_factor = reader_real(&r, "scaling_factor", 0.18215, 1e-9, 1e9);
    if (!r.status) groups_divide(&r, v->width, v->blocks, v->groups);
    return r.status;
}
