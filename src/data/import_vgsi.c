/* wikiHow VGSI (Yang et al. 2021): WikihowText_data.json, an article a line; images STEP_ID.png in wiki_images/, in
 * tars beside the text, or in the folder itself. A method of an article is an ordered set; the number of an image is
 * that of its step, and steps without a picture leave gaps. */
#include "data/import_kind.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT "WikihowText_data.json"
enum { LINE = 16 << 20, METHODS = 1000, DROP = 16 << 20 };   /* most bytes and methods of an article */

typedef struct method {        /* a set */
    size_t at;                 /* its article's line in the map */
    uint32_t len, number;
    int64_t line;
} method;

typedef struct article {       /* to find those that are there twice */
    uint64_t hash;             /* of file_id */
    int64_t line;
} article;

typedef struct articles {
    file_map map;
    method *methods;
    int64_t n, room;
    article *seen;
    int64_t n_seen, seen_room;
} articles;

static void bad_line(import_source *s, int64_t line, const char *why)
{
    char where[64];
    snprintf(where, sizeof where, TEXT ", line %lld", (long long)line);
    problems_add(&s->problems, PROBLEM_RECORD, where, why);
}

/* Room for one more of `size` bytes. */
static int grow(const import_source *s, void *items, int64_t n, int64_t *room, size_t size, m2m_error *err)
{
    if (n < *room) return 0;
    int64_t wanted = *room ? *room * 2 : 1024;
    void *p = realloc(*(void **)items, (size_t)wanted * size);
    if (!p) return fail(err, M2M_ENOMEM, "%s: no memory for %lld records", s->path, (long long)wanted);
    *(void **)items = p;
    *room = wanted;
    return 0;
}

/* ---- The text ---- */

/* file_id and step_id are texts or whole numbers; into buf. NULL: neither. */
static const char *id_text(const cJSON *object, const char *key, char *buf, size_t size)
{
    const cJSON *value = json_member(object, key);
    int64_t number;
    if (json_is_int(value, 0, INT64_MAX, &number)) snprintf(buf, size, "%lld", (long long)number);
    else if (cJSON_IsString(value) && strlen(value->valuestring) < size) snprintf(buf, size, "%s", value->valuestring);
    else return NULL;
    return buf;
}

/* Whether a step says that it has a picture: `img` is a file name or URL, absent or empty without one. */
static bool has_image(const cJSON *step)
{
    const cJSON *img = json_member(step, "img");
    return cJSON_IsString(img) && img->valuestring[0];
}

static int check_step(const cJSON *step, m2m_error *err)
{
    char id[256], found[96];
    const cJSON *img = json_member(step, "img");
    if (!cJSON_IsObject(step)) return fail(err, M2M_EFORMAT, "a step is %s, an object was wanted",
                                           json_found(step, found, sizeof found));
    if (img && !cJSON_IsString(img))
        return fail(err, M2M_EFORMAT, "\"img\" is %s, a text was wanted", json_found(img, found, sizeof found));
    if (!has_image(step)) return 0;
    const char *text = id_text(step, "step_id", id, sizeof id);
    if (text && store_is_name(text) && !strchr(text, '/')) return 0;
    return fail(err, M2M_EFORMAT, "\"step_id\" is %s, the name of an image was wanted",
                json_found(json_member(step, "step_id"), found, sizeof found));
}

/* The array `key` of at most `most` elements. */
static int array_of(const cJSON *object, const char *key, int most, const cJSON **out, m2m_error *err)
{
    char found[96];
    *out = json_member(object, key);
    if (!cJSON_IsArray(*out))
        return fail(err, M2M_EFORMAT, "\"%s\" is %s, a list was wanted", key, json_found(*out, found, sizeof found));
    int n = cJSON_GetArraySize(*out);
    return n <= most ? 0 : fail(err, M2M_EFORMAT, "\"%s\" has %d elements, at most %d are read", key, n, most);
}

