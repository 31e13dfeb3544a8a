#include "tensor/safetensors.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t MAX_HEADER = 100000000;

typedef struct entry {
    const char *name; /* in the parsed header */
    tensor t;
    uint64_t begin, end; /* bytes after the header */
    void *copy;          /* owned, when the file's data is unaligned */
} entry;

struct safetensors {
    char *path;
    file_map map;
    cJSON *header;
    const cJSON *meta; /* in the header, or NULL */
    entry *entries;    /* sorted by name when open */
    int count;
};

/* ---- Checks ---- */

static int parse_header(safetensors *s, uint64_t *data_at, m2m_error *err)
{
    const uint8_t *p = s->map.data;
    uint64_t length = 0;
    if (s->map.size < 8)
        return fail(err, M2M_EFORMAT, "file has %zu bytes, a header needs 8 or more", s->map.size);
    for (int i = 7; i >= 0; i--) length = length << 8 | p[i];
    if (length > MAX_HEADER)
        return fail(err, M2M_EFORMAT, "header is said to have %llu bytes, at most %llu allowed",
            (unsigned long long)length, (unsigned long long)MAX_HEADER);
    if (length > s->map.size - 8)
        return fail(err, M2M_EFORMAT, "header is said to have %llu bytes, file has %zu",
            (unsigned long long)length, s->map.size);
    if (length < 2 || p[8] != '{') return fail(err, M2M_EFORMAT, "header does not start with '{'");
    *data_at = 8 + length;
    int rc = json_parse(&s->header, (const char *)p + 8, (size_t)length, err);
    return rc ? fail_prefix(err, rc, "header") : 0;
}

static int check_meta(const cJSON *meta, m2m_error *err)
{
    if (!cJSON_IsObject(meta)) return fail(err, M2M_EFORMAT, "__metadata__ is no object");
    for (const cJSON *m = meta->child; m; m = m->next) {
        if (!cJSON_IsString(m))
            return fail(err, M2M_EFORMAT, "__metadata__: \"%.100s\" is no text", m->string);
    }
    return 0;
}

static int read_shape(const cJSON *info, shape *s, m2m_error *err)
{
    const cJSON *list = json_member(info, "shape");
    if (!cJSON_IsArray(list)) return fail(err, M2M_EFORMAT, "\"shape\" is no array");
    int rank = cJSON_GetArraySize(list);
    if (rank > MAX_RANK)
        return fail(
            err, M2M_EUNSUPPORTED, "has %d dimensions, at most %d are supported", rank, MAX_RANK);
    return json_ints(info, "shape", 0, INT64_MAX, s->dim, MAX_RANK, &s->rank, err);
}

