/* MSCOCO: annotations/instances_*.json and images in a folder of the annotations' split. The file is walked record by
 * record; kept are a few bytes for each image and each object. A set is `set_size` images that show one category,
 * each image once a category (pycocotools' catToImgs has an image once an object); regions marked iscrowd count. */
#include "data/import_kind.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES = 16, FOLDERS = 2 * FILES + 3, DROP = 16 << 20, RECORD = 1 << 26 };

typedef struct picture {
    int64_t id;
    size_t at;                 /* its record in the map */
    uint32_t len, file;
} picture;

typedef struct sight {         /* an object: this image shows that category */
    int64_t image;             /* its id; then its place in pictures[] */
    int64_t category;          /* its id; then its place in categories[] */
} sight;

typedef struct category {
    int64_t id, first, n;      /* sights of it: different images, shuffled */
    char *name, *group;
} category;

typedef struct group {         /* a set */
    int64_t first;             /* of its sights */
    int category, n;
} group;

typedef struct coco {
    char *paths[FILES];
    file_map maps[FILES];
    int n_files, file;         /* file: that is being read */
    size_t dropped;
    picture *pictures;
    int64_t n_pictures, pictures_room;
    sight *sights;
    int64_t n_sights, sights_room;
    category *categories;
    int64_t n_categories, categories_room;
    group *groups;
    int64_t n_groups, groups_room;
    import_source *source;
} coco;

static void bad_record(coco *c, const json_record *r, const char *why)
{
    char where[300];
    snprintf(where, sizeof where, "%.200s, %.40s %lld", path_base(c->paths[c->file]), r->list, (long long)r->index);
    problems_add(&c->source->problems, PROBLEM_RECORD, where, why);
}

static int grow(const coco *c, void *items, int64_t n, int64_t *room, size_t size, m2m_error *err)
{
    if (n < *room) return 0;
    int64_t wanted = *room ? *room + *room / 2 : 1024;
    void *p = realloc(*(void **)items, (size_t)wanted * size);
    if (!p) return fail(err, M2M_ENOMEM, "%s: no memory for %lld records", c->source->path, (long long)wanted);
    *(void **)items = p;
    *room = wanted;
    return 0;
}

/* ---- Records ---- */

static int add_picture(coco *c, const json_record *r, const cJSON *o, m2m_error *why, m2m_error *err)
{
    int64_t id, side;
    const char *name;
    int bad = json_int(o, "id", 0, INT64_MAX, &id, why);
    if (!bad) bad = json_text(o, "file_name", &name, why);
    if (!bad) bad = json_or_int(o, "width", 1, 1 << 20, &side, why);
    if (!bad) bad = json_or_int(o, "height", 1, 1 << 20, &side, why);
    if (!bad && !store_is_name(name))
        bad = fail(why, M2M_EFORMAT, "\"file_name\" is \"%.100s\", no name of a file", name);
    if (bad) return 1;
    int rc = grow(c, &c->pictures, c->n_pictures, &c->pictures_room, sizeof *c->pictures, err);
    size_t at = (size_t)(r->text - (const char *)c->maps[c->file].data);
    if (!rc) c->pictures[c->n_pictures++] = (picture){id, at, (uint32_t)r->len, (uint32_t)c->file};
    return rc;
}

/* Square pixels of the object: those of its mask, else of its box. */
static int area_of(const cJSON *o, double *area, m2m_error *why)
{
    double box[4];
    int n = 0, rc = 0;
    *area = -1;
    if (json_member(o, "bbox")) rc = json_reals(o, "bbox", -1e9, 1e9, box, 4, &n, why);
    if (!rc && json_member(o, "bbox") && (n != 4 || box[2] < 0 || box[3] < 0))
        rc = fail(why, M2M_EFORMAT, "\"bbox\" is no box [x, y, width, height]");
    if (!rc && n == 4) *area = box[2] * box[3];
    if (!rc) rc = json_or_real(o, "area", 0, 1e12, area, why);
    return rc || *area >= 0 ? rc : fail(why, M2M_EFORMAT, "it has neither \"area\" nor \"bbox\"");
}

