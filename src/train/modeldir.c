#include "train/modeldir.h"

#include "base/file.h"
#include "base/json.h"
#include "models/component.h"
#include "models/contrast.h"
#include "models/processor.h"

#include <stdlib.h>
#include <string.h>

static bool has_word(const char *name, const char *words)
{
    while (*words) {
        size_t n = strcspn(words, ",");
        if (n && memmem(name, strlen(name), words, n)) return true;
        words += n + (words[n] == ',');
    }
    return false;
}

int params_prepare(paramset *params, uint64_t seed, const char *only, m2m_error *err)
{
    int trained = 0, status = paramset_init(params, seed, err);
    for (int i = 0; i < paramset_count(params) && !status; i++) {
        param *p = paramset_at(params, i);
        p->trainable = !only || has_word(p->name, only);
        p->transient = true;
        trained += p->trainable;
        if (p->trainable || p->type != DT_F32) status = param_own_f32(p, err);
    }
    if (!status && !trained)
        status = fail(err, M2M_EINVAL, "train_only: no parameter's name contains a word of %s", only);
    return status;
}

exec *task_exec(graph *g, backend *be, node *const *more, int n, const paramset *params, node *const *grads,
                m2m_error *err)
{
    int count = 0;
    node **outputs = malloc((size_t)(n + paramset_count(params)) * sizeof *outputs);
    if (!outputs) return fail(err, M2M_ENOMEM, "no memory for outputs"), NULL;
    for (int i = 0; i < n; i++) outputs[count++] = more[i];
    for (int i = 0; grads && i < paramset_count(params); i++)
        if (grads[i]) outputs[count++] = grads[i];
    exec *x = exec_new(g, be, outputs, count, err);
    free(outputs);
    return x;
}

/* Copies from/name to dir/name; a file that is not there is fine. */
static int copy_named(const char *from, const char *dir, const char *name, m2m_error *err)
{
    char *a = path_join(from, name), *b = path_join(dir, name);
    int status = a && b ? 0 : fail(err, M2M_ENOMEM, "no memory for paths");
    if (!status && file_exists(a)) status = file_copy(a, b, err);
    free(a);
    free(b);
    return status;
}

static int make_inside(const char *dir, const char *name, char **path, m2m_error *err)
{
    *path = path_join(dir, name);
    return *path ? dir_make(*path, err) : fail(err, M2M_ENOMEM, "no memory for paths");
}

/* from/name -> to/name with member `key` of its object `inside` (NULL: of itself) set to value, which is taken; without
 * that object, and without a value, as it is. */
static int copy_config(const char *from, const char *to, const char *name, const char *inside, const char *key,
                       cJSON *value, m2m_error *err)
{
    char *source = path_join(from, name), *target = path_join(to, name);
    cJSON *config = NULL;
    int status = source && target ? json_load(&config, source, err) : fail(err, M2M_ENOMEM, "no memory for paths");
    cJSON *o = config && inside ? cJSON_GetObjectItemCaseSensitive(config, inside) : config;
    if (!status && o && value) {
        cJSON_DeleteItemFromObjectCaseSensitive(o, key);
        if (!cJSON_AddItemToObject(o, key, value)) status = fail(err, M2M_ENOMEM, "no memory for %s", name);
        else value = NULL;
    }
    if (!status) status = json_save(config, target, err);
    cJSON_Delete(value);
    cJSON_Delete(config);
    free(source);
    free(target);
    return status;
}

int modeldir_save_vae(const char *dir, const char *from, const paramset *params, double scale, dtype stored,
                      m2m_error *err)
{
    char *inside = NULL;
    cJSON *value = cJSON_CreateNumber(scale);
    int status = value ? make_inside(dir, "vae", &inside, err) : fail(err, M2M_ENOMEM, "no memory for config.json");
    if (!status) status = copy_config(from, inside, "config.json", NULL, "scaling_factor", value, err);
    else cJSON_Delete(value);
    if (!status) status = params_save(params, inside, stored, err);
    free(inside);
    return status;
}

