#include "data/check.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "data/problems.h"
#include "data/set.h"
#include "data/shard.h"
#include "image/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES = 256 };

typedef struct size_count {
    int width, height;
    int64_t count;
} size_count;

typedef struct tally {
    const m2m_calls *calls;
    problems problems;
    int64_t shards, folders, sets, images, rgb, rgba, other;
    size_count sizes[SIZES];
    int n_sizes;               /* further sizes are counted in the last one */
    char **keys;               /* of all sets; owned */
    int64_t n_keys, room;
    bool failed;               /* out of memory */
} tally;

static void tell(const tally *t, const char *text)
{
    if (t->calls && t->calls->line) t->calls->line(t->calls->user, text);
}

static void keep_key(tally *t, const char *key)
{
    if (t->n_keys == t->room) {
        int64_t room = t->room ? t->room * 2 : 1024;
        char **keys = realloc(t->keys, (size_t)room * sizeof *keys);
        if (!keys) {
            t->failed = true;
            return;
        }
        t->keys = keys;
        t->room = room;
    }
    char *copy = strdup(key);
    if (copy) t->keys[t->n_keys++] = copy;
    t->failed = t->failed || !copy;
}

static void count_image(tally *t, const m2m_image *img)
{
    int i = 0;
    while (i < t->n_sizes && (t->sizes[i].width != img->width || t->sizes[i].height != img->height)) i++;
    if (i == SIZES) i = SIZES - 1;
    if (i == t->n_sizes) t->sizes[t->n_sizes++] = (size_count){img->width, img->height, 0};
    t->sizes[i].count++;
    *(img->channels == 4 ? &t->rgba : &t->rgb) += 1;
    t->images++;
}

/* After all of a set's images: is it still a set? */
static void count_set(tally *t, const char *where, const char *key, int good)
{
    char why[80];
    if (key) keep_key(t, key);
    if (good >= 2) {
        t->sets++;
        return;
    }
    snprintf(why, sizeof why, "it has %d good image%s; a set wants 2", good, good == 1 ? "" : "s");
    problems_add(&t->problems, PROBLEM_SMALL, where, why);
}

static void bad_image(tally *t, int rc, const char *where, const m2m_error *why)
{
    t->failed = t->failed || rc == M2M_ENOMEM;
    problems_add(&t->problems, PROBLEM_IMAGE, where, why->msg);
}

static void check_json(tally *t, const char *where, const uint8_t *data, size_t size)
{
    m2m_error why = {0};
    if (json_check((const char *)data, size, &why)) problems_add(&t->problems, PROBLEM_JSON, where, why.msg);
}

static void check_sample(tally *t, const shard *s, int64_t sample)
{
    int good = 0;
    char where[512];
    for (int i = 0; i < shard_members(s, sample); i++) {
        const char *suffix = shard_suffix(s, sample, i);
        size_t size;
        const uint8_t *data = shard_data(s, sample, i, &size);
        snprintf(where, sizeof where, "%.220s: %.220s.%.40s", shard_path(s), shard_key(s, sample), suffix);
        if (dataset_is_member(suffix)) {
            m2m_error why = {0};
            m2m_image img;
            int rc = image_decode(&img, data, size, where, &why);
            if (rc) {
                bad_image(t, rc, where, &why);
            } else {
                good++;
                count_image(t, &img);
                m2m_image_free(&img);
            }
        } else if (strcmp(suffix, "json") == 0) {
            check_json(t, where, data, size);
        } else if (strcmp(suffix, "txt") != 0) {
            t->other++;
        }
    }
    snprintf(where, sizeof where, "%.250s: %.250s", shard_path(s), shard_key(s, sample));
    count_set(t, where, shard_key(s, sample), good);
}

static void check_shard(tally *t, const char *path)
{
    shard *s;
    m2m_error why = {0};
    int rc = shard_open(&s, path, &why);
    t->shards++;
    if (rc) {
        t->failed = t->failed || rc == M2M_ENOMEM;
        problems_add(&t->problems, PROBLEM_SHARD, path, why.msg);
        return;
    }
    t->other += shard_skipped(s);
    for (int64_t i = 0; i < shard_samples(s) && !t->failed; i++) check_sample(t, s, i);
    shard_close(&s);
}

static void check_folder(tally *t, const char *path)
{
    char **names;
    int n, good = 0;
    m2m_error why = {0};
    t->folders++;
    if (dir_list(path, &names, &n, &why)) {
        problems_add(&t->problems, PROBLEM_FOLDER, path, why.msg);
        return;
    }
    for (int i = 0; i < n && !t->failed; i++) {
        char *file = path_join(path, names[i]);
        m2m_image img;
        if (!file) {
            t->failed = true;
        } else if (image_format_of(names[i]) == IMAGE_UNKNOWN) {
            t->other++;
        } else {
            int rc = m2m_image_load(&img, file, &why);
            if (rc) bad_image(t, rc, file, &why);
            if (!rc) {
                good++;
                count_image(t, &img);
                m2m_image_free(&img);
            }
        }
        free(file);
    }
    names_free(&names, n);
    count_set(t, path, NULL, good);
}

static int progress(const tally *t, int64_t done, int64_t total, m2m_error *err)
{
    const m2m_calls *c = t->calls;
    if (c && c->progress && c->progress(c->user, "check", done, total))
        return fail(err, M2M_ECANCELLED, "checking stopped after %lld sets", (long long)t->sets);
    if (!t->failed && !t->problems.failed) return 0;
    return fail(err, M2M_ENOMEM, "no memory to check after %lld sets", (long long)t->sets);
}

