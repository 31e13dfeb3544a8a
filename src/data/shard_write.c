/* Writing shards, in one go or over several runs: see shard.h. */
#include "data/shard.h"

#include "base/error.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/str.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TAR_UNIT = 512, TAR_RECORD = 20 * TAR_UNIT };      /* a tar file's size is a multiple of the second */

struct shard_writer {
    file_out *file;            /* of shard_create: beside the path until it is complete */
    struct archive *tar;
    char *path;
    m2m_error wrong;           /* the first write that failed; code 0: none */
    /* of shard_continue */
    char *part;                /* its name; NULL: of shard_create */
    lock lock;                 /* of the part */
    int64_t end;               /* bytes of complete samples */
    int64_t at;                /* bytes written */
    bool going;                /* end is known: what is behind it may be cut off */
    bool failed;               /* nothing can be added any more */
    str keys;                  /* of the samples that were there, each ended by 0 */
    int64_t kept, added;
};

/* ---- Where bytes go ---- */

static int push(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno != EINTR) return errno;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

/* Trap: an archive whose callback fails is never closed by libarchive (3.6) and leaks, so failures are kept here. */
static la_ssize_t write_block(struct archive *a, void *user, const void *data, size_t size)
{
    shard_writer *w = user;
    (void)a;
    if (w->wrong.code) return (la_ssize_t)size;
    if (w->file) {
        file_out_write(w->file, data, size, &w->wrong);
    } else {
        int number = push(w->lock.fd, data, size);
        if (number) fail(&w->wrong, M2M_EIO, "%s: can't write it: %s", w->part, strerror(number));
        else w->at += (int64_t)size;
    }
    return (la_ssize_t)size;
}

static const char *why(const shard_writer *w)
{
    const char *text = archive_error_string(w->tar);
    return text ? text : "unknown reason";
}

/* What an archive's call and the writing behind it came to; name: of a member, or NULL. */
static int judge(const shard_writer *w, bool good, const char *name, m2m_error *err)
{
    if (w->wrong.code) return fail(err, w->wrong.code, "%s", w->wrong.msg);
    if (good) return 0;
    return fail(err, M2M_EIO, "%s: can't write %s: %s", w->path, name ? name : "its end", why(w));
}

/* ---- Opening ---- */

static shard_writer *new_writer(const char *path, m2m_error *err)
{
    shard_writer *w = calloc(1, sizeof *w);
    if (w) {
        w->lock.fd = -1;
        w->path = strdup(path);
        w->tar = archive_write_new();
    }
    if (w && w->path && w->tar && archive_write_set_format_ustar(w->tar) == ARCHIVE_OK) return w;
    shard_abandon(&w);
    fail(err, M2M_ENOMEM, "%s: no memory to write it", path);
    return NULL;
}

static int start_tar(shard_writer *w, m2m_error *err)
{
    if (archive_write_open(w->tar, w, NULL, write_block, NULL) == ARCHIVE_OK) return 0;
    return fail(err, M2M_EIO, "%s: can't start a tar file: %s", w->path, why(w));
}

int shard_create(shard_writer **out, const char *path, m2m_error *err)
{
    shard_writer *w = new_writer(path, err);
    if (!w) return M2M_ENOMEM;
    int rc = file_out_open(&w->file, path, err);
    if (!rc) rc = start_tar(w, err);
    if (rc) shard_abandon(&w);
    else *out = w;
    return rc;
}

/* ---- Going on ---- */

/* Where the member that the archive stands at ends, padding included; 0: not a member of a sample, or not all there. */
static int64_t member_end(struct archive *a, struct archive_entry *e, size_t file_size)
{
    const char *name = archive_entry_pathname(e);
    int64_t at = archive_filter_bytes(a, 0), size = archive_entry_size(e);
    if (!name || !shard_split(name) || archive_entry_filetype(e) != AE_IFREG) return 0;
    if (size < 0 || size > SHARD_BYTES) return 0;
    int64_t end = at + (size + TAR_UNIT - 1) / TAR_UNIT * TAR_UNIT;
    return end <= (int64_t)file_size ? end : 0;
}

