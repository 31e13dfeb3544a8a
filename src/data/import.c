#include "data/import.h"

#include "base/error.h"
#include "base/file.h"
#include "base/opts.h"
#include "base/str.h"
#include "base/threads.h"
#include "data/import_set.h"
#include "data/shard_job.h"
#include "image/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16 };           /* sets that are made side by side */

typedef struct tally {
    int64_t sets, images;
    problems problems;
} tally;

typedef struct job {
    const import_kind *kind;
    import_source source;
    import_view view;
    const m2m_calls *calls;
    const char *out;
    tally all, shard;          /* shard: of the one that is being written */
    char last_key[160];
    made_set *block;           /* [BLOCK] */
} job;

static const struct { const char *name, *also; const import_kind *kind; } kinds[] = {
#define KIND(name, also, what) {#name, also, &import_##name},
#include "m2m_kinds.def"
#undef KIND
};

int import_progress(const import_source *s, int64_t done, int64_t total, m2m_error *err)
{
    const m2m_calls *c = s->problems.calls;
    if (c && c->progress && c->progress(c->user, "read the index", done, total))
        return fail(err, M2M_ECANCELLED, "%s: stopped while its index was read", s->path);
    return 0;
}

/* ---- Sets into shards ---- */

static int make_set(void *user, int slot, int64_t index, m2m_error *err)
{
    job *j = user;
    j->block[slot] = (made_set){.n_fields = 0};
    return made_set_make(&j->block[slot], j->kind, &j->source, &j->view, index, err);
}

static int write_set(void *user, int slot, shard_writer *w, m2m_error *err)
{
    job *j = user;
    made_set *m = &j->block[slot];
    tally *t = w ? &j->shard : &j->all;
    bool again = m->n_fields && strcmp(m->key, j->last_key) == 0;
    if (again) problems_add(&m->set.problems, PROBLEM_KEY, m->key, "it follows a set of the same key, and is left out");
    problems_take(&t->problems, &m->set.problems);
    if (t->problems.failed) return fail(err, M2M_ENOMEM, "no memory for the list of problems");
    if (again || !m->n_fields) return 0;
    memcpy(j->last_key, m->key, sizeof j->last_key);
    t->sets++;
    t->images += m->images;
    return w ? shard_add(w, m->key, m->fields, m->n_fields, err) : 0;
}

static void drop_set(void *user, int slot)
{
    made_set_free(&((job *)user)->block[slot]);
}

/* ---- What a shard holds, in a file beside it, so that a run that goes on knows ---- */

static void tally_take(tally *into, tally *from)
{
    into->sets += from->sets;
    into->images += from->images;
    problems_take(&into->problems, &from->problems);
    from->sets = from->images = 0;
}

static void tally_json(const tally *t, str *s)
{
    str_printf(s, "  \"sets\": %lld,\n  \"images\": %lld", (long long)t->sets, (long long)t->images);
    problems_counts_json(&t->problems, s);
    problems_list_json(&t->problems, s);
}

/* "OUT/sets-00000.json" of "OUT/sets-00000.tar"; to be freed. */
static char *beside(const char *path)
{
    size_t n = strlen(path);
    check(n > 4, "no shard: %s", path);
    str s = {0};
    str_bytes(&s, path, n - 4);
    str_add(&s, ".json");
    return str_take(&s);
}

static void begin_shard(void *user)
{
    job *j = user;
    tally_take(&j->all, &j->shard);    /* of a shard without a set, which did not appear */
    j->last_key[0] = 0;
}

static int end_shard(void *user, const char *path, m2m_error *err)
{
    job *j = user;
    str s = {0};
    str_add(&s, "{\n");
    tally_json(&j->shard, &s);
    str_add(&s, "\n}\n");
    char *file = beside(path);
    int rc = file && !s.failed ? file_write_all(file, s.data, s.len, err)
                               : fail(err, M2M_ENOMEM, "%s: no memory to describe it", path);
    free(file);
    str_free(&s);
    tally_take(&j->all, &j->shard);
    return rc;
}