static int check_directory(tally *t, const char *path, m2m_error *err)
{
    char **names;
    int n, rc = dir_list(path, &names, &n, err);
    if (rc) return rc;
    bool shards = false;
    for (int i = 0; i < n; i++) shards = shards || path_ends(names[i], ".tar");
    for (int i = 0; i < n && !rc; i++) {
        char *inner = path_join(path, names[i]);
        if (!inner)
            t->failed = true;
        else if (shards && path_ends(names[i], ".tar"))
            check_shard(t, inner);
        else if (!shards && dir_exists(inner))
            check_folder(t, inner);
        free(inner);
        rc = progress(t, i + 1, n, err);
    }
    names_free(&names, n);
    return rc;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void find_duplicates(tally *t)
{
    if (t->n_keys) qsort(t->keys, (size_t)t->n_keys, sizeof *t->keys, by_text);
    for (int64_t i = 1; i < t->n_keys; i++)
        if (strcmp(t->keys[i], t->keys[i - 1]) == 0)
            problems_add(&t->problems, PROBLEM_KEY, t->keys[i], "it occurs again; m2m takes that as a separate set");
}

static int by_count(const void *a, const void *b)
{
    const size_count *x = a, *y = b;
    return x->count < y->count ? 1 : x->count > y->count ? -1 : x->width - y->width;
}

static int write_report(tally *t, const char *paths, const char *file, m2m_error *err)
{
    str s = {0};
    const struct { const char *name; int64_t n; } counts[] = {{"shards", t->shards}, {"folders", t->folders},
        {"sets", t->sets}, {"images", t->images}, {"rgb", t->rgb}, {"rgba", t->rgba}, {"other_files", t->other}};
    str_add(&s, "{\n  \"paths\": ");
    str_json(&s, paths);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        str_printf(&s, ",\n  \"%s\": %lld", counts[i].name, (long long)counts[i].n);
    str_add(&s, ",\n  \"sizes\": [");
    for (int i = 0; i < t->n_sizes; i++)
        str_printf(&s, "%s\n    {\"width\": %d, \"height\": %d, \"images\": %lld}", i ? "," : "", t->sizes[i].width,
            t->sizes[i].height, (long long)t->sizes[i].count);
    str_char(&s, ']');
    problems_counts_json(&t->problems, &s);
    problems_list_json(&t->problems, &s);
    str_add(&s, "\n}\n");
    int rc = s.failed ? fail(err, M2M_ENOMEM, "%s: no memory for the report", file)
                                        : file_write_all(file, s.data, s.len, err);
    str_free(&s);
    return rc;
}

static void summarize(const tally *t)
{
    str s = {0};
    const int64_t *n = t->problems.counts;
    str_printf(&s, "%lld sets of %lld images (%lld RGB, %lld RGBA)", (long long)t->sets, (long long)t->images,
        (long long)t->rgb, (long long)t->rgba);
    for (int i = 0; i < t->n_sizes && i < 3; i++)
        str_printf(&s, "%s %d x %d: %lld", i ? "," : ";", t->sizes[i].width, t->sizes[i].height,
            (long long)t->sizes[i].count);
    if (t->n_sizes > 3) str_printf(&s, ", and %d other sizes", t->n_sizes - 3);
    if (!s.failed) tell(t, s.data);
    str_clear(&s);
    str_printf(
        &s, "%lld bad images, %lld sets too small, %lld damaged shards or folders, %lld duplicate keys, %lld bad .json",
        (long long)n[PROBLEM_IMAGE], (long long)n[PROBLEM_SMALL], (long long)(n[PROBLEM_SHARD] + n[PROBLEM_FOLDER]),
        (long long)n[PROBLEM_KEY], (long long)n[PROBLEM_JSON]);
    if (!s.failed) tell(t, s.data);
    str_free(&s);
}

static int check_paths(tally *t, const char *paths, m2m_error *err)
{
    char *copy = strdup(paths), *rest = copy;
    int rc = copy ? 0 : fail(err, M2M_ENOMEM, "no memory to check %s", paths);
    for (char *path; !rc && (path = strsep(&rest, ","));) {
        if (dir_exists(path)) {
            rc = check_directory(t, path, err);
        } else if (!file_exists(path)) {
            rc = fail(err, M2M_EIO, "%s: no such file or directory", path);
        } else {
            check_shard(t, path);
            rc = progress(t, 1, 1, err);
        }
    }
    free(copy);
    return rc;
}

int data_check(const char *paths, const char *report, const m2m_calls *calls, m2m_error *err)
{
    tally *t = calloc(1, sizeof *t);
    if (!t) return fail(err, M2M_ENOMEM, "no memory to check %s", paths);
    t->calls = t->problems.calls = calls;
    int rc = check_paths(t, paths, err);
    if (!rc) {
        find_duplicates(t);
        qsort(t->sizes, (size_t)t->n_sizes, sizeof *t->sizes, by_count);
        summarize(t);
        if (report) rc = write_report(t, paths, report, err);
    }
    if (!rc && !t->sets)
        rc = fail(err, M2M_EFORMAT,
                  "%s: no set of two good images (%lld smaller sets, %lld bad images, %lld damaged shards)", paths,
                  (long long)t->problems.counts[PROBLEM_SMALL], (long long)t->problems.counts[PROBLEM_IMAGE],
                  (long long)t->problems.counts[PROBLEM_SHARD]);
    for (int64_t i = 0; i < t->n_keys; i++) free(t->keys[i]);
    free(t->keys);
    problems_free(&t->problems);
    free(t);
    return rc;
}
