#include "base/dir_out.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ATTEMPTS = 16 };

static int failed(const char *path, int number, m2m_error *err)
{
    return fail(err, M2M_EIO, "%s: can't make this directory: %s", path, strerror(number));
}

static void destroy(dir_out *d)
{
    if (d->beside) lock_close(&d->lock);
    free(d->path);
    free(d->beside);
    *d = (dir_out){0};
}

/* The path's parent, slash included. */
static int make_parent(const char *path, m2m_error *err)
{
    char *parent = strndup(path, (size_t)(path_base(path) - path));
    int status = parent ? 0 : fail(err, M2M_ENOMEM, "%s: no memory for its name", path);
    if (parent && *parent) status = dir_make(parent, err);
    free(parent);
    return status;
}

static int refuse_full(const char *path, m2m_error *err)
{
    struct stat st;
    char **names;
    int n = 0;
    if (stat(path, &st)) return 0;
    if (!S_ISDIR(st.st_mode)) return fail(err, M2M_EIO, "%s: is there and no directory, wanted a new name", path);
    int status = dir_list(path, &names, &n, err);
    if (status) return status;
    names_free(&names, n);
    return n ? fail(err, M2M_EIO, "%s: holds %d files, wanted a new or an empty directory", path, n) : 0;
}

static const char lock_name[] = ".lock";

/* 0: locked. EEXIST: it is somebody else's, or was taken for one that nobody works on (sweep): try another name. */
static int take(dir_out *d)
{
    if (mkdir(d->beside, 0777)) return errno;
    char *path = path_join(d->beside, lock_name);
    int status = path ? lock_open(&d->lock, path, NULL) : -1;
    free(path);
    return status ? EEXIST : 0;
}

static int make_beside(dir_out *d, m2m_error *err)
{
    int number = EEXIST;
    for (int i = 0; i < ATTEMPTS && number == EEXIST; i++) {
        uint64_t word;
        if (getrandom(&word, sizeof word, 0) != sizeof word) return failed(d->path, errno, err);
        free(d->beside);
        if (asprintf(&d->beside, "%.*s.m2m-%016llx.tmp", (int)(path_base(d->path) - d->path), d->path,
                     (unsigned long long)word) < 0) {
            d->beside = NULL;
            return fail(err, M2M_ENOMEM, "%s: no memory for its name", d->path);
        }
        number = take(d);
    }
    if (!number) return 0;
    free(d->beside);
    d->beside = NULL;
    return failed(d->path, number, err);
}

static void remove_all(const char *path)
{
    char **names = NULL;
    int n = 0;
    if (!unlink(path) || dir_list(path, &names, &n, NULL)) return;
    for (int i = 0; i < n; i++) {
        char *inner = path_join(path, names[i]);
        if (inner) remove_all(inner);
        free(inner);
    }
    names_free(&names, n);
    rmdir(path);
}

static void remove_if_dead(const char *beside)
{
    lock l;
    char *path = path_join(beside, lock_name);
    if (path && dir_exists(beside) && !lock_open(&l, path, NULL)) {
        if (l.held) remove_all(beside);
        lock_close(&l);
    }
    free(path);
}

/* Removes what processes that were killed left beside the path. */
static void sweep(const char *path)
{
    char **names;
    int n;
    char *parent = path_dir(path);
    if (!parent || dir_list(parent, &names, &n, NULL)) n = 0, names = NULL;
    for (int i = 0; i < n; i++) {
        bool ours = !strncmp(names[i], ".m2m-", 5) && path_ends(names[i], ".tmp");
        char *beside = ours ? path_join(parent, names[i]) : NULL;
        if (beside) remove_if_dead(beside);
        free(beside);
    }
    names_free(&names, n);
    free(parent);
}

int dir_out_open(dir_out *d, const char *path, m2m_error *err)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    *d = (dir_out){.path = strndup(path, n)};
    int status = d->path ? refuse_full(d->path, err) : fail(err, M2M_ENOMEM, "%s: no memory for its name", path);
    if (!status) status = make_parent(d->path, err);
    if (!status) sweep(d->path);
    if (!status) status = make_beside(d, err);
    if (status) destroy(d);
    return status;
}

int dir_out_commit(dir_out *d, m2m_error *err)
{
    char *path = path_join(d->beside, lock_name);
    if (path) unlink(path);
    int status = !path ? fail(err, M2M_ENOMEM, "%s: no memory for its name", d->path)
                 : rename(d->beside, d->path) ? failed(d->path, errno, err) : 0;
    free(path);
    if (status) remove_all(d->beside);
    destroy(d);
    return status;
}

void dir_out_abandon(dir_out *d)
{
    if (d->beside) remove_all(d->beside);
    destroy(d);
}
