/* m2m_train: a JSON file of options, a device, a task, the loop. */
#include "m2m_train.h"

#include "base/json.h"
#include "base/opts.h"
#include "lib/device.h"
#include "train/loop.h"

#include <stdlib.h>
#include <string.h>

/* "key=value" texts; the values are kept in copies, since TEXT fields point into them. */
static int apply_sets(m2m_train_options *o, const char *const *sets, int n, char **copies, m2m_error *err)
{
    int status = 0;
    for (int i = 0; i < n && !status; i++) {
        copies[i] = strdup(sets[i]);
        if (!copies[i]) return fail(err, M2M_ENOMEM, "no memory for options");
        char *equals = strchr(copies[i], '=');
        if (!equals) return fail(err, M2M_EINVAL, "set: \"%s\", wanted key=value", sets[i]);
        *equals = '\0';
        status = opts_set(m2m_options("train"), o, copies[i], equals + 1, err);
    }
    return status;
}

static int check_options(const m2m_train_options *o, const char *config, m2m_error *err)
{
    if (!o->from == !o->config)
        return fail(err, M2M_EINVAL, "%s: wanted one of \"from\" (start from weights) and \"config\" (start fresh)",
                    config);
    if (!o->data) return fail(err, M2M_EINVAL, "%s: \"data\" is missing: shards or folders to train on", config);
    if (!o->output) return fail(err, M2M_EINVAL, "%s: \"output\" is missing: a directory for the results", config);
    return 0;
}

static const struct {
    const char *name;
    task *(*make)(const m2m_train_options *o, backend *be, const m2m_calls *calls, m2m_error *err);
} kinds[] = {
    {"m2m", set_task_new}, {"text_to_image", text_task_new}, {"vae", vae_task_new}, {"clip", clip_task_new},
    {"image_encoder", encoder_task_new}};

static int train(const m2m_train_options *o, int resume, const m2m_calls *calls, m2m_error *err)
{
    backend *be = device_open(o->device, (int)o->threads, (device_way){0}, NULL, err);
    if (!be) return M2M_EDEVICE;
    task *t = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, o->kind)) t = kinds[i].make(o, be, calls, err);
    int status = t ? train_loop(t, o, be, resume, calls, err) : err ? err->code : M2M_EINVAL;
    if (t) t->kind->free(t);
    be->close(be);
    return status;
}

int m2m_train(const char *config, const char *const *sets, int n_sets, int resume, const m2m_calls *calls,
              m2m_error *err)
{
    m2m_train_options o;
    m2m_error mine;
    cJSON *json = NULL;
    char **copies = calloc((size_t)n_sets + 1, sizeof *copies);
    int status = copies ? json_load(&json, config, &mine) : fail(&mine, M2M_ENOMEM, "no memory for options");
    opts_defaults(m2m_options("train"), &o);
    if (!status && opts_from_json(m2m_options("train"), &o, json, &mine))
        status = fail_prefix(&mine, M2M_EINVAL, "%s", config);
    if (!status) status = apply_sets(&o, sets, n_sets, copies, &mine);
    if (!status) status = check_options(&o, config, &mine);
    if (!status) status = train(&o, resume, calls, &mine);
    for (int i = 0; copies && i < n_sets; i++) free(copies[i]);
    free(copies);
    cJSON_Delete(json);
    if (status && err) *err = mine;
    return status;
}
