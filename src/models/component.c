#include "models/component.h"

#include "base/file.h"
#include "base/json.h"
#include "models/config.h"
#include "models/ldm.h"
#include "models/m2m.h"
#include "models/vae_graph.h"
#include "tensor/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *component_dir(const char *dir, const char *name)
{
    char *inner = path_join(dir, name);
    if (!inner || dir_exists(inner)) return inner;
    free(inner);
    return strdup(dir);
}

char *tokenizer_dir(const char *dir)
{
    if (!file_exists(dir)) return component_dir(dir, "tokenizer");
    char *beside = path_dir(dir), *found = beside ? component_dir(beside, "tokenizer") : NULL;
    free(beside);
    return found;
}

/* ---- declaring ---- */

int unet_declare(const unet_config *u, paramset *params, m2m_error *err)
{
    int side = 1 << (u->blocks - 1), status;
    if (u->variant == SET_NONE) {
        text_graph t;
        status = text_graph_build(&t, u, params, 1, side, side, 1, 0, err);
        text_graph_free(&t);
        return status;
    }
    step_graph t;
    clean_graph c;
    step_shape s = {.height = side, .width = side, .tokens = 1, .branches = 1, .rows = 1, .slots = {1}};
    status = step_graph_build(&t, u, params, &s, err);
    step_graph_free(&t);
    if (status) return status;
    status = clean_graph_build(&c, u, params, side, side, 1, err);     /* what is done to the features, too */
    clean_graph_free(&c);
    return status;
}

int vae_declare(const vae_config *v, paramset *params, m2m_error *err)
{
    vae_graph t;
    int side = vae_factor(v);
    int status = vae_graph_build(&t, v, params, VAE_ENCODE, 1, side, side, err);
    vae_graph_free(&t);
    if (status) return status;
    status = vae_graph_build(&t, v, params, VAE_DECODE, 1, 1, 1, err);
    vae_graph_free(&t);
    return status;
}

int encoder_declare(const dinov2_config *d, paramset *params, m2m_error *err)
{
    dinov2_graph t;
    int status = dinov2_graph_build(&t, d, params, 1, d->patch_size, d->patch_size, err);
    dinov2_graph_free(&t);
    return status;
}

int text_declare(const clip_text_config *c, paramset *params, m2m_error *err)
{
    clip_text_graph t;
    int status = clip_text_graph_build(&t, c, params, 1, 1, err);
    clip_text_graph_free(&t);
    return status;
}

/* ---- filling ---- */

/* AutoencoderKL's attention had other names before diffusers 0.18, and Dinov2Model's has others in transformers 5's
 * memory than in its files; both are read. */
static const char *const other_names[][2] = {
    {".attentions.0.query.", ".attentions.0.to_q."},
    {".attentions.0.key.", ".attentions.0.to_k."},
    {".attentions.0.value.", ".attentions.0.to_v."},
    {".attentions.0.proj_attn.", ".attentions.0.to_out.0."},
    {".attention.q_proj.", ".attention.attention.query."},
    {".attention.k_proj.", ".attention.attention.key."},
    {".attention.v_proj.", ".attention.attention.value."},
    {".attention.o_proj.", ".attention.output.dense."},
};

static param *param_named(const paramset *params, const char *name)
{
    param *p = paramset_find(params, name);
    for (size_t i = 0; !p && i < sizeof other_names / sizeof *other_names; i++) {
        const char *at = strstr(name, other_names[i][0]);
        char now[600];
        if (!at) continue;
        int n = snprintf(now, sizeof now, "%.*s%s%s", (int)(at - name), name, other_names[i][1],
                         at + strlen(other_names[i][0]));
        if (n > 0 && (size_t)n < sizeof now) p = paramset_find(params, now);
    }
    return p;
}

/* Equal, or equal but for dimensions of 1 at the end: a linear layer that was stored as a 1x1 convolution. */
static bool shape_fits(shape wanted, shape found)
{
    while (found.rank > wanted.rank && found.dim[found.rank - 1] == 1) found.rank--;
    return shape_equal(wanted, found);
}

/* A buffer of 0, 1, 2, … that transformers wrote before 4.31. */
static bool is_counter(const char *name)
{
    const char *at = strstr(name, "embeddings.position_ids");
    return at && !strcmp(at, "embeddings.position_ids");
}

