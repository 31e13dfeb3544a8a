#include "outdir.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes the directory path[0..n) if it is not there. */
static int make_part(outdir *d, size_t n, m2m_error *err)
{
    char part[PATH_MAX];
    memcpy(part, d->path, n);
    part[n] = 0;
    struct stat st;
    if (mkdir(part, 0777)) {    /* a sibling that starts at the same moment may have made it just now */
        int number = errno;
        if (stat(part, &st)) return fail(err, M2M_EIO, "%s: can't make this directory: %s", part, strerror(number));
        return S_ISDIR(st.st_mode) ? 0 : fail(err, M2M_EIO, "%s: is a file, wanted a directory", part);
    }
    if (!d->made) d->made = n;
    return 0;
}

static int probe(const char *path, m2m_error *err)
{
    char file[PATH_MAX + 32];
    snprintf(file, sizeof file, "%s/.m2m.XXXXXX", path);
    int fd = mkstemp(file);
    if (fd < 0) return fail(err, M2M_EIO, "%s: can't write to this directory: %s", path, strerror(errno));
    close(fd);
    unlink(file);
    return 0;
}

int outdir_open(outdir *d, const char *path, m2m_error *err)
{
    *d = (outdir){.path = path};
    size_t n = strlen(path);
    int status = 0;
    if (n >= PATH_MAX)
        return fail(err, M2M_EIO, "%.60s…: a path of %zu bytes, wanted at most %d", path, n, PATH_MAX - 1);
    for (size_t i = 1; i <= n && !status; i++) {
        bool end = (path[i] == '/' || !path[i]) && path[i - 1] != '/';
        if (end) status = make_part(d, i, err);
    }
    if (!status) status = probe(path, err);
    if (status) outdir_undo(d);
    return status;
}

void outdir_undo(outdir *d)
{
    char part[PATH_MAX];
    for (size_t n = d->made ? strlen(d->path) : 0; n >= d->made && n > 0; n--) {
        if ((d->path[n] && d->path[n] != '/') || d->path[n - 1] == '/') continue;
        memcpy(part, d->path, n);
        part[n] = 0;
        if (rmdir(part)) break;
    }
    d->made = 0;
}

int outfile_check(const char *path, m2m_error *err)
{
    struct stat st;
    bool there = !stat(path, &st);
    if (there && S_ISDIR(st.st_mode)) return fail(err, M2M_EIO, "%s: is a directory, wanted a file to write", path);
    if (there && !S_ISREG(st.st_mode)) return 0; // a pipe or device is written to as it is
    size_t n = strlen(path);
    if (n == 0 || n >= PATH_MAX || path[n - 1] == '/')
        return fail(err, M2M_EIO, "%.60s: wanted the name of a file", path);
    char folder[PATH_MAX];
    memcpy(folder, path, n + 1);
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = 0;
    const char *where = slash ? folder : ".";
    if (stat(where, &st)) return fail(err, M2M_EIO, "%s: can't write there: %s: %s", path, where, strerror(errno));
    if (!S_ISDIR(st.st_mode)) return fail(err, M2M_EIO, "%s: can't write there: %s is no directory", path, where);
    if (access(where, W_OK | X_OK)) return fail(err, M2M_EIO, "%s: can't write there: %s", path, strerror(errno));
    return 0;
}
