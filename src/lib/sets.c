/* m2m_eval_sets: the paper's protocol. */
#include "lib/sets_job.h"

#include "base/error.h"
#include "base/file.h"
#include "base/opts.h"
#include "base/sha256.h"
#include "base/str.h"
#include "eval/report.h"
#include "lib/device.h"
#include "lib/generation.h"
#include "m2m_version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *sets_path(const sets_job *j, m2m_error *err, const char *fmt, ...)
{
    str s = {0};
    va_list ap;
    str_printf(&s, "%s/", j->out);
    va_start(ap, fmt);
    str_vprintf(&s, fmt, ap);
    va_end(ap);
    char *path = str_take(&s);
    if (!path) fail(err, M2M_ENOMEM, "%s: no memory for a path", j->out);
    return path;
}

int sets_progress(const sets_job *j, int64_t done, m2m_error *err)
{
    const m2m_calls *c = j->calls;
    if (!c || !c->progress || !c->progress(c->user, j->what, done, j->todo)) return 0;
    return fail(err, M2M_ECANCELLED, "stopped at %lld of %lld %s; the same command goes on behind them",
                (long long)done, (long long)j->todo, j->what);
}

void sets_tell(const sets_job *j, const char *fmt, ...)
{
    str s = {0};
    va_list ap;
    va_start(ap, fmt);
    str_vprintf(&s, fmt, ap);
    va_end(ap);
    if (!s.failed && j->calls && j->calls->line) j->calls->line(j->calls->user, s.data);
    str_free(&s);
}

/* ---- Options ---- */

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static int read_given(sets_job *j, m2m_error *err)
{
    const char *at = j->options->given;
    int k, used;
    while (j->n_given < SETS_GIVEN && sscanf(at, "%6d%n", &k, &used) == 1 && k > 0) {
        bool twice = false;
        for (int i = 0; i < j->n_given; i++) twice = twice || j->given[i] == k;
        if (!twice) j->given[j->n_given++] = k;
        at += used;
        if (*at != ',') break;
        at++;
    }
    if (*at || !j->n_given)
        return fail(err, M2M_EINVAL, "given: found \"%.40s\", wanted numbers from 1 on with commas between, as 1,2,3,4",
                    j->options->given);
    qsort(j->given, (size_t)j->n_given, sizeof *j->given, by_number);
    j->most = j->given[j->n_given - 1];
    return 0;
}

static int check_options(sets_job *j, m2m_error *err)
{
    const m2m_generate_options *g = j->generate;
    const char *const unwanted[][2] = {{"latents", g->latents}, {"noise", g->noise}, {"prompt", g->prompt},
                                       {"negative_prompt", g->negative_prompt}, {"save_latents", g->save_latents}};
    int rc = opts_check(m2m_options("generate"), g, err);
    if (!rc) rc = opts_check(m2m_options("sets"), j->options, err);
    for (size_t i = 0; i < sizeof unwanted / sizeof *unwanted && !rc; i++)
        if (unwanted[i][1]) rc = fail(err, M2M_EINVAL, "%s: is not for evaluating sets", unwanted[i][0]);
    if (!rc) rc = share_read(&j->share, j->options->share, err);
    return rc ? rc : read_given(j, err);
}

/* ---- Settings ---- */