static int copy_folder(const char *from, const char *dir, const char *name, const char *const *files, int n,
                       m2m_error *err)
{
    char *to = NULL;
    int status = make_inside(dir, name, &to, err);
    for (int i = 0; i < n && !status; i++) status = copy_named(from, to, files[i], err);
    free(to);
    return status;
}

/* All files of the folder `source`, if it is there, to `target`; those that are there already in their size stay. */
static int copy_all(const char *source, const char *target, m2m_error *err)
{
    char **names = NULL;
    int n = 0, status = 0;
    if (dir_exists(source)) {
        status = dir_make(target, err);
        if (!status) status = dir_list(source, &names, &n, err);
    }
    for (int i = 0; i < n && !status; i++) {
        char *a = path_join(source, names[i]), *b = path_join(target, names[i]);
        if (!a || !b) status = fail(err, M2M_ENOMEM, "no memory for paths");
        else if (file_exists(a) && file_size(a) != file_size(b)) status = file_copy(a, b, err);
        free(a);
        free(b);
    }
    names_free(&names, n);
    return status;
}

static int copy_part(const char *from, const char *dir, const char *name, m2m_error *err)
{
    char *source = path_join(from, name), *target = path_join(dir, name);
    int status = source && target ? copy_all(source, target, err) : fail(err, M2M_ENOMEM, "no memory for paths");
    free(source);
    free(target);
    return status;
}

/* The schedule of `from` with the prediction that was trained. */
static int save_schedule(const char *from, const char *dir, prediction predicted, m2m_error *err)
{
    char *scheduler = path_join(from, "scheduler"), *to = NULL;
    int status = scheduler ? make_inside(dir, "scheduler", &to, err) : fail(err, M2M_ENOMEM, "no memory for paths");
    if (!status)
        status = copy_config(scheduler, to, "scheduler_config.json", NULL, "prediction_type",
                             cJSON_CreateString(prediction_types[predicted]), err);
    free(scheduler);
    free(to);
    return status;
}

int modeldir_save_m2m(const char *dir, const char *from, const char *vae_dir, const paramset *unet,
                      set_condition condition, prediction predicted, dtype stored, m2m_error *err)
{
    static const char *const vae[] = {"config.json", "diffusion_pytorch_model.safetensors"};
    char *unet_from = component_dir(from, "unet"), *inside = NULL;
    int status = unet_from ? dir_make(dir, err) : fail(err, M2M_ENOMEM, "no memory for paths");
    if (!status) status = copy_named(from, dir, "model_index.json", err);
    if (!status) status = copy_folder(vae_dir, dir, "vae", vae, 2, err);
    if (!status) status = copy_part(from, dir, "image_encoder", err);
    if (!status) status = copy_part(from, dir, "feature_extractor", err);
    if (!status) status = make_inside(dir, "unet", &inside, err);
    cJSON *trained = condition == CONDITION_NONE ? NULL : cJSON_CreateString(condition_name(condition));
    if (!status)
        status = copy_config(unet_from, inside, "config.json", "image_set_attention", "condition", trained, err);
    else cJSON_Delete(trained);
    if (!status) status = save_schedule(from, dir, predicted, err);
    if (!status) status = params_save(unet, inside, stored, err);
    free(unet_from);
    free(inside);
    return status;
}

/* ---- text-to-image ---- */

static bool add_class(cJSON *o, const char *name, const char *library, const char *class_name)
{
    cJSON *pair = cJSON_CreateArray();
    cJSON *first = library ? cJSON_CreateString(library) : cJSON_CreateNull();
    cJSON *second = class_name ? cJSON_CreateString(class_name) : cJSON_CreateNull();
    bool good = pair && cJSON_AddItemToArray(pair, first);
    if (!good) cJSON_Delete(first);
    if (!good || !cJSON_AddItemToArray(pair, second)) {
        cJSON_Delete(second);
        cJSON_Delete(pair);
        return false;
    }
    return json_set(o, name, pair);
}

