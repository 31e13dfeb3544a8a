#include "data/set.h"

#include "base/file.h"
#include "base/sha256.h"
#include "data/import_set.h"
#include "data/shard.h"
#include "image/codec.h"
#include "image/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLED = 8192, ENDS = 64 };    /* images whose content a fingerprint looks at, bytes of each of their ends */

/* A set: a sample of a shard, or a folder. */
typedef struct record {
    const shard *shard;      /* NULL: a folder */
    int64_t sample;
    char *folder;
    char **files;            /* of a folder, sorted */
    int n_files;
    int *members;            /* of a sample: its image members in order */
    int images;
    int64_t first;
} record;

struct dataset {
    shard **shards;
    int n_shards;
    record *records;
    int n, capacity, left_out;
    int64_t total;
};

static bool is_image_name(const char *name)
{
    return image_format_of(name) != IMAGE_UNKNOWN;
}

bool dataset_is_member(const char *suffix)
{
    size_t digits = strspn(suffix, "0123456789");
    return digits > 0 && suffix[digits] == '.' && !strchr(suffix + digits + 1, '.') && is_image_name(suffix);
}

/* ---- collecting ---- */

static record *new_record(dataset *d, m2m_error *err)
{
    if (d->n == d->capacity) {
        int capacity = d->capacity ? 2 * d->capacity : 1024;
        record *more = realloc(d->records, (size_t)capacity * sizeof *more);
        if (!more) return fail(err, M2M_ENOMEM, "no memory for %d sets", capacity), NULL;
        d->records = more;
        d->capacity = capacity;
    }
    record *r = &d->records[d->n++];
    memset(r, 0, sizeof *r);
    return r;
}

static void free_record(record *r)
{
    free(r->folder);
    free(r->members);
    names_free(&r->files, r->n_files);
}

/* Keeps the newest record if it has enough images. */
static void settle(dataset *d, int least)
{
    record *r = &d->records[d->n - 1];
    if (r->images < least) {
        free_record(r);
        d->n--;
        d->left_out++;
        return;
    }
    r->first = d->total;
    d->total += r->images;
}

/* A sample without numbered images whose one image is KEY.png (or .jpg, .webp). Of two, one may be a mask: neither. */
static void add_single(record *r, int members)
{
    int found = 0;
    for (int i = 0; i < members; i++) {
        const char *suffix = shard_suffix(r->shard, r->sample, i);
        char name[16];
        if (strchr(suffix, '.') || (size_t)snprintf(name, sizeof name, "x.%s", suffix) >= sizeof name) continue;
        if (is_image_name(name)) r->members[found++] = i;
    }
    r->images = found == 1;
}

static int add_sample(dataset *d, const shard *s, int64_t sample, int least, m2m_error *err)
{
    record *r = new_record(d, err);
    if (!r) return M2M_ENOMEM;
    int n = shard_members(s, sample);
    r->shard = s;
    r->sample = sample;
    r->members = malloc((size_t)(n ? n : 1) * sizeof *r->members);
    if (!r->members) return d->n--, fail(err, M2M_ENOMEM, "no memory for a set");
    for (int i = 0; i < n; i++)
        if (dataset_is_member(shard_suffix(s, sample, i))) r->members[r->images++] = i;
    if (!r->images) add_single(r, n);
    settle(d, least);
    return 0;
}

static int add_shard(dataset *d, const char *path, int least, m2m_error *err)
{
    shard **more = realloc(d->shards, ((size_t)d->n_shards + 1) * sizeof *more);
    if (!more) return fail(err, M2M_ENOMEM, "no memory for shard %s", path);
    d->shards = more;
    int status = shard_open(&d->shards[d->n_shards], path, err);
    if (status) return status;
    const shard *s = d->shards[d->n_shards++];
    for (int64_t i = 0; i < shard_samples(s) && !status; i++) status = add_sample(d, s, i, least, err);
    return status;
}

static int add_folder(dataset *d, const char *path, int least, m2m_error *err)
{
    record *r = new_record(d, err);
    if (!r) return M2M_ENOMEM;
    int n = 0, status = dir_list(path, &r->files, &n, err);
    r->n_files = n;
    r->folder = strdup(path);
    if (!status && !r->folder) status = fail(err, M2M_ENOMEM, "no memory for folder %s", path);
    if (status) {
        free_record(r);
        d->n--;
        return status;
    }
    for (int i = 0; i < n; i++)          /* images to the front, in order */
        if (is_image_name(r->files[i])) {
            char *t = r->files[i];
            memmove(&r->files[r->images + 1], &r->files[r->images], (size_t)(i - r->images) * sizeof *r->files);
            r->files[r->images++] = t;
        }
    settle(d, least);
    return 0;
}

