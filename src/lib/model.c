#include "lib/model.h"

#include "base/file.h"
#include "base/json.h"
#include "lib/defaults.h"
#include "models/ldm.h"
#include "models/m2m.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char embedded_name[] = "emoji";    /* models/emoji: what works with no download */

/* ---- finding ---- */

/* dir + "/" + up + "/models/emoji", if there is a model; new string. */
static char *model_below(const char *dir, const char *up)
{
    char *path, *index = NULL;
    if (asprintf(&path, "%s/%s/%s", dir, up, embedded_name) < 0) return NULL;
    index = path_join(path, "model_index.json");
    bool found = index && file_exists(index);
    free(index);
    if (found) return path;
    free(path);
    return NULL;
}

/* Beside the program as installed (bin/../share/m2m/models), as built (build/X/../../models), or where CMake
 * installs. */
static char *find_embedded(m2m_error *err)
{
    static const char *const below[] = {"../share/m2m/models", "../../models", "../models", "models"};
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    char *found = NULL;
    if (n > 0) {
        exe[n] = '\0';
        char *slash = strrchr(exe, '/');
        if (slash) *slash = '\0';
        for (size_t i = 0; !found && i < sizeof below / sizeof *below; i++) found = model_below(exe, below[i]);
    }
    if (!found) found = model_below(M2M_INSTALL_DATA, "models");
    if (!found) found = model_below(M2M_SOURCE_DATA, "models");
    if (!found)
        fail(err, M2M_EIO, "no embedded model: models/%s is neither near the program nor in %s", embedded_name,
             M2M_INSTALL_DATA);
    return found;
}

/* ---- the pipeline's files ---- */

int pipeline_class(const char *dir, char *class_name, size_t size, m2m_error *err)
{
    cJSON *o;
    const char *class;
    if (file_exists(dir)) {                       // a single-file checkpoint; its components will tell if it is none
        snprintf(class_name, size, "%s", "StableDiffusionPipeline");
        return 0;
    }
    char *path = path_join(dir, "model_index.json");
    if (!path) return fail(err, M2M_ENOMEM, "%s: no memory for a path", dir);
    int status = json_load(&o, path, err);
    if (!status) {
        status = json_text(o, "_class_name", &class, err);
        if (!status) snprintf(class_name, size, "%s", class);
        else fail_prefix(err, status, "%s", path);
        cJSON_Delete(o);
    }
    free(path);
    return status;
}

static int file_schedule(schedule *s, m2m_error *err)
{
    cJSON *config = ldm_scheduler();
    int status = config ? schedule_from_json(s, config, err) : fail(err, M2M_ENOMEM, "no memory for a schedule");
    cJSON_Delete(config);
    return status;
}

int pipeline_schedule(schedule *s, const char *dir, m2m_error *err)
{
    if (file_exists(dir)) return file_schedule(s, err);
    char *inside = path_join(dir, "scheduler/scheduler_config.json");
    char *beside = path_join(dir, "../scheduler/scheduler_config.json");
    int status = M2M_ENOMEM;
    if (inside && beside) status = schedule_load(s, file_exists(inside) || !file_exists(beside) ? inside : beside, err);
    else fail(err, M2M_ENOMEM, "%s: no memory for a path", dir);
    free(inside);
    free(beside);
    return status;
}

/* ---- opening ---- */

static int context_bytes_of(const m2m_model *m, int side, int length, int64_t *bytes, m2m_error *err)
{
    clean_graph t;
    *bytes = 0;
    if (m->unet.config.variant == SET_NONE) return 0;
    int status = clean_graph_build(&t, &m->unet.config, m->unet.params, side, side, length, err);
    if (!status) *bytes = (int64_t)cross_bytes_per_image(&t.c);
    clean_graph_free(&t);
    return status;
}

static int measure(m2m_model *m, m2m_error *err)
{
    static const char *const kinds[] = {[SET_NONE] = "text-to-image", [SET_SELF] = "m2m-self", [SET_DINO] = "m2m-dino"};
    set_variant variant = m->unet.config.variant;
    int64_t context;
    int side = model_latent_side(m), f = vae_factor(&m->vae.config), length = model_tokens(m, side * f, side * f);
    size_t bytes = paramset_bytes(m->unet.params) + paramset_bytes(m->vae.params);
    if (variant == SET_DINO) bytes += paramset_bytes(m->vision.encoder.params);
    if (variant == SET_NONE) bytes += paramset_bytes(m->text.params);
    int status = context_bytes_of(m, side, length, &context, err);
    if (!status)
        m->facts = (m2m_model_facts){
            .dir = m->dir, .kind = kinds[variant],
            .parameters = paramset_elements(m->unet.params),
            .weight_bytes = (int64_t)bytes,
            .width = side * f, .height = side * f,
            .latent_channels = m->vae.config.latent_channels, .latent_factor = f,
            .context_bytes = context,
        };
    return status;
}

void model_keep_small(paramset *params, const paramset *beside)
{
    bool large = paramset_bytes(beside) > (size_t)512 << 20;
    for (int i = 0; i < paramset_count(params); i++) {
        param *p = paramset_at(params, i);
        if (large && p->type != DT_F32 && p->mapped) p->compact = true;
    }
}

