/* m2m_info: what a model directory, a component or a safetensors file is. */
#include "m2m_train.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "lib/defaults.h"
#include "lib/model.h"
#include "models/clip.h"
#include "models/ldm.h"
#include "models/m2m.h"
#include "tensor/weights.h"
#include "text/tokenizer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct teller {
    const m2m_calls *calls;
    bool sums;               /* of files */
} teller;

static void say(const teller *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(const teller *t, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    if (!t->calls || !t->calls->line) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    t->calls->line(t->calls->user, text);
}

/* The files that people know (formats.md 1). */
static const char *known_file(const char *found)
{
    static const struct { const char *sum, *name; } known[] = {
        {"6dfae3e5f7d459b50f4b0850ead945972c75bb0e1897628933e169eb43974214", "Stable Diffusion 2.1-base, unet"},
        {"a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815", "Stable Diffusion 2.1-base, vae"},
        {"cce6febb0b6d876ee5eb24af35e27e764eb4f9b1d0b7c026c8c3333d4cfc916c", "Stable Diffusion 2.1-base, text encoder"},
        {"df955bdf6b682338ea9b55dfc0d8f3475aadf4836e204893d28b82355e0956d2", "v2-1_512-ema-pruned.safetensors"},
        {"fc4f9fe7528b2ee3de21971fb805bbf74d680bf1ab5b5f9c08379b0397b82a9d", "v2-1_512-nonema-pruned.safetensors"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].sum, found)) return known[i].name;
    return NULL;
}

static void tell_files(const teller *t, const weights *w)
{
    for (int i = 0; i < weights_files(w); i++) {
        char sum[SHA256_HEX], size[TEXT_SIZE];
        say(t, "  %s  %s", path_base(safetensors_path(weights_file(w, i))),
            bytes_text((int64_t)safetensors_bytes(weights_file(w, i)), size, sizeof size));
        if (!t->sums) continue;
        safetensors_sha256(weights_file(w, i), sum);
        say(t, "  sha256 %s  (%s)", sum, known_file(sum) ? known_file(sum) : "no file known to m2m");
    }
}

static void tell_tensors(const teller *t, const paramset *params)
{
    int64_t by_type[DT_COUNT] = {0};
    char text[200], size[TEXT_SIZE];
    size_t at = 0;
    for (int i = 0; i < paramset_count(params); i++) by_type[paramset_at(params, i)->type]++;
    for (int d = 0; d < DT_COUNT; d++)
        if (by_type[d] && at < sizeof text)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%lld %s", at ? ", " : "", (long long)by_type[d],
                                   dtype_name((dtype)d));
    say(t, "  tensors: %d, all used, none missing (%s); %lld parameters, %s", paramset_count(params), text,
        (long long)paramset_elements(params), bytes_text((int64_t)paramset_bytes(params), size, sizeof size));
}

/* ---- components ---- */

static bool has(const char *dir, const char *name, bool (*is)(const char *path))
{
    char *path = path_join(dir, name);
    bool there = path && is(path);
    free(path);
    return there;
}

static void tell_widths(const teller *t, const char *what, const int *width, int n)
{
    char text[200];
    size_t at = 0;
    for (int i = 0; i < n; i++) at += (size_t)snprintf(text + at, sizeof text - at, "%s%d", i ? ", " : "", width[i]);
    say(t, "  %s %s", what, text);
}

static int tell_context(const teller *t, const unet_model *m, m2m_error *err)
{
    clean_graph g;
    char size[TEXT_SIZE];
    int side = m->config.sample_size, status = clean_graph_build(&g, &m->config, m->params, side, side, 0, err);
    if (!status)
        say(t, "  context: %s per image at %dx%d latents (%d set-attention layers)",
            bytes_text((int64_t)cross_bytes_per_image(&g.c), size, sizeof size), side, side, g.c.layers);
    clean_graph_free(&g);
    return status;
}

static int tell_unet(const teller *t, const char *dir, m2m_error *err)
{
    unet_model m;
    int status = unet_model_open(&m, dir, true, err);
    if (status) return status;
    const unet_config *u = &m.config;
    const char *kind = u->variant == SET_SELF   ? "M2M-Self"
                       : u->variant == SET_DINO ? "M2M-DINO"
                                                : "text cross-attention";
    say(t, "unet: %s, %d to %d channels, %dx%d latents", kind, u->in_channels, u->out_channels, u->sample_size,
        u->sample_size);
    tell_widths(t, "block_out_channels", u->width, u->blocks);
    tell_widths(t, "heads", u->heads, u->blocks);
    if (u->variant != SET_NONE && u->clean_timestep == CLEAN_TIMESTEP_SAME) say(t, "  clean_timestep same");
    else if (u->variant != SET_NONE) say(t, "  clean_timestep %d", u->clean_timestep);
    if (u->variant != SET_NONE) say(t, "  task condition %s", condition_name(u->condition));
    tell_tensors(t, m.params);
    if (u->variant == SET_SELF) status = tell_context(t, &m, err);
    if (!status && !file_exists(dir)) tell_files(t, m.weights);
    unet_model_close(&m);
    return status;
}

