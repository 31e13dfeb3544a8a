/* m2m_init: an M2M directory from a text-to-image one (spec 4 and 7): everything but attn2 is kept. */
#include "m2m_train.h"

#include "base/dir_out.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/opts.h"
#include "lib/model.h"
#include "models/config.h"
#include "models/ldm.h"
#include "models/processor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A component as it came: its config.json, and weights under today's names. */
typedef struct source {
    cJSON *json;
    paramset *params;
    weights *weights;
    char *dir;
} source;

typedef struct init {
    const char *from;
    const m2m_init_options *o;
    int clean_timestep;
    source unet, vae;
    encoder_model encoder;   /* variant dino */
    unet_config config;      /* of the M2M U-Net */
    cJSON *json;
    paramset *params;        /* point into unet's, but for those that start from scratch */
    int64_t fresh;           /* elements of those */
} init;

/* ---- what is there ---- */

static int keep_json(source *s, const component_files *c, m2m_error *err)
{
    s->json = cJSON_Duplicate(c->config, true);
    return s->json ? 0 : fail(err, M2M_ENOMEM, "no memory for a configuration");
}

static int declare_text_unet(void *out, const component_files *c, paramset *params, m2m_error *err)
{
    unet_config u;
    int status = unet_config_parse(&u, c->config, err);
    if (!status && u.variant != SET_NONE)
        status = fail(err, M2M_EINVAL, "has image-set attention already, wanted a text-to-image U-Net");
    if (!status) status = unet_declare(&u, params, err);
    return status ? status : keep_json(out, c, err);
}

static int declare_vae(void *out, const component_files *c, paramset *params, m2m_error *err)
{
    vae_config v;
    int status = vae_config_parse(&v, c->config, err);
    if (!status) status = vae_declare(&v, params, err);
    return status ? status : keep_json(out, c, err);
}

static int open_sources(init *n, m2m_error *err)
{
    source *u = &n->unet, *v = &n->vae;
    bool dino = !strcmp(n->o->variant, "dino");
    int status = component_load(n->from, "unet", true, declare_text_unet, u, &u->params, &u->weights, &u->dir, err);
    if (!status) status = component_load(n->from, "vae", true, declare_vae, v, &v->params, &v->weights, &v->dir, err);
    if (!status && dino && !n->o->image_encoder)
        status = fail(err, M2M_EINVAL, "image_encoder: not given, wanted the directory of a DINOv2 encoder");
    if (!status && !dino && n->o->image_encoder)
        status = fail(err, M2M_EINVAL, "image_encoder: %s, but variant self has none", n->o->image_encoder);
    return status || !dino ? status : encoder_model_open(&n->encoder, n->o->image_encoder, true, err);
}

static void close_source(source *s)
{
    paramset_free(s->params);
    weights_close(&s->weights);
    cJSON_Delete(s->json);
    free(s->dir);
    *s = (source){0};
}

/* ---- the U-Net's configuration ---- */

static cJSON *set_attention(const init *n)
{
    const m2m_init_options *o = n->o;
    cJSON *a = cJSON_CreateObject();
    cJSON *clean = n->clean_timestep == CLEAN_TIMESTEP_SAME ? cJSON_CreateString("same")
                                                            : cJSON_CreateNumber(n->clean_timestep);
    bool good = a && cJSON_AddStringToObject(a, "variant", o->variant);
    if (good) good = json_set(a, "clean_timestep", clean);
    else cJSON_Delete(clean);
    good = good && json_set(a, "condition", o->condition ? cJSON_CreateString(o->condition) : cJSON_CreateNull());
    if (good) return a;
    cJSON_Delete(a);
    return NULL;
}

static int make_config(init *n, m2m_error *err)
{
    n->json = cJSON_Duplicate(n->unet.json, true);
    bool good = n->json && json_set(n->json, "_class_name", cJSON_CreateString("M2MUNet")) &&
                json_set(n->json, "image_set_attention", set_attention(n)) &&
                json_set(n->json, "cross_attention_dim", n->encoder.params ? cJSON_CreateNumber(n->encoder.config.width)
                                                                           : cJSON_CreateNull());
    if (!good) return fail(err, M2M_ENOMEM, "no memory for a configuration");
    int status = unet_config_parse(&n->config, n->json, err);
    return status ? fail_prefix(err, status, "%s", n->unet.dir) : 0;
}

