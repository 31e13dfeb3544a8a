#include "data/gallery.h"

#include "base/error.h"
#include "base/file.h"
#include "data/captions.h"
#include "data/shard.h"
#include "image/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH = 4096 };          /* most bytes of a name */

typedef struct picture {
    char *name;
    size_t stem, stem_len;     /* part of the name */
    const shard *shard;        /* NULL: a file */
    int64_t sample;
    int member;
} picture;

struct gallery {
    char *path;
    shard **shards;
    int n_shards;
    picture *items;
    int64_t n, room;
    int64_t *by_stem;
};

/* ---- Collecting ---- */

/* Takes p.name. */
static int add(gallery *g, picture p, m2m_error *err)
{
    if (g->n == g->room) {
        const int64_t room = g->room ? 2 * g->room : 256;
        picture *more = realloc(g->items, (size_t)room * sizeof *more);
        if (more) g->items = more;
        if (more) g->room = room;
    }
    if (!p.name || g->n == g->room) {
        free(p.name);
        return fail(err, M2M_ENOMEM, "%s: no memory for the names of its images", g->path);
    }
    p.stem_len = (size_t)(strrchr(p.name, '.') - p.name) - p.stem;
    g->items[g->n++] = p;
    return 0;
}

static int add_files(gallery *g, char **names, int n, m2m_error *err)
{
    int rc = 0;
    for (int i = 0; i < n && !rc; i++)
        if (names[i][0] != '.' && image_format_of(names[i]) != IMAGE_UNKNOWN)
            rc = add(g, (picture){.name = strdup(names[i])}, err);
    return rc;
}

static char *member_name(const shard *s, int64_t sample, int member, size_t *stem)
{
    str t = {0};
    str_printf(&t, "%s: ", path_base(shard_path(s)));
    *stem = t.len;
    str_printf(&t, "%s.%s", shard_key(s, sample), shard_suffix(s, sample, member));
    return str_take(&t);
}

static int add_shard(gallery *g, const char *path, problems *p, m2m_error *err)
{
    m2m_error why = {0};
    shard **more = realloc(g->shards, ((size_t)g->n_shards + 1) * sizeof *more), *s;
    if (!more) return fail(err, M2M_ENOMEM, "%s: no memory for its shards", g->path);
    g->shards = more;
    if (shard_open(&s, path, &why)) {
        problems_add(p, PROBLEM_SHARD, path, why.msg);
        return 0;
    }
    g->shards[g->n_shards++] = s;
    int rc = 0;
    for (int64_t i = 0; i < shard_samples(s) && !rc; i++)
        for (int m = 0; m < shard_members(s, i) && !rc; m++) {
            picture one = {.shard = s, .sample = i, .member = m};
            one.name = member_name(s, i, m, &one.stem);
            if (one.name && image_format_of(one.name) == IMAGE_UNKNOWN) free(one.name);
            else rc = add(g, one, err);
        }
    return rc;
}

static int add_shards(gallery *g, char **names, int n, problems *p, m2m_error *err)
{
    int rc = 0;
    for (int i = 0; i < n && !rc; i++) {
        if (!path_ends(names[i], ".tar")) continue;
        char *path = path_join(g->path, names[i]);
        rc = path ? add_shard(g, path, p, err) : fail(err, M2M_ENOMEM, "%s: no memory for a path", g->path);
        free(path);
    }
    return rc;
}

static int collect(gallery *g, problems *p, m2m_error *err)
{
    char **names;
    int n, tars = 0;
    if (!dir_exists(g->path)) {
        if (path_ends(g->path, ".tar") && file_exists(g->path)) return add_shard(g, g->path, p, err);
        return fail(err, M2M_EIO, "%s: is no folder, wanted one of images or of shards (.tar)", g->path);
    }
    int rc = dir_list(g->path, &names, &n, err);
    if (rc) return rc;
    for (int i = 0; i < n; i++) tars += path_ends(names[i], ".tar");
    rc = tars ? add_shards(g, names, n, p, err) : add_files(g, names, n, err);
    names_free(&names, n);
    return rc;
}

/* ---- Order ---- */

static int compare_stems(const char *a, size_t na, const char *b, size_t nb)
{
    const int c = memcmp(a, b, na < nb ? na : nb);
    return c ? c : (na > nb) - (na < nb);
}

static int by_stem(const void *a, const void *b, void *user)
{
    const picture *items = user, *p = &items[*(const int64_t *)a], *q = &items[*(const int64_t *)b];
    return compare_stems(p->name + p->stem, p->stem_len, q->name + q->stem, q->stem_len);
}