static int tell_vae(const teller *t, const char *dir, m2m_error *err)
{
    vae_model m;
    int status = vae_model_open(&m, dir, true, err);
    if (status) return status;
    const vae_config *v = &m.config;
    say(t, "vae: %d latent channels, %d pixels a latent, scaling factor %g", v->latent_channels, vae_factor(v),
        (double)v->scaling_factor);
    tell_widths(t, "block_out_channels", v->width, v->blocks);
    tell_tensors(t, m.params);
    if (!file_exists(dir)) tell_files(t, m.weights);
    vae_model_close(&m);
    return status;
}

static int tell_encoder(const teller *t, const char *dir, m2m_error *err)
{
    encoder_model m;
    int status = encoder_model_open(&m, dir, true, err);
    if (status) return status;
    const dinov2_config *d = &m.config;
    say(t, "image_encoder: DINOv2, %d layers of %d, %d heads, %s, patches of %d, made for images of %d", d->layers,
        d->width, d->heads, d->swiglu ? "SwiGLU" : "MLP", d->patch_size, d->image_size);
    tell_tensors(t, m.params);
    tell_files(t, m.weights);
    encoder_model_close(&m);
    return status;
}

static int tell_text(const teller *t, const char *dir, m2m_error *err)
{
    text_model m;
    int status = text_model_open(&m, dir, true, err);
    if (status) return status;
    const clip_text_config *c = &m.config;
    say(t, "text_encoder: CLIPTextModel, %d layers of %d, %d heads, %s, %d positions, vocabulary of %d", c->layers,
        c->width, c->heads, c->quick ? "quick_gelu" : "gelu", c->positions, c->vocabulary);
    tell_tensors(t, m.params);
    if (!file_exists(dir)) tell_files(t, m.weights);
    text_model_close(&m);
    return status;
}

static int tell_tokenizer(const teller *t, const char *dir, m2m_error *err)
{
    tokenizer *k = NULL;
    int status = tokenizer_open(&k, dir, err);
    if (!status)
        say(t, "tokenizer: CLIP's, start id %d, end id %d, pad id %d, at most %d tokens a text (0: not told)",
            tokenizer_start_id(k), tokenizer_end_id(k), tokenizer_pad_id(k), tokenizer_max_length(k));
    tokenizer_close(&k);
    return status;
}

static int tell_clip(const teller *t, const char *dir, m2m_error *err)
{
    clip_model m;
    int status = clip_model_open(&m, dir, err);
    if (status) return status;
    const clip_config *c = &m.config;
    say(t, "clip: CLIPModel, %d numbers an image or a text", c->projection);
    say(t, "  images: %d layers of %d, %d heads, patches of %d, %dx%d pixels", c->vision.layers, c->vision.width,
        c->vision.heads, c->patch_size, c->image_size, c->image_size);
    say(t, "  texts: %d layers of %d, %d heads, %d positions, vocabulary of %d", c->text.layers, c->text.width,
        c->text.heads, c->text.positions, c->text.vocabulary);
    tell_tensors(t, m.params);
    tell_files(t, m.weights);
    clip_model_close(&m);
    return has(dir, "vocab.json", file_exists) ? tell_tokenizer(t, dir, err) : 0;
}

static int tell_schedule(const teller *t, const char *dir, m2m_error *err)
{
    schedule s;
    int status = pipeline_schedule(&s, dir, err);
    if (status) return status;
    say(t, "scheduler: %d steps, prediction_type %s", s.train_steps, prediction_types[s.prediction]);
    schedule_free(&s);
    return 0;
}

/* What m2m generate does here unless it is told otherwise. */
static int tell_defaults(const teller *t, const char *dir, bool text, m2m_error *err)
{
    cJSON *config;
    const char *sampler = text ? defaults_sampler(dir) : NULL;
    int status = defaults_load(&config, dir, err);
    if (status) return status;
    char *all = config ? cJSON_PrintUnformatted(config) : NULL;
    if (sampler) say(t, "generate: --scheduler %s", sampler);
    if (all) say(t, "generate: %s by generation_config.json", all);
    free(all);
    cJSON_Delete(config);
    return 0;
}

