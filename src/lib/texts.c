/* The record of how an image was made, as texts for its PNG (formats.md 5; docs/formats.md says what each key means):
 * `parameters` in the form of AUTOMATIC1111's web UI, which many programs read, and `m2m`, JSON with what is needed to
 * make that image again alone: image k depends on the seed, on k, and on the images in its context. */
#include "m2m_train.h"

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/str.h"
#include "diffusion/context.h"
#include "m2m_version.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct record {
    const m2m_model *model;
    const m2m_generate_options *options;
    m2m_model_facts facts;
    const m2m_image *given, *made;
    int n_given, index;
} record;

static const char *sampler_name(const char *scheduler)
{
    if (!strcmp(scheduler, "ddim")) return "DDIM";
    if (!strcmp(scheduler, "euler")) return "Euler";
    if (!strcmp(scheduler, "euler_ancestral")) return "Euler a";
    if (!strcmp(scheduler, "dpmpp_2m")) return "DPM++ 2M";
    if (!strcmp(scheduler, "pndm")) return "PLMS";
    return scheduler;
}

/* A1111 quotes a value that would break its list. */
static void add_value(str *s, const char *key, const char *value)
{
    str_printf(s, ", %s: ", key);
    if (strpbrk(value, ",:\n\"")) str_json(s, value);
    else str_add(s, value);
}

static char *parameters_text(const record *r)
{
    str s = {0};
    const m2m_generate_options *o = r->options;
    const m2m_image *img = &r->made[r->index];
    if (o->prompt) str_printf(&s, "%s\n", o->prompt);
    if (o->negative_prompt && *o->negative_prompt) str_printf(&s, "Negative prompt: %s\n", o->negative_prompt);
    str_printf(&s, "Steps: %lld", (long long)o->steps);
    add_value(&s, "Sampler", sampler_name(o->scheduler));
    str_add(&s, ", CFG scale: ");
    str_number(&s, o->guidance);
    str_printf(&s, ", Seed: %lld, Size: %dx%d, Model hash: %.10s", (long long)o->seed, img->width, img->height,
               m2m_model_sha256(r->model));
    add_value(&s, "Model", path_base(r->facts.dir));
    if (strcmp(o->rng, "m2m")) add_value(&s, "RNG", o->rng);
    str_add(&s, ", Version: m2m " M2M_VERSION_TEXT);
    return str_take(&s);
}

static bool add_context_image(cJSON *list, const m2m_image *img, const char *role)
{
    char hash[SHA256_HEX];
    sha256_of(img->data, (size_t)img->width * (size_t)img->height * (size_t)img->channels, hash);
    cJSON *item = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(list, item)) {
        cJSON_Delete(item);
        return false;
    }
    return cJSON_AddStringToObject(item, "sha256", hash) && cJSON_AddStringToObject(item, "role", role);
}

/* What this image looked at, of the given images followed by the made ones before this. */
static bool add_context(cJSON *o, const record *r)
{
    cJSON *list = cJSON_AddArrayToObject(o, "context");
    if (r->options->prompt) return list != NULL;          /* images from a prompt don't look at each other */
    int window = context_window((int)r->options->window, r->n_given), *index = malloc((size_t)window * sizeof *index);
    bool good = list && index;
    int n = good ? context_choose(r->n_given + r->index, r->n_given, window, (int)r->options->anchors, index) : 0;
    for (int i = 0; i < n && good; i++) {
        bool user = index[i] < r->n_given;
        const m2m_image *img = user ? &r->given[index[i]] : &r->made[index[i] - r->n_given];
        good = img->data && add_context_image(list, img, user ? "user" : "generated");
    }
    free(index);
    return good;
}

/* Replay from tensors: the files' hashes stand in the place of images and seed. */
static int add_file_hash(cJSON *o, const char *key, const char *path, m2m_error *err)
{
    char hash[SHA256_HEX];
    int status = path ? sha256_of_file(path, hash, err) : 0;
    if (status) return status;
    cJSON *added = path ? cJSON_AddStringToObject(o, key, hash) : cJSON_AddNullToObject(o, key);
    return added ? 0 : fail(err, M2M_ENOMEM, "no memory for an image's record");
}