static int sort(gallery *g, m2m_error *err)
{
    g->by_stem = malloc((size_t)g->n * sizeof *g->by_stem);
    if (!g->by_stem) return fail(err, M2M_ENOMEM, "%s: no memory for the names of its images", g->path);
    for (int64_t i = 0; i < g->n; i++) g->by_stem[i] = i;
    qsort_r(g->by_stem, (size_t)g->n, sizeof *g->by_stem, by_stem, g->items);
    return 0;
}

int64_t gallery_find(const gallery *g, const char *stem, size_t n)
{
    int64_t low = 0, high = g->n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const picture *p = &g->items[g->by_stem[middle]];
        if (compare_stems(p->name + p->stem, p->stem_len, stem, n) < 0) low = middle + 1;
        else high = middle;
    }
    for (int k = 0; k < 2; k++) {
        const picture *p = low + k < g->n ? &g->items[g->by_stem[low + k]] : NULL;
        if (!p || compare_stems(p->name + p->stem, p->stem_len, stem, n))
            return k ? g->by_stem[low] : GALLERY_NONE;
    }
    return GALLERY_SEVERAL;
}

/* ---- Opening ---- */

int gallery_open(gallery **out, const char *path, problems *p, m2m_error *err)
{
    gallery *g = calloc(1, sizeof *g);
    int rc = g && (g->path = strdup(path)) ? 0 : fail(err, M2M_ENOMEM, "%s: no memory to open it", path);
    if (!rc) rc = collect(g, p, err);
    if (!rc && !g->n)
        rc = fail(err, M2M_EFORMAT, "%s: holds no image that can be read (.png, .jpg, .jpeg, .webp)%s", path,
                  problems_total(p) ? "; see the problems above" : "");
    if (!rc) rc = sort(g, err);
    if (rc) gallery_close(&g);
    *out = g;
    return rc;
}

void gallery_close(gallery **out)
{
    gallery *g = *out;
    if (!g) return;
    for (int64_t i = 0; i < g->n; i++) free(g->items[i].name);
    for (int i = 0; i < g->n_shards; i++) shard_close(&g->shards[i]);
    free(g->items);
    free(g->by_stem);
    free(g->shards);
    free(g->path);
    free(g);
    *out = NULL;
}

bool gallery_is_shards(const gallery *g) { return g->n_shards > 0; }
int64_t gallery_count(const gallery *g) { return g->n; }
const char *gallery_name(const gallery *g, int64_t i) { return g->items[i].name; }

const char *gallery_stem(const gallery *g, int64_t i, size_t *n)
{
    *n = g->items[i].stem_len;
    return g->items[i].name + g->items[i].stem;
}

/* ---- Reading ---- */

int gallery_read(const gallery *g, int64_t i, m2m_image *img, m2m_error *err)
{
    const picture *p = &g->items[i];
    if (p->shard) {
        size_t size;
        const uint8_t *data = shard_data(p->shard, p->sample, p->member, &size);
        return image_decode(img, data, size, p->name, err);
    }
    char *path = path_join(g->path, p->name);
    int rc = path ? m2m_image_load(img, path, err) : fail(err, M2M_ENOMEM, "%s: no memory for a path", p->name);
    free(path);
    return rc;
}

static int file_caption(const gallery *g, const picture *p, char **caption, m2m_error *err)
{
    char name[PATH], *text = NULL;
    size_t size = 0;
    if (p->stem_len + 5 > sizeof name) return fail(err, M2M_EFORMAT, "its name is too long");
    snprintf(name, sizeof name, "%.*s.txt", (int)p->stem_len, p->name);
    char *path = path_join(g->path, name);
    int rc = path ? 0 : fail(err, M2M_ENOMEM, "no memory for a path");
    if (!rc && !file_exists(path)) rc = fail(err, M2M_EFORMAT, "has no caption, wanted a file %s", name);
    if (!rc) rc = file_read_all(path, CAPTION_BYTES, &text, &size, err);
    if (!rc) rc = caption_take(text, size, caption, err);
    free(text);
    free(path);
    return rc;
}

int gallery_caption(const gallery *g, int64_t i, char **caption, m2m_error *err)
{
    const picture *p = &g->items[i];
    *caption = NULL;
    if (!p->shard) return file_caption(g, p, caption, err);
    caption_member found[2] = {{0}, {0}};
    for (int k = 0; k < 2; k++) {
        const int member = shard_find(p->shard, p->sample, k ? "json" : "txt");
        if (member >= 0) found[k].data = (const char *)shard_data(p->shard, p->sample, member, &found[k].size);
    }
    return caption_choose(found[0], found[1], caption, err);
}
