#include "data/compose.h"

#include "base/error.h"
#include "base/file.h"
#include "base/str.h"
#include "base/threads.h"
#include "data/compose_set.h"
#include "data/shard_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 };           /* sets that are made side by side before they are written */

typedef struct job {
    composer composer;
    const m2m_compose_options *options;
    const m2m_calls *calls;
    const char *out;
    int threads;
    int64_t counts[FAMILY_COUNT];
    int64_t kept;              /* sets in shards that were there */
    composed *block;           /* [BLOCK] */
} job;

static void tell(const job *j, const char *text)
{
    if (j->calls && j->calls->line) j->calls->line(j->calls->user, text);
}

/* ---- How the sets are made, as a file beside them ---- */

static char *recipe(const job *j, const char *pool_dir)
{
    const m2m_compose_options *o = j->options;
    str s = {0};
    str_add(&s, "{\n  \"m2m\": \"data compose\",\n  \"pool\": ");
    str_json(&s, path_base(pool_dir));
    str_printf(
        &s,
        ",\n  \"drawings\": %d,\n  \"split\": \"%s\",\n  \"sets\": %lld,\n  \"images\": %lld,\n  \"size\": %lld,\n"
        "  \"seed\": %lld,\n  \"shard\": %lld,\n  \"families\": {",
        pool_count(j->composer.pool), o->split, (long long)o->sets, (long long)o->images, (long long)o->size,
        (long long)o->seed, (long long)o->shard);
    for (int f = 0; f < FAMILY_COUNT; f++) {
        str_printf(&s, "%s\"%s\": ", f ? ", " : "", family_name((family)f));
        str_number(&s, j->composer.weights[f]);
    }
    str_add(&s, "}\n}\n");
    return str_take(&s);
}

static int keep_recipe(const job *j, const char *pool_dir, m2m_error *err)
{
    char *text = recipe(j, pool_dir), *path = path_join(j->out, "compose.json"), *old = NULL;
    int rc = text && path ? 0 : fail(err, M2M_ENOMEM, "%s: no memory to describe the sets", j->out);
    if (!rc && file_exists(path)) {
        rc = file_read_all(path, 1 << 20, &old, NULL, err);
        if (!rc && strcmp(old, text) != 0)
            rc = fail(err, M2M_EINVAL,
                      "%s: its sets were composed with other options or another pool; wanted a new directory", j->out);
    } else if (!rc) {
        rc = file_write_all(path, text, strlen(text), err);
    }
    free(old);
    free(path);
    free(text);
    return rc;
}

/* ---- Shards ---- */

static int make_set(void *user, int slot, int64_t index, m2m_error *err)
{
    job *j = user;
    return composed_make(&j->block[slot], &j->composer, index, err);
}

static int write_set(void *user, int slot, shard_writer *w, m2m_error *err)
{
    job *j = user;
    composed *s = &j->block[slot];
    int rc = shard_add(w, s->key, s->fields, s->n, err);
    if (!rc) j->counts[s->family]++;
    return rc;
}

static void drop_set(void *user, int slot)
{
    composed_free(&((job *)user)->block[slot]);
}

static bool keep_shard(void *user, const char *path, int64_t from, int64_t to)
{
    (void)path;
    ((job *)user)->kept += to - from;
    return true;
}

static int write_all(job *j, m2m_error *err)
{
    const m2m_compose_options *o = j->options;
    shard_job shards = {.out = j->out, .what = "compose sets", .samples = o->sets, .each = o->shard, .block = BLOCK,
                        .threads = j->threads, .calls = j->calls, .user = j, .make = make_set, .write = write_set,
                        .drop = drop_set, .found = keep_shard};
    return shard_job_run(&shards, err);
}

static void report(const job *j)
{
    str s = {0};
    str_printf(&s, "%lld sets of %lld images at %s:", (long long)j->options->sets, (long long)j->options->images,
               j->out);
    for (int f = 0; f < FAMILY_COUNT; f++)
        if (j->counts[f]) str_printf(&s, " %s %lld", family_name((family)f), (long long)j->counts[f]);
    if (j->kept) str_printf(&s, " (%lld sets were there)", (long long)j->kept);
    if (pool_skipped(j->composer.pool))
        str_printf(&s, "; %d drawings of the pool could not be read", pool_skipped(j->composer.pool));
    if (!s.failed) tell(j, s.data);
    str_free(&s);
}

static int check_options(const m2m_compose_options *o, m2m_error *err)
{
    static const char *const splits[] = {"train", "val_subject", "val_style"};
    bool known = false;
    for (int i = 0; i < 3; i++) known = known || (o->split && strcmp(o->split, splits[i]) == 0);
    if (!known)
        return fail(err, M2M_EINVAL, "split is \"%s\"; wanted train, val_subject or val_style",
                    o->split ? o->split : "");
    if (o->images < 2 || o->images > COMPOSE_IMAGES)
        return fail(err, M2M_EINVAL, "images is %lld; wanted 2..%d", (long long)o->images, COMPOSE_IMAGES);
    if (o->size < 16 || o->size > 1024 || o->sets < 1 || o->sets > 100000000 || o->shard < 1)
        return fail(err, M2M_EINVAL,
                    "size %lld, sets %lld, shard %lld; wanted size 16..1024, sets 1..100000000, shard 1 or more",
                    (long long)o->size, (long long)o->sets, (long long)o->shard);
    return 0;
}

int compose(const char *pool_dir, const char *out, const m2m_compose_options *o, const m2m_calls *calls, m2m_error *err)
{
    job j = {.options = o, .calls = calls, .out = out};
    pool *p = NULL;
    int rc = check_options(o, err);
    if (rc) return rc;
    j.threads = o->threads > 0 ? (int)o->threads : threads_usable();
    j.composer =
        (composer){.seed = (uint64_t)o->seed, .images = (int)o->images, .size = (int)o->size, .split = o->split};
    rc = family_weights(j.composer.weights, o->families, err);
    if (!rc) rc = pool_open(&p, pool_dir, o->split, (int)o->size, j.threads, err);
    j.composer.pool = p;
    if (!rc) rc = composer_check(&j.composer, err);
    if (!rc) rc = dir_make(out, err);
    if (!rc) rc = keep_recipe(&j, pool_dir, err);
    j.block = rc ? NULL : calloc(BLOCK, sizeof *j.block);
    if (!rc && !j.block) rc = fail(err, M2M_ENOMEM, "no memory to compose");
    if (!rc) rc = write_all(&j, err);
    if (!rc) report(&j);
    free(j.block);
    pool_close(&p);
    return rc;
}
