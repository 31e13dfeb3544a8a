#include "tensor/weights.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 4096 };

typedef struct named {
    const char *name;
    const tensor *t;
    int file;
} named;

struct weights {
    char *path;
    safetensors **files;
    int n_files;
    named *all; /* sorted by name */
    int count;
    weights_view *views; /* what `all` points into after weights_show; NULL before */
    int n_views;
};

/* ---- Which file ---- */

static const char *const CANDIDATES[] = {
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.safetensors.index.fp16.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model.fp16.safetensors",
    "model.safetensors.index.fp16.json",
};

static int refuse_directory(const char *dir, m2m_error *err)
{
    static const char *const pickled[] = {
        "diffusion_pytorch_model.bin", "pytorch_model.bin", "model.ckpt"};
    for (size_t i = 0; i < sizeof pickled / sizeof *pickled; i++) {
        char *path = path_join(dir, pickled[i]);
        bool found = path && file_exists(path);
        free(path);
        if (found)
            return fail(err, M2M_EUNSUPPORTED,
                "%s: has %s, a pickle, which can run code when read; wanted safetensors", dir,
                pickled[i]);
    }
    return fail(err, M2M_EIO, "%s: has no %s, %s or their .fp16 or .index.json forms", dir,
        CANDIDATES[0], CANDIDATES[4]);
}

static int choose(char **chosen, const char *path, m2m_error *err)
{
    char *file = NULL;
    if (!dir_exists(path)) {
        *chosen = strdup(path);
        return *chosen ? 0 : fail(err, M2M_ENOMEM, "%s: no memory to open it", path);
    }
    for (size_t i = 0; i < sizeof CANDIDATES / sizeof *CANDIDATES; i++) {
        file = path_join(path, CANDIDATES[i]);
        if (!file) return fail(err, M2M_ENOMEM, "%s: no memory to open it", path);
        if (file_exists(file)) {
            *chosen = file;
            return 0;
        }
        free(file);
    }
    return refuse_directory(path, err);
}

/* ---- The index ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Opens `name` beside the index and adds it to the files. */
static int open_file(weights *w, const char *name, m2m_error *err)
{
    size_t dir = (size_t)(path_base(w->path) - w->path), n = strlen(name);
    char *path = malloc(dir + n + 1);
    if (!path) return fail(err, M2M_ENOMEM, "%s: no memory to open %s", w->path, name);
    memcpy(path, w->path, dir);
    memcpy(path + dir, name, n + 1);
    int rc = safetensors_open(&w->files[w->n_files], path, err);
    if (!rc) w->n_files++;
    free(path);
    return rc;
}

static bool plain_name(const char *name)
{
    return name[0] && name[0] != '.' && !strchr(name, '/') && !strchr(name, '\\') &&
           path_ends(name, ".safetensors");
}

/* The distinct shard names of the map, sorted; to be freed (the texts are the map's). */
static int shard_names(const cJSON *map, const char ***out, int *n, m2m_error *err)
{
    size_t count = (size_t)cJSON_GetArraySize(map), kept = 0, i = 0;
    const char **names = malloc((count + 1) * sizeof *names);
    if (!names) return fail(err, M2M_ENOMEM, "no memory for %zu names", count);
    int rc = 0;
    for (const cJSON *m = map->child; !rc && m; m = m->next) {
        if (!cJSON_IsString(m) || !plain_name(m->valuestring)) {
            char found[96];
            rc = fail(err, M2M_EFORMAT,
                "weight_map: \"%.100s\" lies in %s, wanted a *.safetensors in the same directory",
                m->string, json_found(m, found, sizeof found));
        } else {
            names[i++] = m->valuestring;
        }
    }
    if (i) qsort(names, i, sizeof *names, by_text);
    for (size_t k = 0; k < i; k++) {
        if (k == 0 || strcmp(names[k], names[k - 1]) != 0) names[kept++] = names[k];
    }
    if (!rc && (kept == 0 || kept > MAX_FILES))
        rc = fail(
            err, M2M_EFORMAT, "weight_map names %zu files, wanted 1..%d", kept, (int)MAX_FILES);
    if (rc) {
        free(names);
        return rc;
    }
    *out = names;
    *n = (int)kept;
    return 0;
}

/* Every tensor of the map lies in its shard. */
static int check_map(const weights *w, const cJSON *map, m2m_error *err)
{
    for (const cJSON *m = map->child; m; m = m->next) {
        named key = {.name = m->string};
        const named *found =
            w->count ? bsearch(&key, w->all, (size_t)w->count, sizeof key, by_name) : NULL;
        if (!found)
            return fail(
                err, M2M_EFORMAT, "tensor \"%.150s\" is not in %s", m->string, m->valuestring);
        const char *file = path_base(safetensors_path(w->files[found->file]));
        if (strcmp(file, m->valuestring) != 0)
            return fail(err, M2M_EFORMAT, "tensor \"%.150s\" is in %s, weight_map says %s",
                m->string, file, m->valuestring);
    }
    int mapped = cJSON_GetArraySize(map);
    if (mapped != w->count)
        return fail(
            err, M2M_EFORMAT, "weight_map names %d tensors, the files hold %d", mapped, w->count);
    return 0;
}

static int sort_names(weights *w, const char *twice, m2m_error *err)
{
    if (w->count) qsort(w->all, (size_t)w->count, sizeof *w->all, by_name);
    for (int i = 1; i < w->count; i++) {
        if (strcmp(w->all[i - 1].name, w->all[i].name) == 0)
            return fail(err, M2M_EFORMAT, "tensor \"%.150s\" is %s", w->all[i].name, twice);
    }
    return 0;
}

