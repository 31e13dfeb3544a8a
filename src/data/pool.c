#include "data/pool.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "data/pool_group.h"
#include "data/shard.h"
#include "image/codec.h"
#include "image/resize.h"

#include <stdlib.h>
#include <string.h>

struct pool {
    cJSON **lines;             /* the index: the drawings' texts belong to them */
    int n_lines;
    drawing *drawings;
    int n, skipped;
    group_list groups;
    char *dir;
};

/* ---- The index ---- */

static int read_line(pool *p, const char *split, const char *text, size_t len, m2m_error *err)
{
    cJSON *o = NULL;
    int rc = json_parse(&o, text, len, err);
    if (rc) return rc;
    drawing d = {.category = "", .group = "", .caption = "", .tar = NULL};
    const char *own = NULL;
    const struct { const char *key, **to; bool must; } fields[] = {
        {"split", &own, true}, {"key", &d.key, true}, {"style", &d.style, true}, {"name", &d.name, true},
        {"subject", &d.subject, true}, {"file", &d.file, true}, {"tar", &d.tar, true},
        {"category", &d.category, false}, {"group", &d.group, false}, {"caption", &d.caption, false}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields && !rc; i++)
        rc = (fields[i].must ? json_text : json_or_text)(o, fields[i].key, fields[i].to, err);
    if (rc || strcmp(own, split) != 0) {
        cJSON_Delete(o);
        return rc;
    }
    p->lines[p->n_lines++] = o;
    p->drawings[p->n++] = d;
    return 0;
}

static int read_index(pool *p, const char *path, const char *split, m2m_error *err)
{
    char *text;
    size_t size, lines = 1;
    int rc = file_read_all(path, (size_t)1 << 30, &text, &size, err);
    if (rc) return rc;
    for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
    p->lines = calloc(lines, sizeof *p->lines);
    p->drawings = calloc(lines, sizeof *p->drawings);
    if (!p->lines || !p->drawings) rc = fail(err, M2M_ENOMEM, "%s: no memory for %zu lines", path, lines);
    const char *at = text, *line;
    size_t n;
    for (int64_t number = 1; !rc && text_line(&at, text + size, &line, &n); number++) {
        if (n) rc = read_line(p, split, line, n, err);
        if (rc) fail_prefix(err, rc, "%s, line %lld", path, (long long)number);
    }
    if (!rc && !p->n) rc = fail(err, M2M_EFORMAT, "%s: no drawing has the split \"%s\"", path, split);
    free(text);
    return rc;
}

/* ---- The tars ---- */

static int tar_open(shard **s, const char *dir, const char *name, m2m_error *err)
{
    char *path = path_join(dir, name);
    if (!path) return fail(err, M2M_ENOMEM, "%s: no memory to open it", name);
    int rc = shard_open(s, path, err);
    free(path);
    if (rc) return rc;
    rc = shard_sort(*s, err);
    if (rc) shard_close(s);
    return rc;
}

static colour mean_of(const m2m_image *img)
{
    double sum[4] = {0};
    for (size_t i = 0; i < (size_t)img->width * (size_t)img->height; i++) {
        const uint8_t *px = img->data + i * 4;
        for (int c = 0; c < 3; c++) sum[c] += px[c] / 255.0 * px[3];
        sum[3] += px[3];
    }
    colour m = {{0}};
    for (int c = 0; c < 3 && sum[3] > 0; c++) m.c[c] = (float)(sum[c] / sum[3]);
    return m;
}

static int with_alpha(m2m_image *img)
{
    if (img->channels == 4) return 0;
    m2m_image rgba;
    if (m2m_image_new(&rgba, img->width, img->height, 4, NULL)) return M2M_ENOMEM;
    for (size_t i = 0; i < (size_t)img->width * (size_t)img->height; i++) {
        memcpy(rgba.data + i * 4, img->data + i * 3, 3);
        rgba.data[i * 4 + 3] = 255;
    }
    m2m_image_free(img);
    *img = rgba;
    return 0;
}