/* scheduler: the file whose _class_name it names. */
static int save_index(const char *dir, const char *scheduler, m2m_error *err)
{
    cJSON *o = cJSON_CreateObject(), *steps = NULL;
    const char *class_name = "DDIMScheduler";
    char *path = path_join(dir, "model_index.json");
    int status = o && path ? json_load(&steps, scheduler, err) : fail(err, M2M_ENOMEM, "no memory for paths");
    if (!status) status = json_or_text(steps, "_class_name", &class_name, err);
    bool good = !status && cJSON_AddStringToObject(o, "_class_name", "StableDiffusionPipeline") &&
                add_class(o, "feature_extractor", NULL, NULL) && add_class(o, "safety_checker", NULL, NULL) &&
                cJSON_AddFalseToObject(o, "requires_safety_checker") &&
                add_class(o, "scheduler", "diffusers", class_name) &&
                add_class(o, "text_encoder", "transformers", "CLIPTextModel") &&
                add_class(o, "tokenizer", "transformers", "CLIPTokenizer") &&
                add_class(o, "unet", "diffusers", "UNet2DConditionModel") &&
                add_class(o, "vae", "diffusers", "AutoencoderKL");
    if (!status) status = good ? json_save(o, path, err) : fail(err, M2M_ENOMEM, "no memory for model_index.json");
    cJSON_Delete(o);
    cJSON_Delete(steps);
    free(path);
    return status;
}

static int save_text_unet(const char *from, const char *inside, int width, m2m_error *err)
{
    char *folder = component_dir(from, "unet"), *source = folder ? path_join(folder, "config.json") : NULL;
    char *target = path_join(inside, "config.json");
    cJSON *config = NULL;
    int status = source && target ? json_load(&config, source, err) : fail(err, M2M_ENOMEM, "no memory for paths");
    if (!status) status = unet_json_for_text(config, width, err);
    if (!status) status = json_save(config, target, err);
    cJSON_Delete(config);
    free(folder);
    free(source);
    free(target);
    return status;
}

/* Weights that are there already stay: they don't change. */
static int save_text_encoder(const char *dir, const text_parts *p, m2m_error *err)
{
    char *inside = NULL, *source = path_join(p->text_encoder, "config.json"), *target = NULL, *file = NULL;
    cJSON *config = NULL;
    int status = source ? make_inside(dir, "text_encoder", &inside, err) : fail(err, M2M_ENOMEM, "no memory for paths");
    if (!status) status = json_load(&config, source, err);
    if (!status) {
        target = path_join(inside, "config.json");
        file = path_join(inside, "model.safetensors");
        cJSON_DeleteItemFromObjectCaseSensitive(config, "torch_dtype");
        if (!target || !file || !json_set(config, "dtype", cJSON_CreateString("float32")))
            status = fail(err, M2M_ENOMEM, "no memory for config.json");
    }
    if (!status) status = json_save(config, target, err);
    if (!status && !file_exists(file)) status = params_save_chosen(p->text, NULL, file, DT_F32, err);
    cJSON_Delete(config);
    free(inside);
    free(source);
    free(target);
    free(file);
    return status;
}

static int copy_parts(const char *dir, const text_parts *p, m2m_error *err)
{
    static const char *const tokenizer[] = {"vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json",
                                            "special_tokens_map.json", "added_tokens.json"};
    char *vae = path_join(dir, "vae");
    int status = vae ? copy_all(p->vae, vae, err) : fail(err, M2M_ENOMEM, "no memory for paths");
    if (!status) status = save_text_encoder(dir, p, err);
    if (!status)
        status = copy_folder(p->tokenizer, dir, "tokenizer", tokenizer, sizeof tokenizer / sizeof *tokenizer, err);
    free(vae);
    return status;
}