static int open_text(m2m_model *m, m2m_error *err)
{
    char *dir = tokenizer_dir(m->dir);
    int status = dir ? tokenizer_open(&m->tokenizer, dir, err) : fail(err, M2M_ENOMEM, "no memory for a path");
    free(dir);
    if (!status) status = text_model_open(&m->text, m->dir, true, err);
    if (!status) model_keep_small(m->text.params, m->text.params);
    if (!status && m->text.config.width != m->unet.config.cross_dim)
        status = fail(err, M2M_ESHAPE, "%s: the U-Net takes text states %d wide, the text encoder gives %d", m->dir,
                      m->unet.config.cross_dim, m->text.config.width);
    return status;
}

/* What the images are made from. */
static int open_condition(m2m_model *m, bool text, m2m_error *err)
{
    set_variant variant = m->unet.config.variant;
    if (text != (variant == SET_NONE))
        return fail(err, M2M_EUNSUPPORTED, "%s: its U-Net has %s image_set_attention, but its _class_name is %s",
                    m->dir, text ? "an" : "no", text ? "StableDiffusionPipeline" : "M2MPipeline");
    if (variant == SET_DINO) return vision_open(&m->vision, m->dir, true, m->unet.config.cross_dim, err);
    return text ? open_text(m, err) : 0;
}

static int open_parts(m2m_model *m, m2m_error *err)
{
    char class_name[64];
    int status = pipeline_class(m->dir, class_name, sizeof class_name, err);
    bool text = !status && !strcmp(class_name, "StableDiffusionPipeline");
    if (!status && !text && strcmp(class_name, "M2MPipeline"))
        status = fail(err, M2M_EUNSUPPORTED, "%s: _class_name is %s, wanted M2MPipeline or StableDiffusionPipeline",
                      m->dir, class_name);
    if (!status) status = unet_model_open(&m->unet, m->dir, true, err);
    if (!status) model_keep_small(m->unet.params, m->unet.params);
    if (!status) status = open_condition(m, text, err);
    if (!status) status = vae_model_open(&m->vae, m->dir, true, err);
    if (!status) model_keep_small(m->vae.params, m->unet.params);
    if (!status) status = pipeline_schedule(&m->schedule, m->dir, err);
    if (!status && m->unet.config.in_channels != m->vae.config.latent_channels)
        status = fail(err, M2M_ESHAPE, "%s: the U-Net takes %d channels, the VAE gives %d", m->dir,
                      m->unet.config.in_channels, m->vae.config.latent_channels);
    if (!status) status = defaults_load(&m->defaults, m->dir, err);
    if (text) m->sampler = defaults_sampler(m->dir);
    return status ? status : measure(m, err);
}

int m2m_model_open(m2m_model **model, const char *dir, m2m_error *err)
{
    m2m_model *m = calloc(1, sizeof *m);
    if (!m) return fail(err, M2M_ENOMEM, "no memory for a model");
    pthread_mutex_init(&m->lock, NULL);
    m->dir = dir ? strdup(dir) : find_embedded(err);
    int status = m->dir ? 0 : dir ? fail(err, M2M_ENOMEM, "no memory for a model") : M2M_EIO;
    if (!status && !dir_exists(m->dir) && !file_exists(m->dir))
        status = fail(err, M2M_EIO, "%s: not there, wanted a model's directory or a checkpoint", m->dir);
    if (!status) status = open_parts(m, err);
    if (status) m2m_model_close(&m);
    else *model = m;
    return status;
}

void m2m_model_close(m2m_model **model)
{
    m2m_model *m = model ? *model : NULL;
    if (!m) return;
    unet_model_close(&m->unet);
    vae_model_close(&m->vae);
    vision_close(&m->vision);
    text_model_close(&m->text);
    tokenizer_close(&m->tokenizer);
    schedule_free(&m->schedule);
    cJSON_Delete(m->defaults);
    pthread_mutex_destroy(&m->lock);
    free(m->dir);
    free(m);
    *model = NULL;
}

int model_tokens(const m2m_model *m, int width, int height)
{
    return m->unet.config.variant == SET_DINO ? vision_tokens(&m->vision, width, height) : 0;
}

int text_length(const tokenizer *t, const text_model *m)
{
    int most = m->config.positions, wanted = tokenizer_max_length(t);
    return wanted && wanted < most ? wanted : most;
}

int model_latent_side(const m2m_model *m) { return m->unet.config.sample_size; }

void m2m_model_get_facts(const m2m_model *model, m2m_model_facts *facts)
{
    *facts = model->facts;
}

const char *m2m_model_sha256(const m2m_model *model)
{
    m2m_model *m = (m2m_model *)model;    /* the sum is part of what the model is; only when it is known changes */
    pthread_mutex_lock(&m->lock);
    if (!*m->sha256) weights_identity(m->unet.weights, m->sha256);
    pthread_mutex_unlock(&m->lock);
    return m->sha256;
}