static bool add_facts(cJSON *o, const record *r)
{
    const m2m_generate_options *q = r->options;
    char size[32];
    snprintf(size, sizeof size, "%dx%d", r->made[r->index].width, r->made[r->index].height);
    cJSON *const added[] = {
        cJSON_AddStringToObject(o, "version", M2M_VERSION_TEXT),
        cJSON_AddStringToObject(o, "commit", M2M_COMMIT_TEXT),
        cJSON_AddStringToObject(o, "model", path_base(r->facts.dir)),
        cJSON_AddStringToObject(o, "model_sha256", m2m_model_sha256(r->model)),
        cJSON_AddStringToObject(o, "variant", r->facts.kind),
        cJSON_AddNumberToObject(o, "seed", (double)q->seed),
        cJSON_AddStringToObject(o, "rng", q->rng),
        cJSON_AddNumberToObject(o, "index", r->index),
        cJSON_AddStringToObject(o, "sampler", q->scheduler),
        cJSON_AddNumberToObject(o, "steps", (double)q->steps),
        cJSON_AddNumberToObject(o, "guidance", q->guidance),
        cJSON_AddNumberToObject(o, "window", context_window((int)q->window, r->n_given)),
        q->guidance_interval ? cJSON_AddStringToObject(o, "guidance_interval", q->guidance_interval)
                             : cJSON_AddNullToObject(o, "guidance_interval"),
        cJSON_AddNumberToObject(o, "guidance_rescale", q->guidance_rescale),
        cJSON_AddNumberToObject(o, "deepcache", (double)q->deepcache),
        cJSON_AddNumberToObject(o, "anchors", (double)q->anchors),
        cJSON_AddNumberToObject(o, "context_noise", (double)q->context_noise),
        q->condition_guidance < 0 ? cJSON_AddNullToObject(o, "condition_guidance")
                                  : cJSON_AddNumberToObject(o, "condition_guidance", q->condition_guidance),
        q->prompt ? cJSON_AddStringToObject(o, "prompt", q->prompt) : cJSON_AddNullToObject(o, "prompt"),
        q->negative_prompt ? cJSON_AddStringToObject(o, "negative_prompt", q->negative_prompt)
                           : cJSON_AddNullToObject(o, "negative_prompt"),
        q->camera ? cJSON_AddStringToObject(o, "camera", q->camera) : cJSON_AddNullToObject(o, "camera"),
        q->position < 0 ? cJSON_AddNullToObject(o, "position")
                        : cJSON_AddNumberToObject(o, "position", (double)q->position),
        q->given_position < 0 ? cJSON_AddNullToObject(o, "given_position")
                              : cJSON_AddNumberToObject(o, "given_position", (double)q->given_position),
        cJSON_AddStringToObject(o, "size", size),
        cJSON_AddStringToObject(o, "fit", q->fit),
        cJSON_AddStringToObject(o, "background", q->background),
        cJSON_AddStringToObject(o, "backend", q->device),
        cJSON_AddBoolToObject(o, "exact", q->exact != 0),
        cJSON_AddBoolToObject(o, "fast", q->fast != 0),
        cJSON_AddBoolToObject(o, "int8", q->int8 != 0),
    };
    for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
        if (!added[i]) return false;
    }
    return add_context(o, r);
}

static char *m2m_json(const record *r, m2m_error *err)
{
    cJSON *o = cJSON_CreateObject();
    char *text = NULL;
    if (!o || !add_facts(o, r)) fail(err, M2M_ENOMEM, "no memory for an image's record");
    else if (!add_file_hash(o, "latents", r->options->latents, err) &&
             !add_file_hash(o, "noise", r->options->noise, err))
        text = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    return text;
}

int m2m_generate_texts(const m2m_model *model, const m2m_image *given, int n_given,
                       const m2m_generate_options *options, int index, const m2m_image *made, m2m_text texts[2],
                       m2m_error *err)
{
    record r = {.model = model, .options = options, .given = given, .made = made, .n_given = n_given, .index = index};
    if (index < 0 || index >= options->n || !made[index].data)
        return fail(err, M2M_EINVAL, "image %d is not made: it has no record", index);
    m2m_model_get_facts(model, &r.facts);
    m2m_error own = {.code = M2M_ENOMEM, .msg = "no memory for an image's record"};
    char *parameters = parameters_text(&r), *json = m2m_json(&r, &own);
    if (!parameters || !json) {
        free(parameters);
        free(json);
        return fail(err, own.code, "%s", own.msg);
    }
    texts[0] = (m2m_text){"parameters", parameters};
    texts[1] = (m2m_text){"m2m", json};
    return 0;
}

void m2m_text_free(m2m_text *texts, int n)
{
    for (int i = 0; texts && i < n; i++) {
        free((char *)(uintptr_t)texts[i].text);
        texts[i] = (m2m_text){0};
    }
}
