/* zero123's views_release: UID/000.png … and UID/000.npy …, valid_paths.json the list of UIDs, in folders or in tars
 * beside that list. The first 99 % of the list are for training (zero123's ldm/data/simple.py). */
#include "data/import_kind.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct object {
    char *name;
    int64_t place;             /* in the list */
} object;

typedef struct objects {
    object *list;              /* sorted by name while they are read, then by place: those of the split */
    int64_t n, room;
    int64_t entries, first;    /* of the list in the file; first: of list[] after the split was taken */
} objects;

/* ---- The list ---- */

static void bad_entry(import_source *s, int64_t place, const char *why)
{
    char where[64];
    snprintf(where, sizeof where, "valid_paths.json, entry %lld", (long long)place);
    problems_add(&s->problems, PROBLEM_RECORD, where, why);
}

static int add_object(import_source *s, objects *o, const char *name, m2m_error *err)
{
    if (o->n == o->room) {
        int64_t room = o->room ? o->room * 2 : 1024;
        object *list = realloc(o->list, (size_t)room * sizeof *list);
        if (!list) return fail(err, M2M_ENOMEM, "%s: no memory for %lld objects", s->path, (long long)room);
        o->list = list;
        o->room = room;
    }
    o->list[o->n] = (object){strdup(name), o->entries};
    if (!o->list[o->n].name) return fail(err, M2M_ENOMEM, "%s: no memory for %lld objects", s->path, (long long)o->n);
    o->n++;
    return 0;
}

static int read_entry(void *user, const json_record *r, m2m_error *err)
{
    import_source *s = user;
    objects *o = s->own;
    cJSON *value = NULL;
    m2m_error why = {0};
    char found[96];
    if (r->list[0]) return fail(err, M2M_EFORMAT, "it is an object, a list of object names was wanted");
    int rc = json_parse(&value, r->text, r->len, &why);
    if (rc == M2M_ENOMEM) return fail(err, rc, "%s", why.msg);
    if (!rc && cJSON_IsString(value) && store_is_name(value->valuestring)
        && strlen(value->valuestring) + 16 < STORE_NAME) {
        rc = add_object(s, o, value->valuestring, err);
    } else {
        if (!rc) snprintf(why.msg, sizeof why.msg, "is %s, the name of a folder was wanted",
                          json_found(value, found, sizeof found));
        bad_entry(s, o->entries, why.msg);
        rc = 0;
    }
    cJSON_Delete(value);
    o->entries++;
    return rc;
}

static int by_name(const void *a, const void *b)
{
    const object *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : x->place < y->place ? -1 : x->place > y->place;
}

static int by_place(const void *a, const void *b)
{
    const object *x = a, *y = b;
    return x->place < y->place ? -1 : x->place > y->place;
}

static void drop_repeated(import_source *s, objects *o)
{
    int64_t kept = 0;
    if (o->n) qsort(o->list, (size_t)o->n, sizeof *o->list, by_name);
    for (int64_t i = 0; i < o->n; i++) {
        if (kept && strcmp(o->list[kept - 1].name, o->list[i].name) == 0) {
            bad_entry(s, o->list[i].place, "names an object that is in the list already");
            free(o->list[i].name);
        } else {
            o->list[kept++] = o->list[i];
        }
    }
    o->n = kept;
    if (o->n) qsort(o->list, (size_t)o->n, sizeof *o->list, by_place);
}

/* Both parts go by places in the owner's list, so that a bad entry moves no object to the other part. */
static void take_split(import_source *s, objects *o)
{
    double cut = floor((double)o->entries / 100.0 * 99.0);
    bool train = strcmp(s->options->split, "train") == 0, val = strcmp(s->options->split, "val") == 0;
    int64_t kept = 0;
    for (int64_t i = 0; i < o->n; i++) {
        bool first = (double)o->list[i].place < cut;
        if ((train && !first) || (val && first)) free(o->list[i].name);
        else o->list[kept++] = o->list[i];
    }
    o->n = kept;
}

static int open_views(import_source *s, m2m_error *err)
{
    static const char *const folders[] = {"", NULL};
    objects *o = s->own = calloc(1, sizeof *o);
    char *path = path_join(s->path, "valid_paths.json");
    file_map map = {0};
    int rc = o && path ? 0 : fail(err, M2M_ENOMEM, "%s: no memory to open it", s->path);
    if (!rc && !dir_exists(s->path))
        rc = fail(err, M2M_EIO, "%s: is no folder, one with valid_paths.json was wanted", s->path);
    if (!rc) rc = file_map_open(&map, path, err);
    if (!rc) {
        rc = json_walk((const char *)map.data, map.size, read_entry, s, err);
        if (rc) fail_prefix(err, rc, "%s", path);
        file_map_close(&map);
    }
    free(path);
    if (rc) return rc;
    drop_repeated(s, o);
    take_split(s, o);
    s->records = o->entries;
    s->sets = o->n;
    return store_open(&s->files, s->path, folders, &s->problems, err);
}

static void close_views(import_source *s)
{
    objects *o = s->own;
    if (!o) return;
    for (int64_t i = 0; i < o->n; i++) free(o->list[i].name);
    free(o->list);
    free(o);
    s->own = NULL;
}

/* ---- One object ---- */

static int read_views(const import_source *s, int64_t index, import_set *set, m2m_error *err)
{
    const objects *o = s->own;
    const char *name = o->list[index].name;
    char image[STORE_NAME], pose[STORE_NAME];
    bool any = false;
    (void)err;
    set->name = strdup(name);
    for (int i = 0; i < s->options->views && !any; i++) {
        snprintf(image, sizeof image, "%s/%03d.png", name, i);
        any = store_has(s->files, image);
    }
    if (!any && set->name) {
        snprintf(image, sizeof image, "none of its views %s/000.png … is there", name);
        problems_add(&set->problems, PROBLEM_RECORD, name, image);
    }
    for (int i = 0; i < s->options->views && any; i++) {
        snprintf(image, sizeof image, "%s/%03d.png", name, i);
        snprintf(pose, sizeof pose, "%s/%03d.npy", name, i);
        import_add(set, i, image, pose);
    }
    return 0;
}

const import_kind import_objaverse = {
    .open = open_views,
    .read = read_views,
    .close = close_views,
};