static int check_article(const cJSON *o, char *id, size_t size, m2m_error *err)
{
    const cJSON *methods, *steps;
    char found[96];
    const char *text = NULL;
    if (!cJSON_IsObject(o))
        return fail(err, M2M_EFORMAT, "it is %s, an object was wanted", json_found(o, found, sizeof found));
    if (!id_text(o, "file_id", id, size))
        return fail(err, M2M_EFORMAT, "\"file_id\" is %s, a text was wanted",
                    json_found(json_member(o, "file_id"), found, sizeof found));
    int rc = json_text(o, "goal", &text, err);
    if (!rc) rc = array_of(o, "methods", METHODS, &methods, err);
    for (const cJSON *m = rc ? NULL : methods->child; m && !rc; m = m->next) {
        if (!cJSON_IsObject(m)) return fail(err, M2M_EFORMAT, "a method is %s, an object was wanted",
                                            json_found(m, found, sizeof found));
        rc = json_or_text(m, "name", &text, err);
        if (!rc) rc = array_of(m, "steps", IMPORT_IMAGES, &steps, err);
        for (const cJSON *step = rc ? NULL : steps->child; step && !rc; step = step->next) rc = check_step(step, err);
    }
    return rc;
}

static uint64_t hash_of(const char *text)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *text; text++) h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    return h;
}

/* The methods of a sound article that have pictures. */
static int add_methods(import_source *s, const cJSON *o, size_t at, size_t len, int64_t line, m2m_error *err)
{
    articles *a = s->own;
    uint32_t number = 0;
    for (const cJSON *m = json_member(o, "methods")->child; m; m = m->next, number++) {
        int images = 0;
        for (const cJSON *step = json_member(m, "steps")->child; step; step = step->next) images += has_image(step);
        if (!images) continue;
        int rc = grow(s, &a->methods, a->n, &a->room, sizeof *a->methods, err);
        if (rc) return rc;
        a->methods[a->n++] = (method){at, (uint32_t)len, number, line};
    }
    return 0;
}

static int read_line(import_source *s, const char *text, size_t len, int64_t line, m2m_error *err)
{
    articles *a = s->own;
    cJSON *o = NULL;
    m2m_error why = {0};
    char id[256];
    int rc = len > LINE ? fail(&why, M2M_EFORMAT, "it has %zu bytes, at most %d are read", len, LINE)
                        : json_parse(&o, text, len, &why);
    if (!rc) rc = check_article(o, id, sizeof id, &why);
    if (rc && rc != M2M_ENOMEM) {
        bad_line(s, line, why.msg);
        cJSON_Delete(o);
        return 0;
    }
    if (rc) return fail(err, rc, "%s", why.msg);
    rc = grow(s, &a->seen, a->n_seen, &a->seen_room, sizeof *a->seen, err);
    if (!rc) a->seen[a->n_seen++] = (article){hash_of(id), line};
    if (!rc) rc = add_methods(s, o, (size_t)(text - (const char *)a->map.data), len, line, err);
    cJSON_Delete(o);
    return rc;
}