static int read_entry(entry *e, const cJSON *info, uint64_t room, m2m_error *err)
{
    const char *type;
    int64_t range[2], count, bytes;
    int n;
    if (!cJSON_IsObject(info)) return fail(err, M2M_EFORMAT, "is no object");
    int rc = json_text(info, "dtype", &type, err);
    if (!rc && !dtype_parse(type, &e->t.type))
        rc = fail(err, M2M_EFORMAT, "dtype \"%.40s\" is unknown", type);
    if (!rc) rc = read_shape(info, &e->t.shape, err);
    if (!rc) rc = json_ints(info, "data_offsets", 0, INT64_MAX, range, 2, &n, err);
    if (rc) return rc;
    if (n != 2) return fail(err, M2M_EFORMAT, "has %d data_offsets, wanted 2", n);
    e->begin = (uint64_t)range[0];
    e->end = (uint64_t)range[1];
    if (e->begin > e->end || e->end > room)
        return fail(err, M2M_EFORMAT, "lies at %llu..%llu, the file has data at 0..%llu",
            (unsigned long long)e->begin, (unsigned long long)e->end, (unsigned long long)room);
    char text[160];
    shape_text(e->t.shape, text, sizeof text);
    if (!shape_count_checked(e->t.shape, &count) ||
        __builtin_mul_overflow(count, (int64_t)dtype_size(e->t.type), &bytes))
        return fail(err, M2M_EFORMAT, "shape %s has more elements than can be counted", text);
    if ((uint64_t)bytes != e->end - e->begin)
        return fail(err, M2M_EFORMAT, "shape %s of %s needs %lld bytes, data_offsets give %llu",
            text, dtype_name(e->t.type), (long long)bytes, (unsigned long long)(e->end - e->begin));
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

/* No holes, no overlap, nothing after the last. */
static int check_places(safetensors *s, uint64_t room, m2m_error *err)
{
    uint64_t at = 0;
    if (s->count) qsort(s->entries, (size_t)s->count, sizeof *s->entries, by_place);
    for (int i = 0; i < s->count; i++) {
        const entry *e = &s->entries[i];
        if (e->begin != at)
            return fail(err, M2M_EFORMAT, "tensor \"%.200s\" begins at %llu, %s at %llu", e->name,
                (unsigned long long)e->begin,
                e->begin < at ? "but the one before ends" : "leaving a hole that begins",
                (unsigned long long)at);
        at = e->end;
    }
    if (at != room)
        return fail(err, M2M_EFORMAT, "tensors end at byte %llu of the data, file at %llu",
            (unsigned long long)at, (unsigned long long)room);
    return 0;
}

/* Points the tensors at their data, copying what is not aligned to its element size. */
static int place_data(safetensors *s, uint64_t data_at, m2m_error *err)
{
    for (int i = 0; i < s->count; i++) {
        entry *e = &s->entries[i];
        size_t size = (size_t)(e->end - e->begin);
        const uint8_t *data = s->map.data + data_at + e->begin;
        e->t.data = (void *)(uintptr_t)data;
        e->t.mapped = true;
        if (size == 0 || (uintptr_t)data % dtype_size(e->t.type) == 0) continue;
        e->copy = malloc(size);
        if (!e->copy)
            return fail(err, M2M_ENOMEM, "no memory for %zu unaligned bytes of tensor \"%.200s\"",
                size, e->name);
        memcpy(e->copy, data, size);
        e->t.data = e->copy;
        e->t.mapped = false;
    }
    return 0;
}

static int read_all(safetensors *s, m2m_error *err)
{
    uint64_t data_at = 0;
    int rc = parse_header(s, &data_at, err);
    if (rc) return rc;
    uint64_t room = s->map.size - data_at;
    int n = cJSON_GetArraySize(s->header);
    s->entries = calloc((size_t)n + 1, sizeof *s->entries);
    if (!s->entries) return fail(err, M2M_ENOMEM, "no memory for %d tensors", n);
    for (const cJSON *m = s->header->child; !rc && m; m = m->next) {
        if (strcmp(m->string, "__metadata__") == 0) {
            s->meta = m;
            rc = check_meta(m, err);
            continue;
        }
        entry *e = &s->entries[s->count++];
        e->name = m->string;
        rc = read_entry(e, m, room, err);
        if (rc) rc = fail_prefix(err, rc, "tensor \"%.150s\"", m->string);
    }
    if (!rc) rc = check_places(s, room, err);
    if (!rc) rc = place_data(s, data_at, err);
    if (!rc && s->count) qsort(s->entries, (size_t)s->count, sizeof *s->entries, by_name);
    return rc;
}

/* ---- The interface ---- */

int safetensors_open(safetensors **out, const char *path, m2m_error *err)
{
    safetensors *s = calloc(1, sizeof *s);
    if (!s || !(s->path = strdup(path))) {
        free(s);
        return fail(err, M2M_ENOMEM, "%s: no memory to open it", path);
    }
    int rc = file_map_open(&s->map, path, err);
    if (!rc) {
        rc = read_all(s, err);
        if (rc) rc = fail_prefix(err, rc, "%s", path);
    }
    if (rc)
        safetensors_close(&s);
    else
        *out = s;
    return rc;
}

void safetensors_close(safetensors **s)
{
    if (!*s) return;
    for (int i = 0; i < (*s)->count; i++) free((*s)->entries[i].copy);
    free((*s)->entries);
    cJSON_Delete((*s)->header);
    file_map_close(&(*s)->map);
    free((*s)->path);
    free(*s);
    *s = NULL;
}

const char *safetensors_path(const safetensors *s)
{
    return s->path;
}

size_t safetensors_bytes(const safetensors *s)
{
    return s->map.size;
}

int safetensors_count(const safetensors *s)
{
    return s->count;
}

const char *safetensors_name(const safetensors *s, int i)
{
    check(i >= 0 && i < s->count, "tensor %d of %d", i, s->count);
    return s->entries[i].name;
}

const tensor *safetensors_at(const safetensors *s, int i)
{
    check(i >= 0 && i < s->count, "tensor %d of %d", i, s->count);
    return &s->entries[i].t;
}

const tensor *safetensors_find(const safetensors *s, const char *name)
{
    entry key = {.name = name};
    const entry *e =
        s->count ? bsearch(&key, s->entries, (size_t)s->count, sizeof key, by_name) : NULL;
    return e ? &e->t : NULL;
}

int safetensors_need(
    const safetensors *s, const char *name, const shape *wanted, const tensor **out, m2m_error *err)
{
    char found[160], want[160];
    const tensor *t = safetensors_find(s, name);
    if (!t) return fail(err, M2M_ESHAPE, "%s: has no tensor \"%s\"", s->path, name);
    if (wanted && !shape_equal(t->shape, *wanted))
        return fail(err, M2M_ESHAPE, "%s: tensor \"%s\" has shape %s, wanted %s", s->path, name,
            shape_text(t->shape, found, sizeof found), shape_text(*wanted, want, sizeof want));
    *out = t;
    return 0;
}

const char *safetensors_meta(const safetensors *s, const char *key)
{
    const cJSON *m = s->meta ? cJSON_GetObjectItemCaseSensitive(s->meta, key) : NULL;
    return m ? m->valuestring : NULL;
}

int safetensors_meta_count(const safetensors *s)
{
    return s->meta ? cJSON_GetArraySize(s->meta) : 0;
}

m2m_text safetensors_meta_at(const safetensors *s, int i)
{
    const cJSON *m = s->meta ? cJSON_GetArrayItem(s->meta, i) : NULL;
    check(m, "text %d of %d", i, safetensors_meta_count(s));
    return (m2m_text){m->string, m->valuestring};
}

void safetensors_sha256(const safetensors *s, char text[SHA256_HEX])
{
    enum { PIECE = 16 << 20 };
    struct sha256_ctx all;
    uint8_t digest[SHA256_BYTES];
    sha256_init(&all);
    for (size_t at = 0; at < s->map.size; at += PIECE) {
        const size_t size = s->map.size - at < PIECE ? s->map.size - at : PIECE;
        sha256_add(&all, (const char *)s->map.data + at, size);
        file_map_drop(&s->map, at, size);
    }
    sha256_digest(&all, sizeof digest, digest);
    sha256_hex(digest, text);
}

void safetensors_drop(const safetensors *s)
{
    file_map_drop(&s->map, 0, s->map.size);
}