static int collect(weights *w, m2m_error *err)
{
    int64_t total = 0;
    for (int f = 0; f < w->n_files; f++) total += safetensors_count(w->files[f]);
    w->all = malloc(((size_t)total + 1) * sizeof *w->all);
    if (!w->all)
        return fail(err, M2M_ENOMEM, "no memory for the names of %lld tensors", (long long)total);
    for (int f = 0; f < w->n_files; f++) {
        for (int i = 0; i < safetensors_count(w->files[f]); i++)
            w->all[w->count++] =
                (named){safetensors_name(w->files[f], i), safetensors_at(w->files[f], i), f};
    }
    return sort_names(w, "in two of the files", err);
}

static int open_sharded(weights *w, m2m_error *err)
{
    cJSON *index = NULL;
    const char **names = NULL;
    int n = 0, rc = json_load(&index, w->path, err);
    if (rc) return rc;
    const cJSON *map = json_member(index, "weight_map");
    if (!cJSON_IsObject(map)) {
        rc = fail(err, M2M_EFORMAT, "%s: has no object \"weight_map\"", w->path);
        goto done;
    }
    rc = shard_names(map, &names, &n, err);
    if (rc) {
        rc = fail_prefix(err, rc, "%s", w->path);
        goto done;
    }
    w->files = calloc((size_t)n, sizeof(safetensors *));
    if (!w->files) rc = fail(err, M2M_ENOMEM, "%s: no memory for %d files", w->path, n);
    for (int i = 0; !rc && i < n; i++) rc = open_file(w, names[i], err);
    if (rc) goto done;
    rc = collect(w, err);
    if (!rc) rc = check_map(w, map, err);
    if (rc) rc = fail_prefix(err, rc, "%s", w->path);
done:
    free(names);
    cJSON_Delete(index);
    return rc;
}

/* ---- The interface ---- */

int weights_open(weights **out, const char *path, m2m_error *err)
{
    weights *w = calloc(1, sizeof *w);
    if (!w) return fail(err, M2M_ENOMEM, "%s: no memory to open it", path);
    int rc = choose(&w->path, path, err);
    if (!rc && path_ends(w->path, ".json")) {
        rc = open_sharded(w, err);
    } else if (!rc) {
        w->files = calloc(1, sizeof(safetensors *));
        rc = w->files ? open_file(w, path_base(w->path), err)
                      : fail(err, M2M_ENOMEM, "%s: no memory to open it", path);
        if (!rc) rc = collect(w, err);
    }
    if (rc)
        weights_close(&w);
    else
        *out = w;
    return rc;
}

static void views_free(weights_view *views, int n)
{
    for (int i = 0; i < n; i++) free(views[i].name);
    free(views);
}

int weights_show(weights *w, weights_view *views, int n, m2m_error *err)
{
    named *all = malloc(((size_t)n + 1) * sizeof *all);
    if (!all) {
        views_free(views, n);
        return fail(err, M2M_ENOMEM, "%s: no memory for the names of %d tensors", w->path, n);
    }
    for (int i = 0; i < n; i++) all[i] = (named){views[i].name, &views[i].t, 0};
    views_free(w->views, w->n_views);
    free(w->all);
    w->views = views;
    w->n_views = w->count = n;
    w->all = all;
    int rc = sort_names(w, "there twice", err);
    return rc ? fail_prefix(err, rc, "%s", w->path) : 0;
}

void weights_close(weights **w)
{
    if (!*w) return;
    for (int i = 0; i < (*w)->n_files; i++) safetensors_close(&(*w)->files[i]);
    views_free((*w)->views, (*w)->n_views);
    free((*w)->files);
    free((*w)->all);
    free((*w)->path);
    free(*w);
    *w = NULL;
}

int weights_count(const weights *w)
{
    return w->count;
}

const char *weights_name(const weights *w, int i)
{
    check(i >= 0 && i < w->count, "tensor %d of %d", i, w->count);
    return w->all[i].name;
}

const tensor *weights_at(const weights *w, int i)
{
    check(i >= 0 && i < w->count, "tensor %d of %d", i, w->count);
    return w->all[i].t;
}

const tensor *weights_find(const weights *w, const char *name)
{
    named key = {.name = name};
    const named *found =
        w->count ? bsearch(&key, w->all, (size_t)w->count, sizeof key, by_name) : NULL;
    return found ? found->t : NULL;
}

const char *weights_path(const weights *w)
{
    return w->path;
}

int weights_files(const weights *w)
{
    return w->n_files;
}

const safetensors *weights_file(const weights *w, int i)
{
    check(i >= 0 && i < w->n_files, "file %d of %d", i, w->n_files);
    return w->files[i];
}

void weights_identity(const weights *w, char text[SHA256_HEX])
{
    struct sha256_ctx all;
    uint8_t digest[SHA256_BYTES];
    sha256_init(&all);
    for (int i = 0; i < w->n_files; i++) {
        safetensors_sha256(w->files[i], text);
        sha256_add(&all, text, strlen(text));
        sha256_add(&all, "\n", 1);
    }
    sha256_digest(&all, sizeof digest, digest);
    if (w->n_files > 1) sha256_hex(digest, text);
}

int64_t weights_bytes(const weights *w)
{
    int64_t bytes = 0;
    for (int i = 0; i < w->n_files; i++) bytes += (int64_t)safetensors_bytes(w->files[i]);
    return bytes;
}

void weights_drop(const weights *w)
{
    for (int i = 0; w && i < w->n_files; i++) safetensors_drop(w->files[i]);
}
