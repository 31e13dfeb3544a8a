/* What a model's own files recommend for m2m_generate: generation_config.json (transformers' name for such a file), and
 * a text-to-image directory's sampler. */
#include "lib/defaults.h"

#include "base/file.h"
#include "base/json.h"
#include "base/opts.h"
#include "diffusion/guide.h"
#include "models/ldm.h"

#include <stdlib.h>
#include <string.h>

/* A model comes from outside: it may choose among what the options offer, but name no files. */
static int refuse_free_texts(const cJSON *config, m2m_error *err)
{
    for (const cJSON *item = config->child; item; item = item->next) {
        const m2m_option *row = opts_find(m2m_options("generate"), item->string);
        bool interval = row && !strcmp(row->name, "guidance_interval");    /* checked beforehand */
        if (row && row->type == M2M_OPTION_TEXT && !row->choices && !interval)
            return fail(err, M2M_EUNSUPPORTED, "%s: is the user's choice; wanted numbers, choices, guidance_interval",
                        row->name);
    }
    return 0;
}

static int check_values(const m2m_generate_options *o, m2m_error *err)
{
    guide_interval interval;
    int status = guide_interval_parse(o->guidance_interval, &interval, err);
    if (!status && o->window > 0 && o->anchors > o->window)
        status = fail(err, M2M_EINVAL, "anchors: %lld with window %lld, wanted at most as many", (long long)o->anchors,
                      (long long)o->window);
    return status;
}

int defaults_load(cJSON **config, const char *dir, m2m_error *err)
{
    m2m_generate_options probe;
    char *path = path_join(dir, "generation_config.json");
    *config = NULL;
    if (!path) return fail(err, M2M_ENOMEM, "%s: no memory for a path", dir);
    int status = file_exists(path) ? json_load(config, path, err) : 0;
    m2m_generate_defaults(&probe);
    if (!status && *config) {
        status = opts_from_json(m2m_options("generate"), &probe, *config, err);
        if (!status) status = check_values(&probe, err);
        if (!status) status = refuse_free_texts(*config, err);
        if (status) fail_prefix(err, status, "%s", path);
    }
    if (status) {
        cJSON_Delete(*config);
        *config = NULL;
    }
    free(path);
    return status;
}

/* diffusers' class of a scheduler -> our sampler; NULL: none of ours. */
static const char *sampler_of(const char *class_name)
{
    static const char *const classes[][2] = {
        {"DDIMScheduler", "ddim"},
        {"PNDMScheduler", "pndm"},
        {"EulerDiscreteScheduler", "euler"},
        {"EulerAncestralDiscreteScheduler", "euler_ancestral"},
        {"DPMSolverMultistepScheduler", "dpmpp_2m"},
    };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (!strcmp(class_name, classes[i][0])) return classes[i][1];
    return NULL;
}

const char *defaults_sampler(const char *dir)
{
    cJSON *config = NULL;
    const char *class_name = "", *sampler = NULL;
    char *path = path_join(dir, "scheduler/scheduler_config.json");
    if (file_exists(dir)) config = ldm_scheduler();
    else if (path && file_exists(path) && json_load(&config, path, NULL)) config = NULL;
    if (config && !json_or_text(config, "_class_name", &class_name, NULL)) sampler = sampler_of(class_name);
    cJSON_Delete(config);
    free(path);
    return sampler;
}

void m2m_model_defaults(const m2m_model *model, m2m_generate_options *options)
{
    m2m_generate_defaults(options);
    if (model->sampler) options->scheduler = model->sampler;
    if (!model->defaults) return;
    int status = opts_from_json(m2m_options("generate"), options, model->defaults, NULL);
    check(!status, "generation_config.json of %s was checked when the model was opened", model->dir);
}