static int tell_texts_tokenizer(const teller *t, const char *dir, m2m_error *err)
{
    char *inside = path_join(dir, "tokenizer");
    int status = inside ? tell_tokenizer(t, inside, err) : fail(err, M2M_ENOMEM, "no memory for a path");
    free(inside);
    return status;
}

/* What a pipeline may hold, and how a folder that is a component by itself is known. */
static const struct component {
    const char *name, *class_name, *model_type;
    int (*tell)(const teller *t, const char *dir, m2m_error *err);
} components[] = {
    {"unet", "UNet2DConditionModel", NULL, tell_unet},
    {"vae", "AutoencoderKL", NULL, tell_vae},
    {"image_encoder", NULL, "dinov2", tell_encoder},
    {"text_encoder", NULL, "clip_text_model", tell_text},
    {"tokenizer", NULL, NULL, tell_texts_tokenizer},
    {"clip", NULL, "clip", tell_clip},
};

static int tell_pipeline(const teller *t, const char *dir, m2m_error *err)
{
    char class_name[64];
    int status = pipeline_class(dir, class_name, sizeof class_name, err);
    if (status) return status;
    say(t, "%s: %s", dir, class_name);
    for (size_t i = 0; !status && i < sizeof components / sizeof *components; i++)
        if (has(dir, components[i].name, dir_exists)) status = components[i].tell(t, dir, err);
    if (!status) status = tell_schedule(t, dir, err);
    return status ? status : tell_defaults(t, dir, !strcmp(class_name, "StableDiffusionPipeline"), err);
}

/* A folder with one component: told by the class or type that its config.json names; a U-Net without one. */
static int tell_component(const teller *t, const char *dir, m2m_error *err)
{
    cJSON *o;
    const char *class_name = "", *type = "";
    const struct component *found = components;
    char *path = path_join(dir, "config.json");
    int status = path ? json_load(&o, path, err) : fail(err, M2M_ENOMEM, "no memory for a path");
    free(path);
    if (status) return status;
    status = json_or_text(o, "_class_name", &class_name, err);
    if (!status) status = json_or_text(o, "model_type", &type, err);
    for (const struct component *c = components; c < components + sizeof components / sizeof *components; c++)
        if ((c->class_name && !strcmp(class_name, c->class_name)) || (c->model_type && !strcmp(type, c->model_type)))
            found = c;
    cJSON_Delete(o);
    return status ? fail_prefix(err, status, "%s/config.json", dir) : found->tell(t, dir, err);
}

/* A single-file checkpoint, component by component. */
static int tell_checkpoint(const teller *t, const weights *w, m2m_error *err)
{
    ldm_count c;
    const char *path = weights_path(w);
    ldm_counts(w, &c);
    say(t, "%s: single-file checkpoint, %d tensors", path, c.tensors);
    if (c.averages) say(t, "  %d of an average (model_ema.), which is taken as the U-Net", c.averages);
    if (c.others) say(t, "  %d of no component, left alone", c.others);
    int status = tell_unet(t, path, err);
    if (!status) status = tell_vae(t, path, err);
    if (!status) status = tell_text(t, path, err);
    if (!status) status = tell_schedule(t, path, err);
    if (!status) tell_files(t, w);
    return status;
}

static void list_tensors(const teller *t, const weights *w)
{
    say(t, "%s: %d tensors", weights_path(w), weights_count(w));
    for (int i = 0; i < weights_count(w); i++) {
        char text[100];
        const tensor *x = weights_at(w, i);
        say(t, "  %-80s %-5s %s", weights_name(w, i), dtype_name(x->type), shape_text(x->shape, text, sizeof text));
    }
}

static int tell_file(const teller *t, const char *path, m2m_error *err)
{
    weights *w;
    int status = weights_open(&w, path, err);
    if (status) return status;
    if (ldm_is(w)) {
        status = tell_checkpoint(t, w, err);
    } else {
        list_tensors(t, w);
        tell_files(t, w);
    }
    weights_close(&w);
    return status;
}

int m2m_info(const char *path, int sums, const m2m_calls *calls, m2m_error *err)
{
    teller t = {calls, sums != 0};
    char *index = path_join(path, "model_index.json");
    if (!index) return fail(err, M2M_ENOMEM, "no memory for a path");
    bool pipeline = file_exists(index);
    free(index);
    if (pipeline) return tell_pipeline(&t, path, err);
    return dir_exists(path) ? tell_component(&t, path, err) : tell_file(&t, path, err);
}