static int add_sight(coco *c, const cJSON *o, m2m_error *why, m2m_error *err)
{
    sight x = {0, 0};
    int64_t id;
    double area;
    int bad = json_int(o, "id", 0, INT64_MAX, &id, why);
    if (!bad) bad = json_int(o, "image_id", 0, INT64_MAX, &x.image, why);
    if (!bad) bad = json_int(o, "category_id", 0, INT64_MAX, &x.category, why);
    if (!bad) bad = area_of(o, &area, why);
    if (bad) return 1;
    if (area < c->source->options->min_area) return 0;
    int rc = grow(c, &c->sights, c->n_sights, &c->sights_room, sizeof *c->sights, err);
    if (!rc) c->sights[c->n_sights++] = x;
    return rc;
}

static int add_category(coco *c, const cJSON *o, m2m_error *why, m2m_error *err)
{
    int64_t id;
    const char *name, *above = "";
    int bad = json_int(o, "id", 0, INT64_MAX, &id, why);
    if (!bad) bad = json_text(o, "name", &name, why);
    if (!bad) bad = json_or_text(o, "supercategory", &above, why);
    for (int64_t i = 0; i < c->n_categories && !bad; i++) {
        if (c->categories[i].id != id) continue;
        if (c->file > 0 && strcmp(c->categories[i].name, name) == 0) return 0;     /* val's are train's */
        bad = fail(why, M2M_EFORMAT, "\"id\" is %lld, as that of a category before", (long long)id);
    }
    if (!bad && c->n_categories == 100000) bad = fail(why, M2M_EFORMAT, "it is one of more than 100000 categories");
    if (bad) return 1;
    int rc = grow(c, &c->categories, c->n_categories, &c->categories_room, sizeof *c->categories, err);
    if (rc) return rc;
    category *x = &c->categories[c->n_categories++];
    *x = (category){.id = id, .name = strdup(name), .group = strdup(above)};
    return x->name && x->group ? 0 : fail(err, M2M_ENOMEM, "%s: no memory for its categories", c->source->path);
}

static int keep_record(coco *c, const json_record *r, m2m_error *err)
{
    cJSON *o = NULL;
    char found[96];
    m2m_error why = {0};
    int rc = r->len > RECORD ? fail(&why, M2M_EFORMAT, "it has %zu bytes, at most %d are read", r->len, RECORD)
                             : json_parse(&o, r->text, r->len, &why);
    if (!rc && !cJSON_IsObject(o))
        rc = fail(&why, M2M_EFORMAT, "it is %s, an object was wanted", json_found(o, found, sizeof found));
    if (rc == M2M_ENOMEM) return fail(err, rc, "%s", why.msg);
    bool bad = rc != 0;
    if (!bad) {
        rc = strcmp(r->list, "images") == 0        ? add_picture(c, r, o, &why, err)
             : strcmp(r->list, "annotations") == 0 ? add_sight(c, o, &why, err)
                                                   : add_category(c, o, &why, err);
        bad = rc > 0;
    }
    if (bad) bad_record(c, r, why.msg);
    cJSON_Delete(o);
    return bad ? 0 : rc;
}

static int read_record(void *user, const json_record *r, m2m_error *err)
{
    coco *c = user;
    const file_map *map = &c->maps[c->file];
    size_t at = (size_t)(r->text - (const char *)map->data) + r->len;
    if (at - c->dropped >= DROP) {
        file_map_drop(map, c->dropped, at - c->dropped);
        c->dropped = at;
    }
    int rc = r->index % 1024 ? 0 : import_progress(c->source, (int64_t)at, (int64_t)map->size, err);
    if (rc || (strcmp(r->list, "images") && strcmp(r->list, "annotations") && strcmp(r->list, "categories"))) return rc;
    c->source->records++;
    return keep_record(c, r, err);
}

static int read_files(coco *c, m2m_error *err)
{
    int rc = 0;
    for (c->file = 0; c->file < c->n_files && !rc; c->file++) {
        file_map *map = &c->maps[c->file];
        c->dropped = 0;
        rc = file_map_open(map, c->paths[c->file], err);
        if (rc) return rc;
        rc = json_walk((const char *)map->data, map->size, read_record, c, err);
        if (rc && rc != M2M_ECANCELLED) fail_prefix(err, rc, "%s", c->paths[c->file]);
        if (!rc) rc = import_progress(c->source, (int64_t)map->size, (int64_t)map->size, err);
        file_map_drop(map, 0, map->size);
    }
    return rc;
}