int modeldir_save_text(const char *dir, const text_parts *parts, const paramset *unet, dtype stored, m2m_error *err)
{
    char *inside = NULL, *scheduler = path_join(dir, "scheduler/scheduler_config.json");
    int status = scheduler ? dir_make(dir, err) : fail(err, M2M_ENOMEM, "no memory for paths");
    if (!status) status = copy_parts(dir, parts, err);
    if (!status) status = save_schedule(parts->from, dir, parts->predicted, err);
    if (!status) status = save_index(dir, scheduler, err);
    if (!status) status = make_inside(dir, "unet", &inside, err);
    if (!status) status = save_text_unet(parts->from, inside, parts->width, err);
    if (!status) status = params_save(unet, inside, stored, err);
    free(inside);
    free(scheduler);
    return status;
}

/* ---- transformers' folders ---- */

static bool is_of_text(const char *name) { return !strncmp(name, "text_model.", 11); }
static bool is_of_encoder(const char *name)
{
    return strncmp(name, CONTRAST_HEAD_PREFIX, strlen(CONTRAST_HEAD_PREFIX)) != 0;
}

/* The texts of a model's folder: configuration, preprocessing, tokenizer. */
static int copy_texts(const char *from, const char *dir, m2m_error *err)
{
    char **names = NULL;
    int n = 0, status = dir_make(dir, err);
    if (!status) status = dir_list(from, &names, &n, err);
    for (int i = 0; i < n && !status; i++)
        if ((path_ends(names[i], ".json") || path_ends(names[i], ".txt")) && !strstr(names[i], "safetensors"))
            status = copy_named(from, dir, names[i], err);
    names_free(&names, n);
    return status;
}

static int save_weights(
    const char *dir, const paramset *params, bool (*chosen)(const char *name), dtype stored, m2m_error *err)
{
    char *path = path_join(dir, "model.safetensors");
    int status =
        path ? params_save_chosen(params, chosen, path, stored, err) : fail(err, M2M_ENOMEM, "no memory for paths");
    free(path);
    return status;
}

/* The text tower's own config.json from CLIPModel's. */
static int save_text_config(const char *from, const char *inside, m2m_error *err)
{
    char *source = path_join(from, "config.json"), *target = path_join(inside, "config.json");
    cJSON *config = NULL, *text = NULL;
    int status = source && target ? json_load(&config, source, err) : fail(err, M2M_ENOMEM, "no memory for paths");
    if (!status) {
        text = cJSON_DetachItemFromObjectCaseSensitive(config, "text_config");
        cJSON_DeleteItemFromObjectCaseSensitive(text, "architectures");
        cJSON *names = cJSON_AddArrayToObject(text, "architectures");
        if (!names || !cJSON_AddItemToArray(names, cJSON_CreateString("CLIPTextModel")))
            status = fail(err, M2M_ENOMEM, "no memory for config.json");
    }
    if (!status) status = json_save(text, target, err);
    cJSON_Delete(config);
    cJSON_Delete(text);
    free(source);
    free(target);
    return status;
}

int modeldir_save_clip(const char *dir, const char *from, const paramset *params, dtype stored, m2m_error *err)
{
    char *inside = NULL;
    int status = copy_texts(from, dir, err);
    if (!status) status = save_weights(dir, params, NULL, stored, err);
    if (!status) status = make_inside(dir, "text_encoder", &inside, err);
    if (!status) status = save_text_config(from, inside, err);
    if (!status) status = save_weights(inside, params, is_of_text, stored, err);
    free(inside);
    return status;
}

int modeldir_save_encoder(const char *dir, const char *from, const paramset *params, dtype stored, m2m_error *err)
{
    char *own = processor_find(from, err), *target = path_join(dir, "preprocessor_config.json");
    int status = target ? copy_texts(from, dir, err) : fail(err, M2M_ENOMEM, "no memory for paths");
    if (!status && own) status = file_copy(own, target, err);
    if (!status) status = save_weights(dir, params, is_of_encoder, stored, err);
    free(own);
    free(target);
    return status;
}
