#include "data/mis.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/threads.h"
#include "data/mis_job.h"
#include "m2m_version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- Telling ---- */

void mis_tell(const mis_job *j, const str *text)
{
    if (!text->failed && j->calls && j->calls->line) j->calls->line(j->calls->user, text->data);
}

/* Shows where the work is, in images; non-zero: stop. */
static int step(void *user, double images)
{
    mis_job *j = user;
    const m2m_calls *c = j->calls;
    if (c && c->progress && c->progress(c->user, j->what, j->done + (int64_t)images, j->todo)) j->stopped = true;
    return j->stopped;
}

static void made(void *user, int images)
{
    mis_job *j = user;
    j->done += images;
}

static int stopped(const mis_job *j, m2m_error *err)
{
    return fail(err, M2M_ECANCELLED, "stopped after %lld new sets, which are kept; the same command goes on behind "
                "them",
                (long long)j->sets_made);
}

void mis_tell_counts(const mis_job *j)
{
    const mis_plan *p = &j->plan;
    str s = {0};
    str_printf(&s,
               "captions: %lld lines, %lld used (train %lld, validation %lld, test %lld); "
               "left out: %lld over %d tokens",
               (long long)p->rows, (long long)p->used, (long long)p->sets[MIS_TRAIN],
               (long long)p->sets[MIS_VALIDATION], (long long)p->sets[MIS_TEST], (long long)p->over_long,
               j->filter.max_tokens);
    static const char *const why[CAPTION_STATES] = {"", "without column", "empty", "not UTF-8", "over-long lines"};
    for (int i = CAPTION_GOOD + 1; i < CAPTION_STATES; i++)
        str_printf(&s, ", %lld %s", (long long)p->states[i], why[i]);
    mis_tell(j, &s);
    str_free(&s);
}

/* ---- The plan ---- */

/* What decides the bytes of the sets. */
static cJSON *settings(const mis_job *j)
{
    const m2m_mis_options *o = j->options;
    const mis_source *q = j->source;
    char size[32];
    cJSON *s = cJSON_CreateObject();
    snprintf(size, sizeof size, "%dx%d", q->width, q->height);
    bool good = s && cJSON_AddStringToObject(s, "version", M2M_VERSION_TEXT) &&
                cJSON_AddStringToObject(s, "model", path_base(q->model)) &&
                cJSON_AddStringToObject(s, "model_sha256", q->sha256) &&
                cJSON_AddNumberToObject(s, "images", (double)o->images) &&
                cJSON_AddNumberToObject(s, "steps", (double)o->steps) &&
                cJSON_AddNumberToObject(s, "guidance", o->guidance) &&
                cJSON_AddStringToObject(s, "scheduler", o->scheduler) &&
                cJSON_AddStringToObject(s, "negative_prompt", o->negative_prompt ? o->negative_prompt : "") &&
                cJSON_AddStringToObject(s, "size", size) && cJSON_AddNumberToObject(s, "seed", (double)o->seed) &&
                cJSON_AddStringToObject(s, "format", o->format) &&
                cJSON_AddBoolToObject(s, "latents", o->latents != 0) &&
                cJSON_AddNumberToObject(s, "shard", (double)o->shard) &&
                cJSON_AddNumberToObject(s, "validation", o->validation) &&
                cJSON_AddNumberToObject(s, "test", o->test) &&
                cJSON_AddNumberToObject(s, "column", (double)o->column) &&
                cJSON_AddNumberToObject(s, "limit", (double)o->limit) &&
                cJSON_AddNumberToObject(s, "max_tokens", q->max_tokens) &&
                cJSON_AddBoolToObject(s, "exact", o->exact != 0) &&
                cJSON_AddBoolToObject(s, "fast", o->fast != 0) &&
                cJSON_AddBoolToObject(s, "int8", o->int8 != 0) &&
                cJSON_AddStringToObject(s, "device", strncmp(o->device, "cuda", 4) ? o->device : "cuda");
    if (good) return s;
    cJSON_Delete(s);
    return NULL;
}