static int fill_one(paramset *params, const char *dir, const char *name, const tensor *t, m2m_error *err)
{
    char found[80], wanted[80];
    param *p = param_named(params, name);
    if (!p && is_counter(name)) return 0;
    if (!p) return fail(err, M2M_ESHAPE, "%s: tensor %s is not part of this model", dir, name);
    if (!shape_fits(p->shape, t->shape))
        return fail(err, M2M_ESHAPE, "%s: tensor %s has shape %s, wanted %s", dir, name,
                    shape_text(t->shape, found, sizeof found), shape_text(p->shape, wanted, sizeof wanted));
    if (t->type != DT_F32 && t->type != DT_F16 && t->type != DT_BF16)
        return fail(err, M2M_EUNSUPPORTED, "%s: tensor %s is %s, wanted F32, F16 or BF16", dir, name,
                    dtype_name(t->type));
    if (p->data) return fail(err, M2M_ESHAPE, "%s: tensor %s is there under two names", dir, p->name);
    p->data = t->data;
    p->mapped = t->mapped;
    p->type = t->type;
    p->version++;
    return 0;
}

/* left_out (NULL: none) tells by their names the weights that are not looked at. */
static int fill_but(paramset *params, const weights *w, const char *dir, bool (*left_out)(const char *), m2m_error *err)
{
    int status = 0;
    for (int i = 0; i < weights_count(w) && !status; i++)
        if (!left_out || !left_out(weights_name(w, i)))
            status = fill_one(params, dir, weights_name(w, i), weights_at(w, i), err);
    for (int i = 0; i < paramset_count(params) && !status; i++)
        if (!paramset_at(params, i)->data && !paramset_at(params, i)->optional) {
            char wanted[80];
            status = fail(err, M2M_ESHAPE, "%s: tensor %s %s is missing", dir, paramset_at(params, i)->name,
                          shape_text(paramset_at(params, i)->shape, wanted, sizeof wanted));
        }
    return status;
}

int component_fill(paramset *params, const weights *w, const char *dir, m2m_error *err)
{
    return fill_but(params, w, dir, NULL, err);
}

/* ---- opening ---- */

static int open_folder(component_files *c, const char *from, const char *name, bool read, m2m_error *err)
{
    char *path = path_join(c->dir, "config.json");
    int status = !path ? fail(err, M2M_ENOMEM, "%s: no memory to open it", c->dir)
                 : !strcmp(c->dir, from) && dir_exists(from) && !file_exists(path)
                     ? fail(err, M2M_EIO, "%s: has neither %s/config.json nor config.json", from, name)
                     : json_load(&c->config, path, err);
    free(path);
    return status || !read ? status : weights_open(&c->weights, c->dir, err);
}

int component_open(component_files *c, const char *from, const char *name, bool read, m2m_error *err)
{
    *c = (component_files){.dir = component_dir(from, name)};
    int status = !c->dir              ? fail(err, M2M_ENOMEM, "%s: no memory to open it", from)
                 : file_exists(c->dir) ? ldm_open(&c->weights, &c->config, c->dir, name, err)
                                       : open_folder(c, from, name, read, err);
    if (!read) weights_close(&c->weights);
    if (status) component_close(c);
    return status;
}

void component_close(component_files *c)
{
    cJSON_Delete(c->config);
    weights_close(&c->weights);
    free(c->dir);
    *c = (component_files){0};
}

static int load(component_files *c, bool read, component_declare *declare, void *config, paramset *params,
                m2m_error *err)
{
    if (!params) return fail(err, M2M_ENOMEM, "%s: no memory to open it", c->dir);
    int status = declare(config, c, params, err);
    if (status) return fail_prefix(err, status, file_exists(c->dir) ? "%s" : "%s/config.json", c->dir);
    return read ? component_fill(params, c->weights, c->dir, err) : 0;
}

int component_load(const char *from, const char *name, bool read, component_declare *declare, void *config,
                   paramset **params, weights **w, char **dir, m2m_error *err)
{
    component_files c;
    int status = component_open(&c, from, name, read, err);
    if (status) return status;
    *params = paramset_new();
    status = load(&c, read, declare, config, *params, err);
    if (status) {
        paramset_free(*params);
        *params = NULL;
    } else {
        *w = c.weights;
        *dir = c.dir;
        c.weights = NULL;
        c.dir = NULL;
    }
    component_close(&c);
    return status;
}

