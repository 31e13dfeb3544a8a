#include "data/shard.h"

#include "base/error.h"
#include "base/file.h"
#include "base/str.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct member {
    size_t suffix;             /* its text's place in names */
    int64_t offset, size;
} member;

typedef struct record {
    size_t key;
    int64_t first;             /* its first member */
    int count;
} record;

struct shard {
    char *path;
    file_map map;
    char *names;               /* keys and suffixes, each ended by 0 */
    size_t names_used, names_room;
    member *members;
    int64_t n_members, members_room;
    record *records;
    int64_t n_records, records_room;
    int64_t skipped;
    int64_t *order;            /* samples by key; NULL before shard_sort */
};

/* ---- Names ---- */

size_t shard_split(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    const char *dot = strchr(base, '.');
    return dot && dot != base ? (size_t)(dot - name) : 0;
}

bool shard_is_meta(const char *name)
{
    if (strncmp(name, "__", 2) != 0) return false;
    size_t n = strcspn(name, "/");
    return n >= 5 && name[n - 1] == '_' && name[n - 2] == '_';
}

bool shard_is_name(const char *s)
{
    if (!utf8_valid(s, strlen(s))) return false;
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7F) return false;
    return true;
}

/* ---- The index ---- */

static bool grow(void *items, int64_t used, int64_t *room, size_t size)
{
    if (used < *room) return true;
    int64_t wanted = *room ? *room * 2 : 64;
    void *p = realloc(*(void **)items, (size_t)wanted * size);
    if (!p) return false;
    *(void **)items = p;
    *room = wanted;
    return true;
}

static bool keep_name(shard *s, const char *text, size_t len, size_t *place)
{
    if (s->names_room - s->names_used < len + 1) {
        size_t wanted = (s->names_room + len + 1) * 2;
        char *p = realloc(s->names, wanted);
        if (!p) return false;
        s->names = p;
        s->names_room = wanted;
    }
    *place = s->names_used;
    memcpy(s->names + s->names_used, text, len);
    s->names[s->names_used + len] = 0;
    s->names_used += len + 1;
    return true;
}

static bool same_key(const shard *s, const char *name, size_t key_len)
{
    if (!s->n_records) return false;
    const char *key = s->names + s->records[s->n_records - 1].key;
    return strlen(key) == key_len && memcmp(key, name, key_len) == 0;
}

static int add_member(shard *s, const char *name, int64_t offset, int64_t size, m2m_error *err)
{
    size_t key_len = shard_split(name);
    if (!key_len || shard_is_meta(name)) {
        s->skipped++;
        return 0;
    }
    member m = {0, offset, size};
    bool kept = grow(&s->members, s->n_members, &s->members_room, sizeof *s->members)
                && grow(&s->records, s->n_records, &s->records_room, sizeof *s->records);
    if (kept && !same_key(s, name, key_len)) {
        record r = {0, s->n_members, 0};
        kept = keep_name(s, name, key_len, &r.key);
        if (kept) s->records[s->n_records++] = r;
    }
    if (!kept || !keep_name(s, name + key_len + 1, strlen(name + key_len + 1), &m.suffix))
        return fail(err, M2M_ENOMEM, "%s: no memory for the index after %lld members", s->path,
                    (long long)s->n_members);
    record *r = &s->records[s->n_records - 1];
    char *suffix = s->names + m.suffix;
    for (char *c = suffix; *c; c++) *c = (char)tolower((unsigned char)*c);
    for (int i = 0; i < r->count; i++)
        if (strcmp(s->names + s->members[r->first + i].suffix, suffix) == 0)
            return fail(err, M2M_EFORMAT, "%s: sample \"%s\" has two members \".%s\"; wanted one", s->path,
                s->names + r->key, suffix);
    if (++r->count > SHARD_MEMBERS)
        return fail(err, M2M_EFORMAT, "%s: sample \"%s\" has more than %d members", s->path, s->names + r->key,
            SHARD_MEMBERS);
    s->members[s->n_members++] = m;
    return 0;
}

static int add_entry(shard *s, struct archive *a, struct archive_entry *e, m2m_error *err)
{
    const char *name = archive_entry_pathname(e);
    if (!name) name = archive_entry_pathname_utf8(e);     /* pax names, when the locale can't say them */
    if (!name || !shard_is_name(name) || strlen(name) > SHARD_NAME)
        return fail(err, M2M_EFORMAT, "%s: member %lld: its name is no UTF-8 text of at most %d bytes", s->path,
            (long long)(s->n_members + s->skipped), SHARD_NAME);
    if (archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e)) {
        s->skipped++;
        return 0;
    }
    int64_t offset = archive_filter_bytes(a, 0), size = archive_entry_size(e);
    if (size < 0 || size > SHARD_BYTES)
        return fail(err, M2M_EFORMAT, "%s: member \"%s\" has %lld bytes; at most %lld are read", s->path, name,
            (long long)size, (long long)SHARD_BYTES);
    if (archive_entry_sparse_count(e) > 0)
        return fail(err, M2M_EFORMAT, "%s: member \"%s\" is a sparse file; wanted a plain one", s->path, name);
    if (offset < 512 || offset % 512 || (uint64_t)offset > s->map.size ||
        (uint64_t)size > s->map.size - (uint64_t)offset)
        return fail(err, M2M_EFORMAT, "%s: member \"%s\" would end at byte %lld; the file has %zu", s->path, name,
            (long long)(offset + size), s->map.size);
    return add_member(s, name, offset, size, err);
}