static int add_directory(dataset *d, const char *path, int least, m2m_error *err)
{
    char **names;
    int n, status = dir_list(path, &names, &n, err);
    if (status) return status;
    bool shards = false;
    for (int i = 0; i < n; i++) shards = shards || path_ends(names[i], ".tar");
    for (int i = 0; i < n && !status; i++) {
        char *inner = path_join(path, names[i]);
        if (!inner) status = fail(err, M2M_ENOMEM, "no memory for a path");
        else if (shards && path_ends(names[i], ".tar")) status = add_shard(d, inner, least, err);
        else if (!shards && dir_exists(inner)) status = add_folder(d, inner, least, err);
        free(inner);
    }
    names_free(&names, n);
    return status;
}

int dataset_open(dataset **out, const char *paths, int least, m2m_error *err)
{
    dataset *d = calloc(1, sizeof *d);
    char *copy = strdup(paths), *rest = copy;
    int status = d && copy ? 0 : fail(err, M2M_ENOMEM, "no memory for a data set");
    for (char *path; !status && (path = strsep(&rest, ","));)
        status = dir_exists(path) ? add_directory(d, path, least, err) : add_shard(d, path, least, err);
    if (!status && d->n == 0)
        status = fail(err, M2M_EFORMAT, "%s: holds no set of %d images or more (%d smaller ones)", paths, least,
                      d->left_out);
    free(copy);
    if (status) dataset_close(&d);
    else *out = d;
    return status;
}

void dataset_close(dataset **out)
{
    dataset *d = *out;
    if (!d) return;
    for (int i = 0; i < d->n; i++) free_record(&d->records[i]);
    for (int i = 0; i < d->n_shards; i++) shard_close(&d->shards[i]);
    free(d->shards);
    free(d->records);
    free(d);
    *out = NULL;
}

/* ---- asking ---- */

int dataset_sets(const dataset *d) { return d->n; }
int dataset_left_out(const dataset *d) { return d->left_out; }
int dataset_images(const dataset *d, int set) { return d->records[set].images; }
int64_t dataset_first(const dataset *d, int set) { return d->records[set].first; }
int64_t dataset_total(const dataset *d) { return d->total; }

const char *dataset_key(const dataset *d, int set)
{
    const record *r = &d->records[set];
    return r->shard ? shard_key(r->shard, r->sample) : r->folder;
}

int dataset_set_of(const dataset *d, int64_t image)
{
    int from = 0, to = d->n - 1;
    while (from < to) {
        int middle = from + (to - from + 1) / 2;
        if (d->records[middle].first <= image) from = middle;
        else to = middle - 1;
    }
    return from;
}

const uint8_t *dataset_member(const dataset *d, int set, const char *suffix, size_t *size)
{
    const record *r = &d->records[set];
    int member = r->shard ? shard_find(r->shard, r->sample, suffix) : -1;
    return member < 0 ? NULL : shard_data(r->shard, r->sample, member, size);
}

/* ---- captions ---- */

int dataset_caption(const dataset *d, int set, char **caption, m2m_error *err)
{
    caption_member text = {0}, json = {0};
    text.data = (const char *)dataset_member(d, set, "txt", &text.size);
    json.data = (const char *)dataset_member(d, set, "json", &json.size);
    int status = caption_choose(text, json, caption, err);
    return status ? fail_prefix(err, status, "set %s", dataset_key(d, set)) : 0;
}

/* Size and both ends: where images differ, their last bytes do (a PNG ends with checksums of all its pixels). */
static void add_ends(struct sha256_ctx *sum, const uint8_t *data, size_t size)
{
    uint64_t length = size;
    size_t n = size < ENDS ? size : ENDS;
    sha256_add(sum, &length, sizeof length);
    if (!n) return;
    sha256_add(sum, data, n);
    sha256_add(sum, data + size - n, n);
}