/* Decodes one drawing; false when its image can't be used. */
static bool decode(drawing *d, const uint8_t *data, size_t size, int side)
{
    if (!data || image_decode(&d->image, data, size, d->key, NULL)) return false;
    bool ok = with_alpha(&d->image) == 0;
    int longer = d->image.width > d->image.height ? d->image.width : d->image.height;
    if (ok && longer > side) {
        m2m_image small;
        int w = d->image.width * side / longer, h = d->image.height * side / longer;
        ok = image_resize(&small, &d->image, w ? w : 1, h ? h : 1, RESIZE_BOX, NULL) == 0;
        if (ok) {
            m2m_image_free(&d->image);
            d->image = small;
        }
    }
    if (!ok) m2m_image_free(&d->image);
    d->mean = ok ? mean_of(&d->image) : d->mean;
    return ok;
}

/* Decodes the run of drawings [from, to) that lie in one tar. */
static int decode_tar(pool *p, int from, int to, int side, int threads, m2m_error *err)
{
    shard *s = NULL;
    int rc = tar_open(&s, p->dir, p->drawings[from].tar, err);
    if (rc) return rc;
#pragma omp parallel for schedule(dynamic, 16) num_threads(threads)
    for (int i = from; i < to; i++) {
        size_t size = 0;
        const uint8_t *data = shard_locate(s, p->drawings[i].file, &size);
        decode(&p->drawings[i], data, size, side);
    }
    shard_close(&s);
    return 0;
}

static int decode_all(pool *p, int side, int threads, m2m_error *err)
{
    for (int from = 0, to; from < p->n; from = to) {
        for (to = from + 1; to < p->n && strcmp(p->drawings[to].tar, p->drawings[from].tar) == 0;) to++;
        int rc = decode_tar(p, from, to, side, threads, err);
        if (rc) return rc;
    }
    int kept = 0;
    for (int i = 0; i < p->n; i++)
        if (p->drawings[i].image.data) p->drawings[kept++] = p->drawings[i];
    p->skipped = p->n - kept;
    p->n = kept;
    return kept ? 0 : fail(err, M2M_EFORMAT, "%s: none of its %d drawings can be decoded", p->dir, p->skipped);
}

/* ---- The pool ---- */

int pool_open(pool **out, const char *dir, const char *split, int size, int threads, m2m_error *err)
{
    pool *p = calloc(1, sizeof *p);
    char *path = path_join(dir, "index.jsonl");
    if (p) p->dir = strdup(dir);
    int rc = p && path && p->dir ? 0 : fail(err, M2M_ENOMEM, "%s: no memory to open it", dir);
    if (!rc) rc = read_index(p, path, split, err);
    if (!rc) rc = decode_all(p, size * 4, threads, err);
    if (!rc) rc = group_list_make(&p->groups, p->drawings, p->n, err);
    free(path);
    if (rc)
        pool_close(&p);
    else
        *out = p;
    return rc;
}

void pool_close(pool **pp)
{
    pool *p = *pp;
    if (!p) return;
    for (int i = 0; i < p->n; i++) m2m_image_free(&p->drawings[i].image);
    for (int i = 0; i < p->n_lines; i++) cJSON_Delete(p->lines[i]);
    group_list_free(&p->groups);
    free(p->drawings);
    free(p->lines);
    free(p->dir);
    free(p);
    *pp = NULL;
}

int pool_count(const pool *p)
{
    return p->n;
}

int pool_skipped(const pool *p)
{
    return p->skipped;
}

const drawing *pool_at(const pool *p, int i)
{
    check(i >= 0 && i < p->n, "drawing %d of %d", i, p->n);
    return &p->drawings[i];
}

const pool_group *pool_related(const pool *p, int n, rng *r)
{
    double at = rng_real(r);
    group_kind first = at < 0.55 ? GROUP_UNICODE : at < 0.75 ? GROUP_WORD : GROUP_CATEGORY;
    const pool_group *g = group_list_pick(&p->groups, first, n, r);
    for (group_kind kind = GROUP_UNICODE; !g && kind <= GROUP_WORD; kind++)
        g = group_list_pick(&p->groups, kind, n, r);
    return g;
}

const pool_group *pool_subject(const pool *p, int n, rng *r)
{
    return group_list_pick(&p->groups, GROUP_SUBJECT, n, r);
}