static int read_index(shard *s, m2m_error *err)
{
    struct archive *a = archive_read_new();
    if (!a) return fail(err, M2M_ENOMEM, "%s: no memory to read it", s->path);
    int rc = 0, status = archive_read_support_format_tar(a);
    if (status == ARCHIVE_OK) status = archive_read_open_memory(a, s->map.data, s->map.size);
    while (!rc && status == ARCHIVE_OK) {
        struct archive_entry *e;
        status = archive_read_next_header(a, &e);
        if (status == ARCHIVE_OK || status == ARCHIVE_WARN) {
            rc = add_entry(s, a, e, err);
            status = ARCHIVE_OK;
        }
    }
    if (!rc && status != ARCHIVE_EOF) {
        const char *why = archive_error_string(a);
        rc = fail(err, M2M_EFORMAT, "%s: no sound tar file after %lld members: %s", s->path,
            (long long)(s->n_members + s->skipped), why ? why : "unknown damage");
    }
    archive_read_free(a);
    return rc;
}

int shard_open(shard **out, const char *path, m2m_error *err)
{
    shard *s = calloc(1, sizeof *s);
    char *copy = strdup(path);
    if (!s || !copy) {
        free(s);
        free(copy);
        return fail(err, M2M_ENOMEM, "%s: no memory to open it", path);
    }
    s->path = copy;
    int rc = file_map_open(&s->map, path, err);
    if (!rc) rc = read_index(s, err);
    if (rc)
        shard_close(&s);
    else
        *out = s;
    return rc;
}

void shard_close(shard **s)
{
    if (!*s) return;
    file_map_close(&(*s)->map);
    free((*s)->path);
    free((*s)->names);
    free((*s)->members);
    free((*s)->records);
    free((*s)->order);
    free(*s);
    *s = NULL;
}

/* ---- Looking ---- */

static const record *record_at(const shard *s, int64_t sample)
{
    check(sample >= 0 && sample < s->n_records, "sample %lld of %lld", (long long)sample, (long long)s->n_records);
    return &s->records[sample];
}

static const member *member_at(const shard *s, int64_t sample, int i)
{
    const record *r = record_at(s, sample);
    check(i >= 0 && i < r->count, "member %d of %d", i, r->count);
    return &s->members[r->first + i];
}

const char *shard_path(const shard *s)
{
    return s->path;
}

int64_t shard_samples(const shard *s)
{
    return s->n_records;
}

int64_t shard_skipped(const shard *s)
{
    return s->skipped;
}

const char *shard_key(const shard *s, int64_t sample)
{
    return s->names + record_at(s, sample)->key;
}

int shard_members(const shard *s, int64_t sample)
{
    return record_at(s, sample)->count;
}

const char *shard_suffix(const shard *s, int64_t sample, int i)
{
    return s->names + member_at(s, sample, i)->suffix;
}

const uint8_t *shard_data(const shard *s, int64_t sample, int i, size_t *size)
{
    const member *m = member_at(s, sample, i);
    *size = (size_t)m->size;
    return s->map.data + m->offset;
}

int shard_find(const shard *s, int64_t sample, const char *suffix)
{
    for (int i = 0; i < shard_members(s, sample); i++)
        if (strcmp(shard_suffix(s, sample, i), suffix) == 0) return i;
    return -1;
}

/* ---- By name ---- */

static int by_key(const void *a, const void *b, void *user)
{
    const shard *s = user;
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    int order = strcmp(shard_key(s, x), shard_key(s, y));
    return order ? order : x < y ? -1 : x > y;
}

int shard_sort(shard *s, m2m_error *err)
{
    if (s->order) return 0;
    int64_t *order = malloc(((size_t)s->n_records + 1) * sizeof *order);
    if (!order)
        return fail(err, M2M_ENOMEM, "%s: no memory for its %lld names", s->path, (long long)s->n_records);
    for (int64_t i = 0; i < s->n_records; i++) order[i] = i;
    qsort_r(order, (size_t)s->n_records, sizeof *order, by_key, s);
    s->order = order;
    return 0;
}

const uint8_t *shard_locate(const shard *s, const char *name, size_t *size)
{
    size_t len = shard_split(name);
    check(s->order != NULL, "%s is not sorted", s->path);
    if (!len) return NULL;
    int64_t low = 0, high = s->n_records;      /* the first key that is not less */
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        const char *key = shard_key(s, s->order[middle]);
        int order = strncmp(key, name, len);
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    if (low == s->n_records) return NULL;
    int64_t sample = s->order[low];
    const char *key = shard_key(s, sample);
    if (strlen(key) != len || memcmp(key, name, len) != 0) return NULL;
    int place = shard_find(s, sample, name + len + 1);
    return place < 0 ? NULL : shard_data(s, sample, place, size);
}