static int by_hash(const void *a, const void *b)
{
    const article *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

static int by_line(const void *a, const void *b)
{
    const article *x = a, *y = b;
    return x->line < y->line ? -1 : x->line > y->line;
}

/* Leaves out the articles that were there before. */
static void drop_repeated(import_source *s, articles *a)
{
    int64_t repeated = 0, kept = 0;
    if (a->n_seen) qsort(a->seen, (size_t)a->n_seen, sizeof *a->seen, by_hash);
    for (int64_t i = 1, first = 0; i < a->n_seen; i++) {
        if (a->seen[i].hash != a->seen[first].hash) first = i;
        else a->seen[repeated++] = a->seen[i];       /* repeated < i */
    }
    if (repeated) qsort(a->seen, (size_t)repeated, sizeof *a->seen, by_line);
    for (int64_t i = 0; i < repeated; i++) bad_line(s, a->seen[i].line, "its \"file_id\" is in a line before");
    for (int64_t i = 0, k = 0; i < a->n; i++) {
        while (k < repeated && a->seen[k].line < a->methods[i].line) k++;
        if (k == repeated || a->seen[k].line != a->methods[i].line) a->methods[kept++] = a->methods[i];
    }
    a->n = kept;
}

static int read_text(import_source *s, m2m_error *err)
{
    articles *a = s->own;
    const char *start = (const char *)a->map.data, *at = start, *end = start + a->map.size, *text;
    size_t len, dropped = 0;
    int rc = 0;
    for (int64_t line = 1; !rc && text_line(&at, end, &text, &len); line++) {
        if (!len) continue;
        s->records++;
        rc = read_line(s, text, len, line, err);
        if (!rc && (size_t)(at - start) - dropped >= DROP) {
            file_map_drop(&a->map, dropped, (size_t)(at - start) - dropped);
            dropped = (size_t)(at - start);
        }
        if (!rc) rc = import_progress(s, at - start, end - start, err);
    }
    if (!rc && !s->records) rc = fail(err, M2M_EFORMAT, "%s/" TEXT ": is empty, lines of JSON were wanted", s->path);
    if (!rc) drop_repeated(s, a);
    s->sets = a->n;
    return rc;
}

static int open_articles(import_source *s, m2m_error *err)
{
    const char *const folders[] = {"wiki_images", "images", "", NULL}, *const given[] = {"", NULL};
    articles *a = s->own = calloc(1, sizeof *a);
    char *path = path_join(s->path, TEXT);
    int rc = a && path ? 0 : fail(err, M2M_ENOMEM, "%s: no memory to open it", s->path);
    if (!rc && !dir_exists(s->path)) rc = fail(err, M2M_EIO, "%s: is no folder, one with " TEXT " was wanted", s->path);
    if (!rc) rc = file_map_open(&a->map, path, err);
    if (!rc) rc = read_text(s, err);
    const char *images = s->options->images;
    if (!rc) rc = store_open(&s->files, images ? images : s->path, images ? given : folders, &s->problems, err);
    free(path);
    return rc;
}

static void close_articles(import_source *s)
{
    articles *a = s->own;
    if (!a) return;
    file_map_close(&a->map);
    free(a->methods);
    free(a->seen);
    free(a);
    s->own = NULL;
}

/* ---- One method ---- */

static void add_member(str *s, const char *key, const cJSON *value)
{
    if (!cJSON_IsString(value)) return;
    str_printf(s, ", \"%s\": ", key);
    str_json(s, value->valuestring);
}

/* A list of the steps' texts, null where there is none: numbers of images are places in it. */
static void add_list(str *s, const char *key, const char *name, const cJSON *steps)
{
    str_printf(s, ", \"%s\": [", key);
    for (const cJSON *step = steps->child; step; step = step->next) {
        const cJSON *text = json_member(step, name);
        if (step != steps->child) str_add(s, ", ");
        if (cJSON_IsString(text)) str_json(s, text->valuestring);
        else str_add(s, "null");
    }
    str_char(s, ']');
}

static void add_images(const import_source *s, import_set *set, const cJSON *steps)
{
    static const char *const endings[] = {".png", ".jpg", ".jpeg", ".webp"};    /* the first is the owner's */
    char id[256], file[300];
    int number = 0;
    for (const cJSON *step = steps->child; step; step = step->next, number++) {
        if (!has_image(step)) continue;
        const char *text = id_text(step, "step_id", id, sizeof id);
        bool found = false;
        for (int i = 0; i < 4 && text && !found; i++) {
            snprintf(file, sizeof file, "%s%s", text, endings[i]);
            found = store_has(s->files, file);
        }
        if (!found) snprintf(file, sizeof file, "%s%s", text ? text : "", endings[0]);
        import_add(set, number, file, NULL);
    }
}

static int read_method(const import_source *s, int64_t index, import_set *set, m2m_error *err)
{
    const articles *a = s->own;
    const method *m = &a->methods[index];
    cJSON *o = NULL;
    char id[256], name[300];
    int rc = json_parse(&o, (const char *)a->map.data + m->at, m->len, err);
    if (rc) return rc;
    const cJSON *way = cJSON_GetArrayItem(json_member(o, "methods"), (int)m->number);
    const cJSON *steps = way ? json_member(way, "steps") : NULL, *goal = json_member(o, "goal");
    if (!steps || !cJSON_IsString(goal) || !id_text(o, "file_id", id, sizeof id)) {
        cJSON_Delete(o);
        return fail(err, M2M_EIO, "%s: changed while it was read", s->path);
    }
    snprintf(name, sizeof name, "%s_%u", id, (unsigned)m->number);
    set->name = strdup(name);
    set->ordered = true;
    const cJSON *called = json_member(way, "name");
    add_member(&set->about, "goal", goal);
    add_member(&set->about, "method", called);
    add_list(&set->about, "headlines", "headline", steps);
    add_list(&set->about, "licences", "img_license", steps);
    str_add(&set->text, goal->valuestring);
    if (cJSON_IsString(called) && called->valuestring[0]) str_printf(&set->text, ": %s", called->valuestring);
    add_images(s, set, steps);
    cJSON_Delete(o);
    return 0;
}

const import_kind import_vgsi = {
    .open = open_articles,
    .read = read_method,
    .close = close_articles,
};