static bool found_shard(void *user, const char *path, int64_t from, int64_t to)
{
    job *j = user;
    cJSON *o = NULL;
    tally t = {0};
    char *file = beside(path);
    bool good = file && !json_load(&o, file, NULL) && !json_int(o, "sets", 1, to - from, &t.sets, NULL)
                && !json_int(o, "images", 1, INT64_MAX, &t.images, NULL) && !problems_read(&t.problems, o, NULL);
    if (good) tally_take(&j->all, &t);
    problems_free(&t.problems);
    cJSON_Delete(o);
    free(file);
    return good;
}

static int run(job *j, m2m_error *err)
{
    const m2m_import_options *o = j->source.options;
    shard_job shards = {.out = j->out, .what = j->out ? "import sets" : "check sets", .samples = j->source.sets,
                        .each = o->shard, .block = BLOCK,
                        .threads = o->threads > 0 ? (int)o->threads : threads_usable(), .calls = j->calls, .user = j,
                        .make = make_set, .write = write_set, .drop = drop_set, .found = found_shard,
                        .begin = begin_shard, .end = end_shard};
    j->block = calloc(BLOCK, sizeof *j->block);
    int rc = j->block ? shard_job_run(&shards, err) : fail(err, M2M_ENOMEM, "no memory to import");
    tally_take(&j->all, &j->shard);
    free(j->block);
    return rc;
}

/* ---- Reports ---- */

static void source_json(const job *j, str *s)
{
    str_printf(s, "  \"kind\": \"%s\",\n  \"source\": ", j->source.kind);
    str_json(s, path_base(j->source.path));
    str_printf(s, ",\n  \"records\": %lld,\n", (long long)j->source.records);
}

/* How the sets are made: one run, or several that go on, must agree about it. */
static int keep_recipe(const job *j, m2m_error *err)
{
    str s = {0};
    str_add(&s, "{\n  \"m2m\": \"data import\",\n");
    source_json(j, &s);
    str_printf(&s, "  \"candidates\": %lld,\n  \"options\": ", (long long)j->source.sets);
    m2m_import_options o = *j->source.options;
    o.threads = 0;
    cJSON *object = opts_to_json(j->source.rows, &o);
    char *text = object ? cJSON_PrintUnformatted(object) : NULL, *path = path_join(j->out, "import.json"), *old = NULL;
    if (text) str_add(&s, text);
    str_add(&s, "\n}\n");
    int rc = text && path && !s.failed ? 0 : fail(err, M2M_ENOMEM, "%s: no memory to describe the import", j->out);
    if (!rc && file_exists(path)) {
        rc = file_read_all(path, 1 << 20, &old, NULL, err);
        if (!rc && strcmp(old, s.data) != 0)
            rc = fail(err, M2M_EINVAL, "%s: was imported from another source or with other options; wanted a new "
                      "directory", j->out);
    } else if (!rc) {
        rc = file_write_all(path, s.data, s.len, err);
    }
    cJSON_Delete(object);
    cJSON_free(text);
    free(path);
    free(old);
    str_free(&s);
    return rc;
}

static int write_report(const job *j, const char *path, m2m_error *err)
{
    str s = {0};
    str_add(&s, "{\n");
    source_json(j, &s);
    tally_json(&j->all, &s);
    str_add(&s, "\n}\n");
    int rc = s.failed ? fail(err, M2M_ENOMEM, "%s: no memory for the report", path)
                      : file_write_all(path, s.data, s.len, err);
    str_free(&s);
    return rc;
}

static int write_reports(const job *j, const char *report, m2m_error *err)
{
    int rc = report ? write_report(j, report, err) : 0;
    if (rc || !j->out) return rc;
    char *path = path_join(j->out, "report.json");
    rc = path ? write_report(j, path, err) : fail(err, M2M_ENOMEM, "%s: no memory for the report", j->out);
    free(path);
    return rc;
}