static void add_file(struct sha256_ctx *sum, const record *r, int image)
{
    file_map map = {0};
    char *path = path_join(r->folder, r->files[image]);
    if (path && !file_map_open(&map, path, NULL)) add_ends(sum, map.data, map.size);
    file_map_close(&map);
    free(path);
}

uint64_t dataset_fingerprint(const dataset *d)
{
    struct sha256_ctx sum;
    uint8_t digest[SHA256_BYTES];
    int64_t every = d->total / SAMPLED + 1;
    sha256_init(&sum);
    for (int i = 0; i < d->n; i++) {
        const record *r = &d->records[i];
        const char *key = dataset_key(d, i);
        sha256_add(&sum, key, strlen(key) + 1);
        for (int k = 0; k < r->images; k++) {
            bool sampled = (r->first + k) % every == 0;
            size_t size = 0;
            const uint8_t *data = r->shard ? shard_data(r->shard, r->sample, r->members[k], &size) : NULL;
            if (!r->shard) sha256_add(&sum, r->files[k], strlen(r->files[k]) + 1);
            sha256_add(&sum, &size, sizeof size);
            if (sampled && r->shard) add_ends(&sum, data, size);
            else if (sampled) add_file(&sum, r, k);
        }
    }
    sha256_digest(&sum, SHA256_BYTES, digest);
    uint64_t h = 0;
    for (int i = 0; i < 8; i++) h = h << 8 | digest[i];
    return h;
}

static int decode(const record *r, int image, m2m_image *out, m2m_error *err)
{
    if (r->shard) {
        char name[512];
        size_t size;
        const uint8_t *data = shard_data(r->shard, r->sample, r->members[image], &size);
        snprintf(name, sizeof name, "%.250s: %.200s.%.40s", shard_path(r->shard), shard_key(r->shard, r->sample),
                 shard_suffix(r->shard, r->sample, r->members[image]));
        return image_decode(out, data, size, name, err);
    }
    char *path = path_join(r->folder, r->files[image]);
    int status = path ? m2m_image_load(out, path, err) : fail(err, M2M_ENOMEM, "no memory for a path");
    free(path);
    return status;
}

int dataset_read(const dataset *d, int set, int image, const dataset_view *v, m2m_image *out, m2m_error *err)
{
    m2m_image raw = {0};
    int status = decode(&d->records[set], image, &raw, err);
    if (status) return status;
    image_flatten(&raw, v->background);
    if (raw.width == v->width && raw.height == v->height) {
        *out = raw;
        return 0;
    }
    status = image_fit(out, &raw, v->width, v->height, v->fit, v->background, err);
    m2m_image_free(&raw);
    return status;
}

/* ---- task conditions ---- */

int dataset_position(const dataset *d, int set, int image)
{
    const record *r = &d->records[set];
    return r->shard ? (int)strtol(shard_suffix(r->shard, r->sample, r->members[image]), NULL, 10) : image;
}

/* The name up to its ending, and ".npy" in the place of that. */
static void pose_name(char *name, size_t size, const char *image)
{
    const char *dot = strrchr(image, '.');
    snprintf(name, size, "%.*s.npy", (int)(dot ? dot - image : 0), image);
}

static int folder_camera(const record *r, const char *name, double pose[12], m2m_error *err)
{
    file_map m;
    char *path = path_join(r->folder, name);
    int status = path ? file_map_open(&m, path, err) : fail(err, M2M_ENOMEM, "no memory for a path");
    if (!status) {
        status = pose_read(pose, &(blob){.data = m.data, .size = m.size}, path, err);
        file_map_close(&m);
    }
    free(path);
    return status;
}

int dataset_camera(const dataset *d, int set, int image, double pose[12], m2m_error *err)
{
    const record *r = &d->records[set];
    char name[300], where[700];
    if (!r->shard) {
        pose_name(name, sizeof name, r->files[image]);
        return folder_camera(r, name, pose, err);
    }
    pose_name(name, sizeof name, shard_suffix(r->shard, r->sample, r->members[image]));
    snprintf(where, sizeof where, "%.250s: %.200s.%.40s", shard_path(r->shard), shard_key(r->shard, r->sample), name);
    int member = shard_find(r->shard, r->sample, name);
    if (member < 0) return fail(err, M2M_EIO, "%s: is not there: the image has no camera", where);
    size_t size;
    const uint8_t *data = shard_data(r->shard, r->sample, member, &size);
    return pose_read(pose, &(blob){.data = data, .size = size}, where, err);
}