/* Finds the complete samples at the beginning of the part. */
static int find_samples(shard_writer *w, const file_map *map, int members, m2m_error *err)
{
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    char key[SHARD_NAME + 1] = "";
    int count = 0;
    if (!a) return fail(err, M2M_ENOMEM, "%s: no memory to read it", w->part);
    int status = archive_read_support_format_tar(a);
    if (status == ARCHIVE_OK) status = archive_read_open_memory(a, map->data, map->size);
    while (status == ARCHIVE_OK && archive_read_next_header(a, &e) == ARCHIVE_OK) {
        int64_t end = member_end(a, e, map->size);
        if (!end) break;
        const char *name = archive_entry_pathname(e);
        size_t n = shard_split(name);
        if (n > SHARD_NAME) break;
        if (strncmp(key, name, n) != 0 || key[n]) {
            memcpy(key, name, n);
            key[n] = 0;
            count = 0;
        }
        if (++count < members) continue;
        str_bytes(&w->keys, key, n + 1);
        w->kept++;
        w->end = end;
    }
    archive_read_free(a);
    return w->keys.failed ? fail(err, M2M_ENOMEM, "%s: no memory for its index", w->part) : 0;
}

/* Cuts off what is behind the last complete sample, and goes there. */
static int cut_part(shard_writer *w, m2m_error *err)
{
    if (ftruncate(w->lock.fd, w->end) || lseek(w->lock.fd, w->end, SEEK_SET) != w->end)
        return fail(err, M2M_EIO, "%s: can't go on with it: %s", w->part, strerror(errno));
    w->at = w->end;
    return 0;
}

static int open_part(shard_writer *w, int members, m2m_error *err)
{
    if (asprintf(&w->part, "%s.part", w->path) < 0) {
        w->part = NULL;
        return fail(err, M2M_ENOMEM, "%s: no memory to write it", w->path);
    }
    int rc = lock_open(&w->lock, w->part, err);
    if (rc) return rc;
    w->going = file_exists(w->path);
    if (w->going) return 1;
    file_map map;
    rc = file_map_open(&map, w->part, err);
    if (rc) return rc;
    if (map.size) rc = find_samples(w, &map, members, err);
    file_map_close(&map);
    if (rc) return rc;
    w->going = true;
    return cut_part(w, err);
}

int shard_continue(shard_writer **out, const char *path, int members, m2m_error *err)
{
    check(members >= 1, "%d members", members);
    shard_writer *w = new_writer(path, err);
    if (!w) return M2M_ENOMEM;
    int rc = open_part(w, members, err);
    /* Unbuffered: what shard_add wrote is in the file. */
    if (!rc && (archive_write_set_bytes_per_block(w->tar, 0) || archive_write_set_bytes_in_last_block(w->tar, 1)))
        rc = fail(err, M2M_EIO, "%s: can't start a tar file: %s", path, why(w));
    if (!rc) rc = start_tar(w, err);
    if (rc) shard_abandon(&w);
    else *out = w;
    return rc;
}

int64_t shard_kept(const shard_writer *w)
{
    return w->kept;
}

const char *shard_kept_key(const shard_writer *w, int64_t i)
{
    check(i >= 0 && i < w->kept, "sample %lld of %lld", (long long)i, (long long)w->kept);
    const char *key = w->keys.data;
    while (i--) key += strlen(key) + 1;
    return key;
}

bool shard_is_locked(const shard_writer *w)
{
    return !w->part || w->lock.held;
}

/* ---- Adding ---- */

static int add_file(shard_writer *w, const char *name, const shard_field *f, m2m_error *err)
{
    struct archive_entry *e = archive_entry_new();
    if (!e) return fail(err, M2M_ENOMEM, "%s: no memory for \"%s\"", w->path, name);
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0444);
    archive_entry_set_size(e, (la_int64_t)f->size);
    archive_entry_set_mtime(e, 0, 0);
    archive_entry_set_uname(e, "bigdata");
    archive_entry_set_gname(e, "bigdata");
    bool good = archive_write_header(w->tar, e) == ARCHIVE_OK &&
                (!f->size || archive_write_data(w->tar, f->data, f->size) == (la_ssize_t)f->size) &&
                archive_write_finish_entry(w->tar) == ARCHIVE_OK;
    archive_entry_free(e);
    return judge(w, good, name, err);
}

static int by_suffix(const void *a, const void *b)
{
    return strcmp((*(const shard_field *const *)a)->suffix, (*(const shard_field *const *)b)->suffix);
}