static bool decides_nothing(const char *option)
{
    static const char *const names[] = {"n", "threads", "no_cache", "latents", "noise", "save_latents", "prompt",
                                        "negative_prompt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i], option)) return true;
    return false;
}

/* Everything that decides what the images are, but for how many. */
static cJSON *settings(const sets_job *j)
{
    m2m_model_facts facts;
    m2m_model_get_facts(j->model, &facts);
    char print[24], size[32];
    cJSON *all = opts_to_json(m2m_options("generate"), j->generate), *s = cJSON_CreateObject();
    snprintf(print, sizeof print, "%016llx", (unsigned long long)dataset_fingerprint(j->data));
    snprintf(size, sizeof size, "%dx%d", j->view.width, j->view.height);
    bool good = all && s && cJSON_AddStringToObject(s, "version", M2M_VERSION_TEXT) &&
                cJSON_AddStringToObject(s, "model", path_base(facts.dir)) &&
                cJSON_AddStringToObject(s, "model_sha256", m2m_model_sha256(j->model)) &&
                cJSON_AddStringToObject(s, "data", path_base(j->data_path)) &&
                cJSON_AddStringToObject(s, "data_fingerprint", print);
    while (good && all->child) {
        cJSON *one = cJSON_DetachItemViaPointer(all, all->child);
        if (decides_nothing(one->string)) cJSON_Delete(one);
        else good = cJSON_AddItemToObject(s, one->string, one);
    }
    const char *device = strncmp(j->generate->device, "cuda", 4) ? "cpu" : "cuda";
    if (good) good = json_set(s, "size", cJSON_CreateString(size)) && json_set(s, "device", cJSON_CreateString(device));
    cJSON_Delete(all);
    if (good) return s;
    cJSON_Delete(s);
    return NULL;
}

/* Begins OUT, or goes on with it if it was begun so. */
static int agree(sets_job *j, m2m_error *err)
{
    char *path = sets_path(j, err, "sets.json");
    cJSON *there = NULL;
    j->settings = settings(j);
    int rc = path && j->settings ? 0 : fail(err, M2M_ENOMEM, "%s: no memory for its settings", j->out);
    if (!rc) rc = dir_make(j->out, err);
    if (!rc && !file_exists(path)) rc = json_save(j->settings, path, err);
    if (!rc) rc = json_load(&there, path, err);
    if (!rc) rc = json_agree(there, j->settings, path, err);
    cJSON_Delete(there);
    free(path);
    return rc;
}

/* ---- Opening ---- */

static int open_eyes(sets_job *j, m2m_error *err)
{
    const m2m_sets_options *o = j->options;
    j->eyes[0] = (sets_eye){.kind = "inception", .dir = o->inception};
    j->eyes[1] = (sets_eye){.kind = "clip", .dir = o->clip};
    j->eyes[2] = (sets_eye){.kind = "dino", .dir = o->dino};
    int rc = 0;
    for (int i = 0; i < SETS_EYES && !rc; i++) {
        sets_eye *e = &j->eyes[i];
        if (!e->dir) {
            if (o->features && !strcmp(o->features, e->kind))
                rc = fail(err, M2M_EINVAL, "features: %s is asked for, but no folder of it is given", e->kind);
            continue;
        }
        rc = extractor_open(&e->x, e->kind, e->dir, j->be, err);
        if (!rc) extractor_id(e->x, e->id);
    }
    return rc;
}

static int open_view(sets_job *j, m2m_error *err)
{
    generation q = {.m = j->model, .o = j->generate};
    int rc = given_geometry(&q, err);
    j->view = (dataset_view){.width = q.width, .height = q.height, .fit = q.fit};
    memcpy(j->view.background, q.background, sizeof j->view.background);
    return rc;
}

static int open_job(sets_job *j, m2m_error *err)
{
    m2m_model_facts facts;
    int rc = check_options(j, err);
    if (rc) return rc;
    m2m_model_get_facts(j->model, &facts);
    if (!strcmp(facts.kind, "text-to-image"))
        return fail(err, M2M_EINVAL, "%s: is a text-to-image model, wanted one that makes images from images",
                    facts.dir);
    if ((rc = open_view(j, err)) || (rc = dataset_open(&j->data, j->data_path, 1, err))) return rc;
    j->sets = dataset_sets(j->data);
    if (j->options->count && j->options->count < j->sets) j->sets = (int)j->options->count;
    j->n = (int)j->generate->n;
    j->be = device_open(j->generate->device, (int)j->generate->threads, DEVICE_WAY(j->generate), NULL, err);
    if (!j->be) return M2M_EDEVICE;
    rc = open_eyes(j, err);
    return rc ? rc : agree(j, err);
}

static void close_job(sets_job *j)
{
    for (int i = 0; i < SETS_EYES; i++) extractor_close(&j->eyes[i].x);
    if (j->be) j->be->close(j->be);
    cJSON_Delete(j->settings);
    dataset_close(&j->data);
}

/* ---- Running ---- */

/* Sets, times numbers of given images, of all shares, that are still to be made or looked at. */
static int64_t left(const sets_job *j)
{
    int64_t missing = 0;
    for (int s = 0; s < j->sets; s++)
        for (int r = 0; r < j->n_given; r++) {
            const sets_state state = sets_look(j, s, j->given[r], NULL);
            bool whole = state != SET_MISSING;
            for (int i = 0; i < SETS_EYES && state == SET_MADE && whole; i++)
                whole = !j->eyes[i].dir || sets_seen(j, &j->eyes[i], s, j->given[r]);
            missing += !whole;
        }
    return missing;
}

int m2m_eval_sets(const m2m_model *model, const char *data, const char *out, const m2m_generate_options *generate,
                  const m2m_sets_options *options, const m2m_calls *calls, m2m_error *err)
{
    sets_job j = {.model = model, .generate = generate, .options = options, .calls = calls, .out = out,
                  .data_path = data};
    int rc = open_job(&j, err);
    if (!rc) rc = sets_make(&j, err);
    if (!rc && j.others) sets_tell(&j, "%d sets are left to another run, which was making them", j.others);
    if (!rc) rc = sets_see(&j, err);
    int64_t missing = rc ? 0 : left(&j);
    if (!rc && missing)
        sets_tell(&j, "share %d/%d is done; %lld of %lld sets are still missing in %s: the run that makes the last one "
                  "writes the report", j.share.i, j.share.n, (long long)missing, (long long)j.sets * j.n_given, out);
    if (!rc && !missing) rc = sets_report(&j, err);
    close_job(&j);
    return rc;
}

int m2m_eval_sets_compare(const char *const *dirs, int n, const char *out, m2m_error *err)
{
    cJSON *report = NULL;
    int rc = n > 0 ? 0 : fail(err, M2M_EINVAL, "no report is given, wanted folders made by eval sets");
    if (!rc) rc = report_merge(&report, dirs, n, err);
    if (!rc) rc = dir_make(out, err);
    if (!rc) rc = report_save(report, out, err);
    cJSON_Delete(report);
    return rc;
}