/* ---- Categories and their images ---- */

static int by_id(const void *a, const void *b)
{
    const picture *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return x->file != y->file ? (x->file < y->file ? -1 : 1) : x->at < y->at ? -1 : x->at > y->at;
}

static int by_category(const void *a, const void *b)
{
    const sight *x = a, *y = b;
    if (x->category != y->category) return x->category < y->category ? -1 : 1;
    return x->image < y->image ? -1 : x->image > y->image;
}

static int by_category_id(const void *a, const void *b)
{
    const category *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void complain(coco *c, const char *what, int64_t id, const char *why)
{
    char where[120];
    snprintf(where, sizeof where, "%s %lld", what, (long long)id);
    problems_add(&c->source->problems, PROBLEM_RECORD, where, why);
}

static void drop_repeated_pictures(coco *c)
{
    int64_t kept = 0;
    if (c->n_pictures) qsort(c->pictures, (size_t)c->n_pictures, sizeof *c->pictures, by_id);
    for (int64_t i = 0; i < c->n_pictures; i++) {
        if (kept && c->pictures[kept - 1].id == c->pictures[i].id)
            complain(c, "image", c->pictures[i].id, "its \"id\" is that of an image before");
        else
            c->pictures[kept++] = c->pictures[i];
    }
    c->n_pictures = kept;
}

/* Ids become places; objects of images or categories that are not there are bad. */
static void resolve(coco *c)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < c->n_sights; i++) {
        sight *x = &c->sights[i];
        const picture wanted = {.id = x->image};
        const category kind = {.id = x->category};
        int64_t low = 0, high = c->n_pictures;
        while (low < high) {
            int64_t middle = low + (high - low) / 2;
            if (c->pictures[middle].id < wanted.id) low = middle + 1;
            else high = middle;
        }
        const category *found = c->n_categories ? bsearch(&kind, c->categories, (size_t)c->n_categories,
                                                          sizeof kind, by_category_id) : NULL;
        char why[120];
        if (!found) {
            snprintf(why, sizeof why, "\"category_id\" is %lld, which is no category", (long long)x->category);
            complain(c, "an object in image", x->image, why);
        } else if (low == c->n_pictures || c->pictures[low].id != x->image) {
            complain(c, "an object in image", x->image, "\"image_id\" is that of no image");
        } else {
            c->sights[kept++] = (sight){low, found - c->categories};
        }
    }
    c->n_sights = kept;
}

/* Each category's images once, in an order drawn by the seed. */
static int shuffle_categories(coco *c, m2m_error *err)
{
    int64_t kept = 0, most = 1;
    if (c->n_sights) qsort(c->sights, (size_t)c->n_sights, sizeof *c->sights, by_category);
    for (int64_t i = 0; i < c->n_sights; i++) {
        if (kept && by_category(&c->sights[kept - 1], &c->sights[i]) == 0) continue;
        category *k = &c->categories[c->sights[i].category];
        if (!k->n++) k->first = kept;
        most = k->n > most ? k->n : most;
        c->sights[kept++] = c->sights[i];
    }
    c->n_sights = kept;
    int *order = most < INT_MAX ? malloc((size_t)most * sizeof *order) : NULL;
    sight *copy = malloc((size_t)most * sizeof *copy);
    for (int64_t i = 0; i < c->n_categories && order && copy; i++) {
        category *k = &c->categories[i];
        rng r = rng_make((uint64_t)c->source->options->seed, RNG_IMPORT, (uint32_t)k->id);
        for (int64_t x = 0; x < k->n; x++) order[x] = (int)x;
        rng_shuffle(&r, order, (int)k->n);
        if (k->n) memcpy(copy, c->sights + k->first, (size_t)k->n * sizeof *copy);
        for (int64_t x = 0; x < k->n; x++) c->sights[k->first + x] = copy[order[x]];
    }
    int rc = order && copy ? 0 : fail(err, M2M_ENOMEM, "%s: no memory to compose sets", c->source->path);
    free(order);
    free(copy);
    return rc;
}