/* Only names that shard_split takes apart again the same way. */
static int check_names(const char *key, const shard_field *f, m2m_error *err)
{
    char name[SHARD_NAME];
    int n = snprintf(name, sizeof name, "%s.%s", key, f->suffix);
    bool fits = key[0] && n > 0 && n < (int)sizeof name && shard_is_name(name) && !shard_is_meta(name) && f->suffix[0];
    for (const char *c = f->suffix; *c; c++) fits = fits && !isupper((unsigned char)*c) && *c != '/';
    if (!fits || shard_split(name) != strlen(key))
        return fail(err, M2M_EINVAL, "\"%s\" and \"%s\" are no key and suffix of a sample", key, f->suffix);
    return 0;
}

static int add_sample(shard_writer *w, const char *key, const shard_field *fields, int n, m2m_error *err)
{
    if (n < 1 || n > SHARD_MEMBERS)
        return fail(err, M2M_EINVAL, "sample \"%s\" has %d members; wanted 1..%d", key, n, SHARD_MEMBERS);
    const shard_field **order = malloc((size_t)n * sizeof *order);
    if (!order) return fail(err, M2M_ENOMEM, "%s: no memory for \"%s\"", w->path, key);
    int rc = 0;
    for (int i = 0; i < n; i++) order[i] = &fields[i];
    qsort(order, (size_t)n, sizeof *order, by_suffix);
    for (int i = 0; i < n && !rc; i++) {
        rc = check_names(key, order[i], err);
        if (!rc && i && strcmp(order[i]->suffix, order[i - 1]->suffix) == 0)
            rc = fail(err, M2M_EINVAL, "sample \"%s\" has two members \".%s\"", key, order[i]->suffix);
    }
    for (int i = 0; i < n && !rc; i++) {
        char name[SHARD_NAME];
        snprintf(name, sizeof name, "%s.%s", key, order[i]->suffix);
        rc = add_file(w, name, order[i], err);
    }
    free(order);
    return rc;
}

/* A sample is in the part for good, or not at all. */
static int settle_part(shard_writer *w, int rc, m2m_error *err)
{
    if (!rc && fdatasync(w->lock.fd)) rc = fail(err, M2M_EIO, "%s: can't write it: %s", w->part, strerror(errno));
    if (!rc) {
        w->end = w->at;
        return 0;
    }
    w->failed = true;
    return rc;
}

int shard_add(shard_writer *w, const char *key, const shard_field *fields, int n, m2m_error *err)
{
    check(!w->failed, "a sample for %s after an error", w->path);
    int rc = add_sample(w, key, fields, n, err);
    if (w->part) rc = settle_part(w, rc, err);
    w->added += rc == 0;
    return rc;
}

int64_t shard_written(const shard_writer *w)
{
    return w->kept + w->added;
}

/* ---- Ending ---- */

/* The part becomes the shard. */
static int commit_part(shard_writer *w, m2m_error *err)
{
    static const char zeros[TAR_RECORD];
    int number = push(w->lock.fd, zeros, (size_t)((TAR_RECORD - w->at % TAR_RECORD) % TAR_RECORD));
    if (!number && fsync(w->lock.fd)) number = errno;
    if (number) return fail(err, M2M_EIO, "%s: can't write it: %s", w->part, strerror(number));
    return file_rename(w->part, w->path, err);
}

int shard_finish(shard_writer **out, m2m_error *err)
{
    shard_writer *w = *out;
    int rc = judge(w, archive_write_close(w->tar) == ARCHIVE_OK, NULL, err);
    if (!rc) rc = w->part ? commit_part(w, err) : file_out_commit(&w->file, err);
    if (!rc && w->part) {
        free(w->part);
        w->part = NULL;        /* there is none any more */
    }
    shard_abandon(out);
    return rc;
}

void shard_abandon(shard_writer **out)
{
    shard_writer *w = *out;
    if (!w) return;
    if (w->tar) archive_write_free(w->tar);       /* Trap: it writes an end, though the archive is given up */
    if (w->file) file_out_abandon(&w->file);
    if (w->going && w->part) {
        cut_part(w, NULL);
        if (!w->end) unlink(w->part);
    }
    lock_close(&w->lock);
    str_free(&w->keys);
    free(w->part);
    free(w->path);
    free(w);
    *out = NULL;
}