static void summarize(const job *j)
{
    const int64_t *n = j->all.problems.counts;
    str s = {0};
    str_printf(&s, "%s: %lld records, %lld sets of %lld images; bad: %lld records, %lld images, %lld cameras, "
               "%lld archives or folders, %lld json, %lld keys; %lld sets too small", j->source.kind,
               (long long)j->source.records, (long long)j->all.sets, (long long)j->all.images,
               (long long)n[PROBLEM_RECORD], (long long)n[PROBLEM_IMAGE], (long long)n[PROBLEM_POSE],
               (long long)(n[PROBLEM_SHARD] + n[PROBLEM_FOLDER]), (long long)n[PROBLEM_JSON],
               (long long)n[PROBLEM_KEY], (long long)n[PROBLEM_SMALL]);
    if (!s.failed && j->calls && j->calls->line) j->calls->line(j->calls->user, s.data);
    str_free(&s);
}

/* ---- The whole ---- */

static int find_kind(job *j, const char *name, m2m_error *err)
{
    str all = {0};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, name) == 0 || strcmp(kinds[i].also, name) == 0) {
            j->kind = kinds[i].kind;
            j->source.kind = kinds[i].name;
        }
        str_printf(&all, "%s%s", i ? ", " : "", kinds[i].name);
    }
    int rc = j->kind ? 0 : fail(err, M2M_EINVAL, "%s: is no kind of data set; wanted one of %s", name,
                                all.data ? all.data : "");
    str_free(&all);
    return rc;
}

static int prepare(job *j, const char *kind, m2m_error *err)
{
    const m2m_import_options *o = j->source.options;
    int rc = opts_check(j->source.rows, o, err);
    if (!rc) rc = find_kind(j, kind, err);
    if (!rc) rc = parse_fit(o->fit, &j->view.fit, err);
    if (!rc) rc = parse_colour(o->background, j->view.background, err);
    j->view.size = (int)o->size;
    if (!rc) rc = j->kind->open(&j->source, err);
    if (!rc && j->source.problems.failed) rc = fail(err, M2M_ENOMEM, "no memory for the list of problems");
    return rc;
}

static void release(job *j)
{
    if (j->kind) j->kind->close(&j->source);
    store_close(&j->source.files);
    problems_free(&j->source.problems);
    problems_free(&j->all.problems);
    problems_free(&j->shard.problems);
}

int data_import(const char *kind, const char *source, const char *out, const m2m_import_options *options,
                const m2m_option_table *rows, const char *report, const m2m_calls *calls, m2m_error *err)
{
    job j = {.calls = calls, .out = out,
             .source = {.path = source, .options = options, .rows = rows, .problems = {.calls = calls}},
             .all = {.problems = {.calls = calls}}};
    int rc = prepare(&j, kind, err);
    if (!rc && out && j.source.usable)
        rc = fail(err, M2M_EUNSUPPORTED, "%s: has captions and no images to import; m2m data mis makes sets from "
                  "captions", source);
    if (!rc && out && !j.source.sets)
        rc = fail(err, M2M_EFORMAT, "%s: has no set to import (%lld records, %lld of them bad)", source,
                  (long long)j.source.records, (long long)problems_total(&j.source.problems));
    if (!rc && out) rc = dir_make(out, err);
    if (!rc && out) rc = keep_recipe(&j, err);
    if (!rc) {
        j.source.problems.calls = NULL;
        j.all.problems.calls = NULL;                 /* told already */
        problems_take(&j.all.problems, &j.source.problems);
        j.all.problems.calls = calls;
        rc = run(&j, err);
    }
    if (!rc) {
        summarize(&j);
        rc = write_reports(&j, report, err);
    }
    if (!rc && !j.all.sets && !j.source.usable)
        rc = fail(err, M2M_EFORMAT, "%s: no set is left (%lld records, %lld problems)", source,
                  (long long)j.source.records, (long long)problems_total(&j.all.problems));
    release(&j);
    return rc;
}