typedef struct unet_opening {
    unet_config config;
    set_condition added;         /* by fine-tuning */
} unet_opening;

/* The configuration's task condition, or the one that is added. */
static int choose_condition(unet_config *u, set_condition added, m2m_error *err)
{
    if (added == CONDITION_NONE || u->condition == added) return 0;
    if (u->variant == SET_NONE)
        return fail(err, M2M_EUNSUPPORTED, "condition %s needs image_set_attention", condition_name(added));
    if (u->condition != CONDITION_NONE)
        return fail(err, M2M_EINVAL, "condition is %s, wanted %s or none", condition_name(u->condition),
                    condition_name(added));
    u->condition = added;
    return 0;
}

/* The spec leaves this width open; a file knows it. */
static void find_dino_hidden(unet_config *u, const weights *w)
{
    const tensor *t = w ? weights_find(w, "condition_embedder_dino.linear_1.weight") : NULL;
    if (t && t->shape.rank == 2 && t->shape.dim[0] > 0 && t->shape.dim[0] <= 1 << 20)
        u->dino_hidden = (int)t->shape.dim[0];
}

/* What a condition adds to a model that was trained without: fine-tuning draws it. */
static void mark_added(paramset *params)
{
    for (int i = 0; i < paramset_count(params); i++) {
        param *p = paramset_at(params, i);
        p->optional = !strncmp(p->name, "condition_embedder", 18) || strstr(p->name, ".attn2.cond_proj.");
    }
}

static int declare_unet(void *opening, const component_files *c, paramset *params, m2m_error *err)
{
    unet_opening *o = opening;
    int status = unet_config_parse(&o->config, c->config, err);
    set_condition own = o->config.condition;
    if (!status) status = choose_condition(&o->config, o->added, err);
    if (status) return status;
    find_dino_hidden(&o->config, c->weights);
    status = unet_declare(&o->config, params, err);
    if (!status && o->config.condition != own) mark_added(params);
    return status;
}

int unet_model_open_with(unet_model *m, const char *dir, bool read, set_condition added, m2m_error *err)
{
    unet_opening o = {.added = added};
    *m = (unet_model){0};
    int status = component_load(dir, "unet", read, declare_unet, &o, &m->params, &m->weights, &m->dir, err);
    if (status) *m = (unet_model){0};
    else m->config = o.config;
    return status;
}

int unet_model_open(unet_model *m, const char *dir, bool read, m2m_error *err)
{
    return unet_model_open_with(m, dir, read, CONDITION_NONE, err);
}

/* ---- from M2M to text and back ---- */

bool unet_is_cross(const char *name)
{
    return strstr(name, ".attn2.") || !strncmp(name, "condition_embedder", strlen("condition_embedder"));
}

int unet_json_for_text(cJSON *config, int width, m2m_error *err)
{
    if (!json_member(config, "image_set_attention")) return 0;
    cJSON_DeleteItemFromObjectCaseSensitive(config, "image_set_attention");
    if (json_set(config, "_class_name", cJSON_CreateString("UNet2DConditionModel")) &&
        json_set(config, "cross_attention_dim", cJSON_CreateNumber(width)))
        return 0;
    return fail(err, M2M_ENOMEM, "no memory for a configuration");
}

static int declare_for_text(unet_model *m, const component_files *c, int width, m2m_error *err)
{
    bool sets = json_member(c->config, "image_set_attention") != NULL;
    int status = m->params ? unet_json_for_text(c->config, width, err)
                           : fail(err, M2M_ENOMEM, "%s: no memory to open it", c->dir);
    if (!status) status = unet_config_parse(&m->config, c->config, err);
    if (!status) status = unet_declare(&m->config, m->params, err);
    if (status) return fail_prefix(err, status, "%s", c->dir);
    for (int i = 0; sets && i < paramset_count(m->params); i++)
        paramset_at(m->params, i)->optional = unet_is_cross(paramset_at(m->params, i)->name);
    return c->weights ? fill_but(m->params, c->weights, c->dir, sets ? unet_is_cross : NULL, err) : 0;
}