/* ---- the U-Net's weights ---- */

static int keep_weight(init *n, param *p, m2m_error *err)
{
    const param *q = paramset_find(n->unet.params, p->name);
    if (!q || !shape_equal(p->shape, q->shape))
        return fail(err, M2M_ESHAPE, "%s: tensor %s is %s, so M2M's can't start from it", n->unet.dir, p->name,
                    q ? "of another shape" : "missing");
    p->data = q->data;
    p->mapped = q->mapped;
    p->type = q->type;
    return 0;
}

static int make_weights(init *n, m2m_error *err)
{
    n->params = paramset_new();
    int status = n->params ? unet_declare(&n->config, n->params, err) : fail(err, M2M_ENOMEM, "no memory for a U-Net");
    for (int i = 0; !status && i < paramset_count(n->params); i++) {
        param *p = paramset_at(n->params, i);
        if (unet_is_cross(p->name)) n->fresh += shape_count(p->shape);
        else status = keep_weight(n, p, err);
    }
    return status ? status : paramset_init(n->params, (uint64_t)n->o->seed, err);
}

/* ---- writing ---- */

/* dir/name/file; the folder is made. To be freed. */
static char *inside(const char *dir, const char *name, const char *file, m2m_error *err)
{
    char *folder = path_join(dir, name), *path = NULL;
    if (!folder) fail(err, M2M_ENOMEM, "no memory for paths");
    else if (!dir_make(folder, err) && !(path = path_join(folder, file))) fail(err, M2M_ENOMEM, "no memory for paths");
    free(folder);
    return path;
}

static int save_json(const cJSON *o, const char *dir, const char *name, const char *file, m2m_error *err)
{
    char *path = inside(dir, name, file, err);
    int status = path ? json_save(o, path, err) : M2M_EIO;
    free(path);
    return status;
}

static int save_component(const init *n, const cJSON *json, const paramset *params, const char *dir, const char *name,
                          m2m_error *err)
{
    int status = save_json(json, dir, name, "config.json", err);
    char *folder = path_join(dir, name);
    if (!status && !folder) status = fail(err, M2M_ENOMEM, "no memory for paths");
    if (!status) status = params_save(params, folder, stored_type(n->o->weights), err);
    free(folder);
    return status;
}

static int copy_into(const char *file, const char *dir, const char *name, m2m_error *err)
{
    char *to = inside(dir, name, path_base(file), err);
    int status = to ? file_copy(file, to, err) : M2M_EIO;
    free(to);
    return status;
}

/* The encoder's files as they are: their sums tell what they are. */
static int copy_encoder(const init *n, const char *dir, m2m_error *err)
{
    const weights *w = n->encoder.weights;
    char *preprocessor = processor_find(n->o->image_encoder, err);
    char *config = path_join(n->encoder.dir, "config.json");
    int status = preprocessor ? copy_into(preprocessor, dir, "feature_extractor", err) : M2M_EIO;
    if (!status) status = config ? copy_into(config, dir, "image_encoder", err) : fail(err, M2M_ENOMEM, "no memory");
    for (int i = 0; i < weights_files(w) && !status; i++)
        status = copy_into(safetensors_path(weights_file(w, i)), dir, "image_encoder", err);
    if (!status && path_ends(weights_path(w), ".json")) status = copy_into(weights_path(w), dir, "image_encoder", err);
    free(preprocessor);
    free(config);
    return status;
}

/* spec 5: DDIM over the schedule that the weights were trained with. */
static int make_schedule(const init *n, cJSON **out, m2m_error *err)
{
    schedule s;
    char *path = path_join(n->from, "scheduler/scheduler_config.json");
    int status = path ? 0 : fail(err, M2M_ENOMEM, "no memory for a path");
    *out = NULL;
    if (!status && !file_exists(n->from)) status = json_load(out, path, err);
    else if (!status && !(*out = ldm_scheduler())) status = fail(err, M2M_ENOMEM, "no memory for a schedule");
    if (!status) {
        cJSON_DeleteItemFromObjectCaseSensitive(*out, "skip_prk_steps");
        bool good = json_set(*out, "_class_name", cJSON_CreateString("DDIMScheduler")) &&
                    json_set(*out, "timestep_spacing", cJSON_CreateString("leading")) &&
                    json_set(*out, "clip_sample", cJSON_CreateFalse());
        status = good ? schedule_from_json(&s, *out, err) : fail(err, M2M_ENOMEM, "no memory for a schedule");
        if (!status) schedule_free(&s);
        else fail_prefix(err, status, "%s", path);
    }
    free(path);
    return status;
}