/* `set_size` images each; what is left of a category is a set if it has at least `least`. With `sets`, that many of
 * them, drawn by the seed, in their order. */
static int compose_groups(coco *c, m2m_error *err)
{
    const m2m_import_options *o = c->source->options;
    for (int64_t i = 0; i < c->n_categories; i++) {
        const category *k = &c->categories[i];
        for (int64_t at = 0; at < k->n; at += o->set_size) {
            int64_t n = k->n - at < o->set_size ? k->n - at : o->set_size;
            if (n < o->least) continue;
            int rc = grow(c, &c->groups, c->n_groups, &c->groups_room, sizeof *c->groups, err);
            if (rc) return rc;
            c->groups[c->n_groups++] = (group){k->first + at, (int)i, (int)n};
        }
    }
    if (!o->sets || o->sets >= c->n_groups) return 0;
    rng r = rng_make((uint64_t)o->seed, RNG_IMPORT, UINT32_MAX);
    int64_t kept = 0, wanted = o->sets;
    for (int64_t i = 0; i < c->n_groups; i++) {          /* a selection of wanted - kept of the n - i that are left */
        if (rng_below(&r, (uint32_t)(c->n_groups - i)) >= (uint32_t)(wanted - kept)) continue;
        c->groups[kept++] = c->groups[i];
    }
    c->n_groups = kept;
    return 0;
}

/* ---- The source ---- */

static bool in_split(const char *name, const char *split)
{
    if (strncmp(name, "instances_", 10) != 0 || !path_ends(name, ".json")) return false;
    return strcmp(split, "all") == 0 || strncmp(name + 10, split, strlen(split)) == 0;
}

/* The annotation files below `folder`; 0 when there is none. */
static int find_files(coco *c, const char *folder, m2m_error *err)
{
    char **names;
    int n, rc = 0;
    if (!dir_exists(folder) || dir_list(folder, &names, &n, NULL)) return 0;
    for (int i = 0; i < n && !rc; i++) {
        if (!in_split(names[i], c->source->options->split) || c->n_files == FILES) continue;
        c->paths[c->n_files] = path_join(folder, names[i]);
        if (c->paths[c->n_files]) c->n_files++;
        else rc = fail(err, M2M_ENOMEM, "%s: no memory to open it", folder);
    }
    names_free(&names, n);
    return rc;
}

/* The folder in which the annotations' folder, or the annotations themselves, lie; to be freed. */
static char *root_of(const char *path)
{
    if (dir_exists(path)) return strdup(path);
    size_t n = (size_t)(path_base(path) - path);
    char *dir = n ? strndup(path, n > 1 ? n - 1 : 1) : strdup(".");
    if (!dir || strcmp(path_base(dir), "annotations") != 0) return dir;
    n = (size_t)(path_base(dir) - dir);
    char *above = n ? strndup(dir, n > 1 ? n - 1 : 1) : strdup(".");
    free(dir);
    return above;
}

static int find_annotations(coco *c, m2m_error *err)
{
    const import_source *s = c->source;
    if (file_exists(s->path)) {
        c->paths[0] = strdup(s->path);
        c->n_files = c->paths[0] != NULL;
        return c->n_files ? 0 : fail(err, M2M_ENOMEM, "%s: no memory to open it", s->path);
    }
    if (!dir_exists(s->path)) return fail(err, M2M_EIO, "%s: no such file or directory", s->path);
    char *folder = path_join(s->path, "annotations");
    int rc = folder ? find_files(c, folder, err) : fail(err, M2M_ENOMEM, "%s: no memory to open it", s->path);
    free(folder);
    if (!rc && !c->n_files) rc = find_files(c, s->path, err);
    if (rc || c->n_files) return rc;
    bool all = strcmp(s->options->split, "all") == 0;
    return fail(err, M2M_EIO, "%s: has no annotations/instances_%s*.json", s->path, all ? "" : s->options->split);
}