int unet_model_open_for_text(unet_model *m, const char *dir, bool read, int width, m2m_error *err)
{
    component_files c;
    *m = (unet_model){0};
    int status = component_open(&c, dir, "unet", read, err);
    if (status) return status;
    m->params = paramset_new();
    status = declare_for_text(m, &c, width, err);
    m->weights = c.weights;
    m->dir = c.dir;
    c.weights = NULL;
    c.dir = NULL;
    component_close(&c);
    if (!status && m->config.cross_dim != width)
        status = fail(err, M2M_ESHAPE, "%s: takes text states %d wide, the text encoder gives %d", m->dir,
                      m->config.cross_dim, width);
    if (status) unet_model_close(m);
    return status;
}

void unet_model_close(unet_model *m)
{
    paramset_free(m->params);
    weights_close(&m->weights);
    free(m->dir);
    *m = (unet_model){0};
}

static int declare_vae(void *config, const component_files *c, paramset *params, m2m_error *err)
{
    int status = vae_config_parse(config, c->config, err);
    return status ? status : vae_declare(config, params, err);
}

int vae_model_open(vae_model *m, const char *dir, bool read, m2m_error *err)
{
    *m = (vae_model){0};
    int status = component_load(dir, "vae", read, declare_vae, &m->config, &m->params, &m->weights, &m->dir, err);
    if (status) *m = (vae_model){0};
    return status;
}

void vae_model_close(vae_model *m)
{
    paramset_free(m->params);
    weights_close(&m->weights);
    free(m->dir);
    *m = (vae_model){0};
}

static int declare_encoder(void *config, const component_files *c, paramset *params, m2m_error *err)
{
    dinov2_config *d = config;
    int status = dinov2_config_parse(d, c->config, err);
    if (!status && c->weights)
        d->split_gate = weights_find(c->weights, "encoder.layer.0.mlp.gate_proj.weight") != NULL;
    return status ? status : encoder_declare(d, params, err);
}

int encoder_model_open(encoder_model *m, const char *dir, bool read, m2m_error *err)
{
    *m = (encoder_model){0};
    int status = component_load(dir, "image_encoder", read, declare_encoder, &m->config, &m->params, &m->weights,
                                &m->dir, err);
    if (status) *m = (encoder_model){0};
    return status;
}

void encoder_model_close(encoder_model *m)
{
    paramset_free(m->params);
    weights_close(&m->weights);
    free(m->dir);
    *m = (encoder_model){0};
}

static int declare_text(void *config, const component_files *c, paramset *params, m2m_error *err)
{
    clip_text_config *t = config;
    int status = clip_text_config_parse(t, c->config, err);
    if (!status && c->weights)
        t->prefixed = weights_find(c->weights, "text_model.final_layer_norm.weight") != NULL;
    return status ? status : text_declare(t, params, err);
}

int text_model_open(text_model *m, const char *dir, bool read, m2m_error *err)
{
    *m = (text_model){0};
    int status =
        component_load(dir, "text_encoder", read, declare_text, &m->config, &m->params, &m->weights, &m->dir, err);
    if (status) *m = (text_model){0};
    return status;
}

void text_model_close(text_model *m)
{
    paramset_free(m->params);
    weights_close(&m->weights);
    free(m->dir);
    *m = (text_model){0};
}

dtype stored_type(const char *name)
{
    return !strcmp(name, "f16") ? DT_F16 : !strcmp(name, "bf16") ? DT_BF16 : DT_F32;
}

int params_save_chosen(
    const paramset *params, bool (*chosen)(const char *name), const char *path, dtype stored, m2m_error *err)
{
    int n = 0;
    safetensors_item *items = calloc((size_t)paramset_count(params) + 1, sizeof *items);
    if (!items) return fail(err, M2M_ENOMEM, "%s: no memory to save %d tensors", path, paramset_count(params));
    for (int i = 0; i < paramset_count(params); i++) {
        const param *p = paramset_at(params, i);
        if (chosen && !chosen(p->name)) continue;
        items[n++] = (safetensors_item){
            .name = p->name, .t = {.type = p->type, .shape = p->shape, .data = p->data}, .stored = stored};
    }
    int status = safetensors_save(path, items, n, &(m2m_text){"format", "pt"}, 1, err);
    free(items);
    return status;
}

int params_save(const paramset *params, const char *dir, dtype stored, m2m_error *err)
{
    char *path = path_join(dir, "diffusion_pytorch_model.safetensors");
    int status = path ? params_save_chosen(params, NULL, path, stored, err)
                      : fail(err, M2M_ENOMEM, "%s: no memory for a path", dir);
    free(path);
    return status;
}