/* One run reads the captions, those that start beside it wait for its plan. */
static int wait_for_lock(mis_job *j, lock *l, const char *path, const char *plan, m2m_error *err)
{
    int rc;
    while ((rc = lock_open(l, path, err)) == 1 && !file_exists(plan)) {
        const m2m_calls *c = j->calls;
        if (c && c->progress && c->progress(c->user, "waiting for another run to read the captions", 0, 0))
            return stopped(j, err);
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    return rc < 0 ? rc : 0;
}

static int make_plan(mis_job *j, const cJSON *wanted, const char *path, const char *lock_path, m2m_error *err)
{
    lock l = {.fd = -1};
    int rc = wait_for_lock(j, &l, lock_path, path, err);
    if (!rc && !file_exists(path)) {
        rc = mis_plan_make(&j->plan, j->captions, &j->filter, j->calls, err);
        if (!rc) rc = mis_plan_save(&j->plan, wanted, captions_path(j->captions), path, err);
        mis_plan_free(&j->plan);
    }
    if (l.fd >= 0) unlink(lock_path);
    lock_close(&l);
    return rc;
}

/* A lock beside a plan: its run was killed between the two, or is about to remove it. */
static int get_plan(mis_job *j, m2m_error *err)
{
    cJSON *wanted = settings(j);
    char *path = path_join(j->out, "mis.json"), *lock_path = path_join(j->out, ".mis.lock");
    int rc = wanted && path && lock_path ? 0 : fail(err, M2M_ENOMEM, "%s: no memory to describe the sets", j->out);
    if (!rc && (!file_exists(path) || file_exists(lock_path))) rc = make_plan(j, wanted, path, lock_path, err);
    if (!rc) rc = mis_plan_load(&j->plan, wanted, captions_path(j->captions), path, err);
    cJSON_Delete(wanted);
    free(path);
    free(lock_path);
    return rc;
}

/* ---- Shards ---- */

static char *shard_file(const mis_job *j, const mis_shard *s)
{
    char *path;
    return asprintf(&path, "%s/%s/mis-%05d.tar", j->out, mis_split_name(s->split), s->number) < 0 ? NULL : path;
}

/* The samples that the part holds are the first ones of the shard. */
static int check_kept(const shard_writer *w, const mis_captions *m, const char *path, m2m_error *err)
{
    char key[24];
    if (shard_kept(w) > m->n)
        return fail(err, M2M_EFORMAT, "%s.part: holds %lld sets, wanted %d at most", path,
                    (long long)shard_kept(w), m->n);
    for (int64_t i = 0; i < shard_kept(w); i++) {
        mis_set_key(m->rows[i], key);
        if (strcmp(key, shard_kept_key(w, i)))
            return fail(err, M2M_EFORMAT,
                        "%s.part: set %lld in it is \"%.40s\", wanted %s; remove the file to make it anew", path,
                        (long long)i, shard_kept_key(w, i), key);
    }
    return 0;
}

static int write_sets(mis_job *j, shard_writer *w, const mis_captions *m, const char *split, m2m_error *err)
{
    int rc = 0;
    for (int i = (int)shard_kept(w); i < m->n && !rc; i++) {
        mis_set s = {0};
        rc = step(j, 0) ? M2M_ECANCELLED : mis_set_make(&s, &j->work, m->rows[i], m->texts[i], split, err);
        if (!rc) rc = shard_add(w, s.key, s.fields, s.n, err);
        if (!rc) j->sets_made++;
        mis_set_free(&s);
    }
    return rc == M2M_ECANCELLED && j->stopped ? stopped(j, err) : rc;
}

static void note_no_locks(mis_job *j, const shard_writer *w)
{
    if (shard_is_locked(w) || j->told_unlocked) return;
    str s = {0};
    str_printf(&s, "%s: this file system has no locks: two runs of one share would not notice each other", j->out);
    mis_tell(j, &s);
    str_free(&s);
    j->told_unlocked = true;
}

static int fill_shard(mis_job *j, shard_writer **w, const mis_shard *s, const char *path, m2m_error *err)
{
    mis_captions m;
    note_no_locks(j, *w);
    j->todo -= shard_kept(*w) * j->options->images;
    j->sets_kept += shard_kept(*w);
    int rc = mis_captions_read(&m, j->captions, &j->filter, s, err);
    if (!rc) rc = check_kept(*w, &m, path, err);
    if (!rc) rc = write_sets(j, *w, &m, mis_split_name(s->split), err);
    mis_captions_free(&m);
    if (!rc) return shard_finish(w, err);
    shard_abandon(w);
    return rc;
}

static int make_shard(mis_job *j, const mis_shard *s, m2m_error *err)
{
    shard_writer *w = NULL;
    char *dir = path_join(j->out, mis_split_name(s->split)), *path = shard_file(j, s);
    int rc = dir && path ? dir_make(dir, err) : fail(err, M2M_ENOMEM, "%s: no memory for a path", j->out);
    if (!rc) rc = shard_continue(&w, path, mis_set_members(j->options), err);
    if (rc == 1 && file_exists(path)) rc = 0;                       /* finished meanwhile */
    else if (rc == 1)
        rc = fail(err, M2M_EIO, "%s.part: another run is writing it; wanted one run at a time, or runs with shares of "
                  "the work (--share i/n)", path);
    else if (!rc) rc = fill_shard(j, &w, s, path, err);
    free(dir);
    free(path);
    return rc;
}

/* Counts the sets of shards from..to-1 that are finished. */
static int64_t finished(const mis_job *j, int from, int to, int *shards)
{
    int64_t sets = 0;
    *shards = 0;
    for (int i = from; i < to; i++) {
        char *path = shard_file(j, &j->plan.shards[i]);
        if (path && file_exists(path)) {
            sets += j->plan.shards[i].sets;
            ++*shards;
        }
        free(path);
    }
    return sets;
}

/* ---- Shares ---- */

static int read_share(mis_job *j, m2m_error *err)
{
    int rc = share_read(&j->share, j->options->share, err);
    if (j->share.n > 1) snprintf(j->what, sizeof j->what, "images, share %d/%d", j->share.i, j->share.n);
    else snprintf(j->what, sizeof j->what, "images");
    return rc;
}

static int make_share(mis_job *j, m2m_error *err)
{
    int there, from = share_start(j->share, j->plan.n), to = share_end(j->share, j->plan.n), rc = 0;
    int64_t sets = 0;
    for (int i = from; i < to; i++) sets += j->plan.shards[i].sets;
    j->sets_kept = finished(j, from, to, &there);
    j->todo = (sets - j->sets_kept) * j->options->images;
    for (int i = from; i < to && !rc; i++) {
        char *path = shard_file(j, &j->plan.shards[i]);
        if (!path) rc = fail(err, M2M_ENOMEM, "%s: no memory for a path", j->out);
        else if (!file_exists(path)) rc = make_shard(j, &j->plan.shards[i], err);
        free(path);
    }
    return rc;
}

static void tell_end(const mis_job *j)
{
    int shards;
    int64_t all = finished(j, 0, j->plan.n, &shards);
    str s = {0};
    if (shards == j->plan.n) dir_sweep(j->out);
    if (j->share.n > 1) str_printf(&s, "share %d/%d: ", j->share.i, j->share.n);
    str_printf(&s, "%lld sets of %lld images made", (long long)j->sets_made, (long long)j->options->images);
    if (j->sets_kept) str_printf(&s, ", %lld were there", (long long)j->sets_kept);
    str_printf(&s, "; %s holds %lld of %lld sets in %d of %d shards", j->out, (long long)all, (long long)j->plan.used,
               shards, j->plan.n);
    mis_tell(j, &s);
    str_free(&s);
}

/* ---- A run ---- */

int mis_job_open(mis_job *j, const mis_source *source, const char *captions, const m2m_mis_options *o,
                 const m2m_calls *calls, m2m_error *err)
{
    int threads = o->threads > 0 ? (int)o->threads : threads_usable();
    *j = (mis_job){.source = source, .options = o, .calls = calls};
    j->work = (mis_work){.source = source, .options = o, .threads = threads, .step = step, .made = made, .user = j};
    j->filter = (mis_filter){.tokens = source->tokens, .user = source->user, .max_tokens = source->max_tokens,
                             .validation = o->validation, .test = o->test, .limit = o->limit,
                             .shard = (int)o->shard, .threads = threads};
    int rc = read_share(j, err);
    return rc ? rc : captions_open(&j->captions, captions, (int)o->column, err);
}

void mis_job_close(mis_job *j)
{
    captions_close(&j->captions);
    mis_plan_free(&j->plan);
}

int mis_make(const mis_source *source, const char *captions, const char *out, const m2m_mis_options *o,
             const m2m_calls *calls, m2m_error *err)
{
    mis_job j;
    int rc = mis_job_open(&j, source, captions, o, calls, err);
    j.out = out;
    if (!rc) rc = dir_make(out, err);
    if (!rc) rc = get_plan(&j, err);
    if (!rc) mis_tell_counts(&j);
    if (!rc) rc = make_share(&j, err);
    if (!rc && j.todo) step(&j, 0);
    if (!rc) tell_end(&j);
    mis_job_close(&j);
    return rc;
}
