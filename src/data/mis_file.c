/* A plan of shards as OUT/mis.json: see mis_plan.h. */
#include "data/mis_plan.h"

#include "base/file.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[CAPTION_STATES] = {"good", "no_column", "empty", "not_utf8", "line_too_long"};

static const int64_t most = (int64_t)1 << 53;

/* ---- Writing ---- */

static bool add_shards(cJSON *root, const mis_plan *p)
{
    cJSON *list = cJSON_AddArrayToObject(root, "shards");
    for (int i = 0; list && i < p->n; i++) {
        const mis_shard *s = &p->shards[i];
        cJSON *o = cJSON_CreateObject();
        cJSON_AddItemToArray(list, o);
        if (!o || !cJSON_AddStringToObject(o, "split", mis_split_name(s->split)) ||
            !cJSON_AddNumberToObject(o, "number", s->number) || !cJSON_AddNumberToObject(o, "sets", s->sets) ||
            !cJSON_AddNumberToObject(o, "row", (double)s->row) ||
            !cJSON_AddNumberToObject(o, "offset", (double)s->offset) ||
            !cJSON_AddStringToObject(o, "captions", s->hash))
            return false;
    }
    return list != NULL;
}

static bool add_counts(cJSON *root, const mis_plan *p, const char *captions_path)
{
    cJSON *o = cJSON_AddObjectToObject(root, "captions"), *splits = cJSON_AddObjectToObject(root, "sets");
    bool good = o && splits && cJSON_AddStringToObject(o, "file", path_base(captions_path)) &&
                cJSON_AddNumberToObject(o, "bytes", (double)file_size(captions_path)) &&
                cJSON_AddNumberToObject(o, "rows", (double)p->rows) &&
                cJSON_AddNumberToObject(o, "used", (double)p->used) &&
                cJSON_AddNumberToObject(o, "over_long", (double)p->over_long);
    for (int i = CAPTION_GOOD + 1; i < CAPTION_STATES && good; i++)
        good = cJSON_AddNumberToObject(o, state_names[i], (double)p->states[i]) != NULL;
    for (int s = 0; s < MIS_SPLITS && good; s++)
        good = cJSON_AddNumberToObject(splits, mis_split_name((mis_split)s), (double)p->sets[s]) != NULL;
    return good;
}

int mis_plan_save(const mis_plan *p, const cJSON *settings, const char *captions_path, const char *path,
                  m2m_error *err)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *copy = root ? cJSON_Duplicate(settings, true) : NULL;
    bool good = copy && cJSON_AddStringToObject(root, "m2m", "data mis") &&
                cJSON_AddItemToObject(root, "settings", copy) && add_counts(root, p, captions_path) &&
                add_shards(root, p);
    int rc = good ? json_save(root, path, err) : fail(err, M2M_ENOMEM, "%s: no memory to write it", path);
    cJSON_Delete(root);
    return rc;
}

/* ---- Reading ---- */

static int read_shard(mis_shard *s, const cJSON *o, m2m_error *err)
{
    const char *split = NULL, *hash = NULL;
    int64_t number = 0, sets = 0;
    int rc = json_text(o, "split", &split, err);
    if (!rc) rc = json_text(o, "captions", &hash, err);
    if (!rc) rc = json_int(o, "number", 0, INT32_MAX, &number, err);
    if (!rc) rc = json_int(o, "sets", 1, 1000000, &sets, err);
    if (!rc) rc = json_int(o, "row", 0, most, &s->row, err);
    if (!rc) rc = json_int(o, "offset", 0, most, &s->offset, err);
    if (rc) return rc;
    int k = 0;
    while (k < MIS_SPLITS && strcmp(split, mis_split_name((mis_split)k))) k++;
    if (k == MIS_SPLITS || strlen(hash) != sizeof s->hash - 1)
        return fail(err, M2M_EFORMAT, "split \"%.40s\" with captions \"%.40s\"; wanted train, validation or test and "
                    "16 digits", split, hash);
    s->split = (mis_split)k;
    s->number = (int)number;
    s->sets = (int)sets;
    memcpy(s->hash, hash, sizeof s->hash);
    return 0;
}

static int read_shards(mis_plan *p, const cJSON *root, m2m_error *err)
{
    const cJSON *list = json_member(root, "shards");
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (n < 1) return fail(err, M2M_EFORMAT, "\"shards\" is no list of one or more");
    p->shards = calloc((size_t)n, sizeof *p->shards);
    if (!p->shards) return fail(err, M2M_ENOMEM, "no memory for %d shards", n);
    for (const cJSON *o = list->child; o; o = o->next) {
        mis_shard *s = &p->shards[p->n];
        int rc = read_shard(s, o, err);
        if (rc) return fail_prefix(err, rc, "shard %d", p->n);
        p->sets[s->split] += s->sets;
        p->used += s->sets;
        p->n++;
    }
    return 0;
}

static int read_counts(mis_plan *p, const cJSON *root, int64_t *bytes, m2m_error *err)
{
    const cJSON *o = json_member(root, "captions");
    int rc = json_int(o, "bytes", 0, most, bytes, err);
    if (!rc) rc = json_int(o, "rows", 1, most, &p->rows, err);
    if (!rc) rc = json_int(o, "over_long", 0, most, &p->over_long, err);
    for (int i = CAPTION_GOOD + 1; i < CAPTION_STATES && !rc; i++)
        rc = json_int(o, state_names[i], 0, most, &p->states[i], err);
    p->states[CAPTION_GOOD] = p->used + p->over_long;
    return rc;
}

int mis_plan_load(mis_plan *p, const cJSON *settings, const char *captions_path, const char *path, m2m_error *err)
{
    cJSON *root;
    int64_t bytes = 0, found = file_size(captions_path);
    *p = (mis_plan){0};
    int rc = json_load(&root, path, err);
    if (rc) return rc;
    const cJSON *there = json_member(root, "settings");
    rc = there ? json_agree(there, settings, path, err) : fail(err, M2M_EFORMAT, "%s: no \"settings\" in it", path);
    if (!rc && ((rc = read_shards(p, root, err)) || (rc = read_counts(p, root, &bytes, err))))
        rc = fail_prefix(err, rc, "%s", path);
    if (!rc && bytes != found)
        rc = fail(err, M2M_EINVAL, "%s: has %lld bytes, this data set (%s) was begun with a file of %lld",
                  captions_path, (long long)found, path, (long long)bytes);
    cJSON_Delete(root);
    return rc;
}