static bool add_class(cJSON *o, const char *name, const char *library, const char *class_name)
{
    cJSON *pair = cJSON_CreateStringArray((const char *const[]){library, class_name}, 2);
    return json_set(o, name, pair);
}

static cJSON *make_index(bool dino)
{
    cJSON *o = cJSON_CreateObject();
    bool good = o && cJSON_AddStringToObject(o, "_class_name", "M2MPipeline") &&
                add_class(o, "scheduler", "diffusers", "DDIMScheduler") && add_class(o, "unet", "m2m", "M2MUNet") &&
                add_class(o, "vae", "diffusers", "AutoencoderKL");
    if (good && dino)
        good = add_class(o, "image_encoder", "transformers", "Dinov2Model") &&
               add_class(o, "feature_extractor", "transformers", "BitImageProcessor");
    if (good) return o;
    cJSON_Delete(o);
    return NULL;
}

static int write_all(const init *n, const char *dir, m2m_error *err)
{
    cJSON *index = make_index(n->encoder.params != NULL), *steps = NULL;
    int status = index ? save_json(index, dir, ".", "model_index.json", err) : fail(err, M2M_ENOMEM, "no memory");
    if (!status) status = make_schedule(n, &steps, err);
    if (!status) status = save_json(steps, dir, "scheduler", "scheduler_config.json", err);
    if (!status) status = save_component(n, n->vae.json, n->vae.params, dir, "vae", err);
    if (!status && n->encoder.params) status = copy_encoder(n, dir, err);
    if (!status) status = save_component(n, n->json, n->params, dir, "unet", err);
    cJSON_Delete(index);
    cJSON_Delete(steps);
    return status;
}

/* ---- the interface ---- */

static int read_clean_timestep(init *n, m2m_error *err)
{
    const char *text = n->o->clean_timestep;
    char *end;
    long value = strtol(text, &end, 10);
    n->clean_timestep = CLEAN_TIMESTEP_SAME;
    if (!strcmp(text, "same")) return 0;
    n->clean_timestep = (int)value;
    if (*text >= '0' && *text <= '9' && !*end && value >= 0 && value <= 999) return 0;
    return fail(err, M2M_EINVAL, "clean_timestep: %s, wanted 0..999 or same", text);
}

static void tell(const init *n, const char *dir, const m2m_calls *calls)
{
    char text[600], size[TEXT_SIZE];
    if (!calls || !calls->line) return;
    snprintf(text, sizeof text, "%s: %lld of %lld parameters of the U-Net start from scratch (attn2), %s", dir,
             (long long)n->fresh, (long long)paramset_elements(n->params),
             bytes_text((int64_t)paramset_elements(n->params) * (int64_t)dtype_size(stored_type(n->o->weights)), size,
                        sizeof size));
    calls->line(calls->user, text);
}

static int run(init *n, const char *dir, const m2m_calls *calls, m2m_error *err)
{
    dir_out out;
    int status = opts_check(m2m_options("init"), n->o, err);
    if (!status) status = read_clean_timestep(n, err);
    if (!status) status = dir_out_open(&out, dir, err);
    if (status) return status;
    status = open_sources(n, err);
    if (!status) status = make_config(n, err);
    if (!status) status = make_weights(n, err);
    if (!status) status = write_all(n, out.beside, err);
    if (status) dir_out_abandon(&out);
    else status = dir_out_commit(&out, err);
    if (!status) tell(n, dir, calls);
    return status;
}

int m2m_init(const char *from, const char *dir, const m2m_init_options *options, const m2m_calls *calls, m2m_error *err)
{
    init n = {.from = from, .o = options};
    int status = run(&n, dir, calls, err);
    paramset_free(n.params);
    cJSON_Delete(n.json);
    close_source(&n.unet);
    close_source(&n.vae);
    encoder_model_close(&n.encoder);
    return status;
}