/* Images of instances_train2017.json lie in train2017/, images/train2017/, images/ or beside. */
static int open_images(coco *c, m2m_error *err)
{
    import_source *s = c->source;
    char names[FILES][256], below[FILES][256];
    const char *folders[FOLDERS] = {NULL}, *const given[] = {"", NULL};
    int n = 0;
    for (int i = 0; i < c->n_files; i++) {
        const char *base = path_base(c->paths[i]), *split = strncmp(base, "instances_", 10) ? base : base + 10;
        int length = (int)strcspn(split, ".");
        length = length < 200 ? length : 200;
        snprintf(names[i], sizeof names[i], "%.*s", length, split);
        snprintf(below[i], sizeof below[i], "images/%.*s", length, split);
        folders[n++] = names[i];
        folders[n++] = below[i];
    }
    folders[n] = "images";
    folders[n + 1] = "";
    char *root = root_of(s->path);
    const char *images = s->options->images;
    int rc = root ? store_open(&s->files, images ? images : root, images ? given : folders, &s->problems, err)
                  : fail(err, M2M_ENOMEM, "%s: no memory to open it", s->path);
    free(root);
    return rc;
}

static int open_coco(import_source *s, m2m_error *err)
{
    coco *c = s->own = calloc(1, sizeof *c);
    if (!c) return fail(err, M2M_ENOMEM, "%s: no memory to open it", s->path);
    c->source = s;
    int rc = find_annotations(c, err);
    if (!rc) rc = read_files(c, err);
    if (!rc && !s->records)
        rc = fail(err, M2M_EFORMAT, "%s: has no \"images\", \"annotations\" and \"categories\"", c->paths[0]);
    if (rc) return rc;
    drop_repeated_pictures(c);
    if (c->n_categories) qsort(c->categories, (size_t)c->n_categories, sizeof *c->categories, by_category_id);
    resolve(c);
    rc = shuffle_categories(c, err);
    if (!rc) rc = compose_groups(c, err);
    s->sets = c->n_groups;
    return rc ? rc : open_images(c, err);
}

static void close_coco(import_source *s)
{
    coco *c = s->own;
    if (!c) return;
    for (int i = 0; i < c->n_files; i++) {
        file_map_close(&c->maps[i]);
        free(c->paths[i]);
    }
    for (int64_t i = 0; i < c->n_categories; i++) {
        free(c->categories[i].name);
        free(c->categories[i].group);
    }
    free(c->pictures);
    free(c->sights);
    free(c->categories);
    free(c->groups);
    free(c);
    s->own = NULL;
}

/* ---- One set ---- */

/* Adds the image of a record to the set; its id and licence go to the lists. */
static int add_image(const coco *c, const picture *p, int number, import_set *set, str *ids, str *licences,
                     m2m_error *err)
{
    cJSON *o = NULL;
    const char *name;
    int64_t licence;
    int rc = json_parse(&o, (const char *)c->maps[p->file].data + p->at, p->len, err);
    if (!rc) rc = json_text(o, "file_name", &name, err);
    if (!rc) {
        import_add(set, number, name, NULL);
        str_printf(ids, "%s%lld", number ? ", " : "", (long long)p->id);
        bool has = json_is_int(json_member(o, "license"), 0, INT64_MAX, &licence);
        if (has) str_printf(licences, "%s%lld", number ? ", " : "", (long long)licence);
        else str_printf(licences, "%snull", number ? ", " : "");
    }
    cJSON_Delete(o);
    return rc;
}

static int read_group(const import_source *s, int64_t index, import_set *set, m2m_error *err)
{
    const coco *c = s->own;
    const group *g = &c->groups[index];
    const category *k = &c->categories[g->category];
    str ids = {0}, licences = {0};
    int rc = 0;
    set->name = strdup(k->name);
    for (int i = 0; i < g->n && !rc; i++)
        rc = add_image(c, &c->pictures[c->sights[g->first + i].image], i, set, &ids, &licences, err);
    str_add(&set->about, ", \"category\": ");
    str_json(&set->about, k->name);
    str_add(&set->about, ", \"supercategory\": ");
    str_json(&set->about, k->group);
    if (!rc) str_printf(&set->about, ", \"image_ids\": [%s], \"licences\": [%s]", ids.data, licences.data);
    str_add(&set->text, k->name);
    set->problems.failed = set->problems.failed || ids.failed || licences.failed;
    str_free(&ids);
    str_free(&licences);
    return rc;
}

const import_kind import_coco = {
    .open = open_coco,
    .read = read_group,
    .close = close_coco,
};
