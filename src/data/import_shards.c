/* WebDataset shards whose samples are sets, those of `m2m data mis`, `compose` and `import` among them: images NN.png
 * (or .jpg, .webp), cameras NN.npy, .json, .txt, latents.npy. Keys and the .json are kept. */
#include "data/import_kind.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "data/set.h"
#include "data/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shards {
    shard **list;
    int64_t *first;            /* of its samples, counted over all; [n + 1] */
    int n;
} shards;

static int add_shard(import_source *s, const char *path, m2m_error *err)
{
    shards *x = s->own;
    m2m_error why = {0};
    shard **list = realloc(x->list, ((size_t)x->n + 1) * sizeof *list);
    if (list) x->list = list;
    int64_t *first = realloc(x->first, ((size_t)x->n + 2) * sizeof *first);
    if (first) x->first = first;
    if (!list || !first) return fail(err, M2M_ENOMEM, "%s: no memory to open it", path);
    if (!x->n) first[0] = 0;
    int rc = shard_open(&x->list[x->n], path, &why);
    if (rc == M2M_ENOMEM) return fail(err, rc, "%s", why.msg);
    if (rc) {
        problems_add(&s->problems, PROBLEM_SHARD, path, why.msg);
        return 0;
    }
    x->first[x->n + 1] = x->first[x->n] + shard_samples(x->list[x->n]);
    x->n++;
    return 0;
}

static int open_shards(import_source *s, m2m_error *err)
{
    shards *x = s->own = calloc(1, sizeof *x);
    char **names = NULL;
    int n = 0, rc = 0;
    if (!x) return fail(err, M2M_ENOMEM, "%s: no memory to open it", s->path);
    bool folder = dir_exists(s->path);
    rc = folder ? dir_list(s->path, &names, &n, err) : add_shard(s, s->path, err);
    for (int i = 0; i < n && !rc; i++) {
        char *path = path_ends(names[i], ".tar") ? path_join(s->path, names[i]) : NULL;
        if (path) rc = add_shard(s, path, err);
        free(path);
        if (!rc) rc = import_progress(s, i + 1, n, err);
    }
    if (!rc && folder && !x->n && !problems_total(&s->problems))
        rc = fail(err, M2M_EIO, "%s: has no .tar", s->path);
    names_free(&names, n);
    s->records = s->sets = x->n ? x->first[x->n] : 0;
    return rc;
}

static void close_shards(import_source *s)
{
    shards *x = s->own;
    if (!x) return;
    for (int i = 0; i < x->n; i++) shard_close(&x->list[i]);
    free(x->list);
    free(x->first);
    free(x);
    s->own = NULL;
}

/* ---- One sample ---- */

/* The members of its .json but for those that are written anew. */
static void keep_members(import_set *set, const cJSON *o)
{
    static const char *const own[] = {"source", "name", "ordered", "positions", "cameras"};
    for (const cJSON *m = o->child; m; m = m->next) {
        bool skip = false;
        for (size_t i = 0; i < sizeof own / sizeof *own; i++) skip = skip || strcmp(m->string, own[i]) == 0;
        char *text = skip ? NULL : cJSON_PrintUnformatted(m);
        if (text) {
            str_add(&set->about, ", ");
            str_json(&set->about, m->string);
            str_printf(&set->about, ": %s", text);
        }
        set->problems.failed = set->problems.failed || (!skip && !text);
        cJSON_free(text);
    }
    const cJSON *source = json_member(o, "source"), *name = json_member(o, "name");
    if (cJSON_IsString(source)) set->source = strdup(source->valuestring);
    if (cJSON_IsString(name)) {
        free(set->name);
        set->name = strdup(name->valuestring);
    }
    set->ordered = cJSON_IsTrue(json_member(o, "ordered"));
}

static int read_json(import_set *set, const uint8_t *data, size_t size, m2m_error *err)
{
    cJSON *o = NULL;
    m2m_error why = {0};
    char found[96];
    int rc = json_parse(&o, (const char *)data, size, &why);
    if (rc == M2M_ENOMEM) return fail(err, rc, "%s", why.msg);
    if (!rc && !cJSON_IsObject(o))
        rc = fail(&why, M2M_EFORMAT, "it is %s, an object was wanted", json_found(o, found, sizeof found));
    if (rc) problems_add(&set->problems, PROBLEM_JSON, set->key, why.msg);
    else keep_members(set, o);
    cJSON_Delete(o);
    return 0;
}

/* The number of "07.png"; -1: too large to be one. */
static int number_of(const char *suffix)
{
    size_t digits = strspn(suffix, "0123456789");
    return digits > 8 ? -1 : (int)strtol(suffix, NULL, 10);
}

static void add_member(const shard *t, int64_t sample, int i, import_set *set)
{
    const char *suffix = shard_suffix(t, sample, i);
    char pose[32];
    blob image = {0}, camera = {0};
    image.data = shard_data(t, sample, i, &image.size);
    int place = -1;
    size_t digits = strcspn(suffix, ".");
    if (digits < 16) {
        snprintf(pose, sizeof pose, "%.*s.npy", (int)digits, suffix);
        place = shard_find(t, sample, pose);
    }
    if (place >= 0) camera.data = shard_data(t, sample, place, &camera.size);
    import_add_bytes(set, number_of(suffix), image, camera);
}

static int read_sample(const import_source *s, int64_t index, import_set *set, m2m_error *err)
{
    const shards *x = s->own;
    int k = 0, rc = 0;
    while (index >= x->first[k + 1]) k++;
    const shard *t = x->list[k];
    int64_t sample = index - x->first[k];
    set->key = strdup(shard_key(t, sample));
    set->name = strdup(shard_key(t, sample));
    if (!set->key || !set->name) return fail(err, M2M_ENOMEM, "%s: no memory for a set", s->path);
    for (int i = 0; i < shard_members(t, sample) && !rc; i++) {
        const char *suffix = shard_suffix(t, sample, i);
        size_t size;
        const uint8_t *data = shard_data(t, sample, i, &size);
        if (dataset_is_member(suffix)) add_member(t, sample, i, set);
        else if (strcmp(suffix, "json") == 0) rc = read_json(set, data, size, err);
        else if (strcmp(suffix, "latents.npy") == 0) set->latents = (blob){data, size, NULL};
        else if (strcmp(suffix, "txt") == 0) str_bytes(&set->text, data, size);
    }
    if (!set->n) problems_add(&set->problems, PROBLEM_RECORD, set->key, "has no image");
    return rc;
}

const import_kind import_shards = {
    .open = open_shards,
    .read = read_sample,
    .close = close_shards,
};
