#include "data/store.h"

#include "base/error.h"
#include "base/file.h"
#include "data/shard.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct store {
    char *dir;
    char **folders;
    int n_folders;
    shard **tars;
    int n_tars;
};

/* ---- Opening ---- */

static int add_tar(store *s, const char *path, problems *p, m2m_error *err)
{
    m2m_error why = {0};
    shard **more = realloc(s->tars, ((size_t)s->n_tars + 1) * sizeof *more);
    if (!more) return fail(err, M2M_ENOMEM, "%s: no memory to open it", path);
    s->tars = more;
    int rc = shard_open(&s->tars[s->n_tars], path, &why);
    if (!rc) rc = shard_sort(s->tars[s->n_tars++], &why);
    if (rc == M2M_ENOMEM) return fail(err, rc, "%s", why.msg);
    if (rc) problems_add(p, PROBLEM_SHARD, path, why.msg);
    return 0;
}

static int add_tars(store *s, problems *p, m2m_error *err)
{
    char **names;
    int n, rc = dir_list(s->dir, &names, &n, err);
    if (rc) return rc;
    for (int i = 0; i < n && !rc; i++) {
        char *path = path_ends(names[i], ".tar") ? path_join(s->dir, names[i]) : NULL;
        if (path && file_exists(path)) rc = add_tar(s, path, p, err);
        free(path);
    }
    names_free(&names, n);
    return rc;
}

int store_open(store **out, const char *dir, const char *const *folders, problems *p, m2m_error *err)
{
    store *s = calloc(1, sizeof *s);
    int n = 0, rc = 0;
    while (folders[n]) n++;
    if (s) s->dir = strdup(dir);
    if (s) s->folders = calloc((size_t)n + 1, sizeof *s->folders);
    if (!s || !s->dir || !s->folders) rc = M2M_ENOMEM;
    for (int i = 0; i < n && !rc; i++) {
        s->folders[s->n_folders++] = strdup(folders[i]);
        if (!s->folders[i]) rc = M2M_ENOMEM;
    }
    if (rc) fail(err, rc, "%s: no memory to open it", dir);
    else rc = add_tars(s, p, err);
    if (rc) store_close(&s);
    else *out = s;
    return rc;
}

void store_close(store **out)
{
    store *s = *out;
    if (!s) return;
    for (int i = 0; i < s->n_tars; i++) shard_close(&s->tars[i]);
    names_free(&s->folders, s->n_folders);
    free(s->tars);
    free(s->dir);
    free(s);
    *out = NULL;
}

int store_tars(const store *s)
{
    return s->n_tars;
}

/* ---- Looking ---- */

bool store_is_name(const char *name)
{
    size_t n = strlen(name);
    if (!n || n >= STORE_NAME || name[0] == '/' || !utf8_valid(name, n)) return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 32 || name[i] == 127) return false;
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        size_t length = strcspn(part, "/");
        if (!length || (length <= 2 && strspn(part, ".") >= length)) return false;
    }
    return true;
}

/* "a/b" of folder and name, into buf. */
static const char *joined(const char *folder, const char *name, char buf[2 * STORE_NAME])
{
    snprintf(buf, 2 * STORE_NAME, "%.1000s%s%s", folder, *folder ? "/" : "", name);
    return buf;
}

static const uint8_t *find_member(const store *s, const char *name, size_t *size)
{
    char lower[2 * STORE_NAME];
    snprintf(lower, sizeof lower, "%s", name);
    for (char *c = lower + shard_split(lower); *c; c++) *c = (char)tolower((unsigned char)*c);
    for (int i = 0; i < s->n_tars; i++) {
        const uint8_t *data = shard_locate(s->tars[i], lower, size);
        if (data) return data;
    }
    return NULL;
}

/* The path of the file in one of the folders; to be freed. NULL: there is none. */
static char *find_file(const store *s, const char *name)
{
    char below[2 * STORE_NAME];
    for (int i = 0; i < s->n_folders; i++) {
        char *path = path_join(s->dir, joined(s->folders[i], name, below));
        if (path && file_exists(path)) return path;
        free(path);
    }
    return NULL;
}

bool store_has(const store *s, const char *name)
{
    blob b;
    char below[2 * STORE_NAME];
    if (!store_is_name(name)) return false;
    char *path = find_file(s, name);
    bool found = path != NULL;
    free(path);
    for (int i = 0; i < s->n_folders && !found; i++)
        found = find_member(s, joined(s->folders[i], name, below), &b.size) != NULL;
    return found;
}

int store_read(const store *s, const char *name, blob *b, m2m_error *err)
{
    char below[2 * STORE_NAME];
    *b = (blob){0};
    if (!store_is_name(name)) return fail(err, M2M_EFORMAT, "%.200s: is no name of a file below %s", name, s->dir);
    char *path = find_file(s, name);
    if (path) {
        int rc = file_read_all(path, STORE_BYTES, &b->owned, &b->size, err);
        b->data = (const uint8_t *)b->owned;
        free(path);
        return rc;
    }
    for (int i = 0; i < s->n_folders && !b->data; i++)
        b->data = find_member(s, joined(s->folders[i], name, below), &b->size);
    if (!b->data) return fail(err, M2M_EIO, "%s: not found in %s", name, s->dir);
    if (b->size <= STORE_BYTES) return 0;
    size_t size = b->size;
    *b = (blob){0};
    return fail(err, M2M_EFORMAT, "%s: has %zu bytes, at most %zu are read", name, size, STORE_BYTES);
}

void blob_free(blob *b)
{
    free(b->owned);
    *b = (blob){0};
}
