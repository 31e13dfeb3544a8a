/* Writing beside and renaming: see file.h. */
#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 1 << 18, ATTEMPTS = 16 };

struct file_out {
    char *path, *temporary; /* temporary: NULL when written directly */
    char *buffer;
    size_t used;
    int fd;
    int failure; /* the errno that sticks */
};

static int failed(const file_out *f, m2m_error *err, int number)
{
    return fail(err, M2M_EIO, "%s: can't write it: %s", f->path, strerror(number));
}

/* Bytes of path that name its directory, slash included. */
static size_t directory_length(const char *path)
{
    return (size_t)(path_base(path) - path);
}

/* A new hidden file in the directory of f->path; its mode follows the umask, as that of any new
 * file. */
static int open_temporary(file_out *f)
{
    size_t dir = directory_length(f->path), size = dir + 64;
    f->temporary = malloc(size);
    if (!f->temporary) return ENOMEM;
    for (int i = 0; i < ATTEMPTS; i++) {
        uint64_t word;
        if (getrandom(&word, sizeof word, 0) != sizeof word) return errno;
        snprintf(f->temporary, size, "%.*s.m2m-%016llx.tmp", (int)dir, f->path,
            (unsigned long long)word);
        f->fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd >= 0) return 0;
        if (errno != EEXIST) break;
    }
    int number = errno;
    free(f->temporary);
    f->temporary = NULL;
    return number;
}

static void destroy(file_out **f)
{
    if ((*f)->fd >= 0) close((*f)->fd);
    free((*f)->path);
    free((*f)->temporary);
    free((*f)->buffer);
    free(*f);
    *f = NULL;
}

int file_out_open(file_out **out, const char *path, m2m_error *err)
{
    file_out *f = calloc(1, sizeof *f);
    if (!f) return fail(err, M2M_ENOMEM, "%s: no memory to write it", path);
    f->fd = -1;
    f->path = strdup(path);
    f->buffer = malloc(BUFFER);
    if (!f->path || !f->buffer) {
        destroy(&f);
        return fail(err, M2M_ENOMEM, "%s: no memory to write it", path);
    }
    struct stat st;
    int number = 0;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        f->fd = open(path, O_WRONLY | O_CLOEXEC);
        if (f->fd < 0) number = errno;
    } else {
        number = *path_base(path) ? open_temporary(f) : EISDIR;
    }
    if (number) {
        int rc = failed(f, err, number);
        destroy(&f);
        return rc;
    }
    *out = f;
    return 0;
}

static int push(file_out *f, const char *data, size_t size)
{
    while (size && !f->failure) {
        ssize_t n = write(f->fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            f->failure = errno;
        } else {
            data += n;
            size -= (size_t)n;
        }
    }
    return f->failure;
}

int file_out_write(file_out *f, const void *data, size_t size, m2m_error *err)
{
    if (f->used + size > BUFFER || f->failure) {
        push(f, f->buffer, f->used);
        f->used = 0;
    }
    if (f->failure) return failed(f, err, f->failure);
    if (size >= BUFFER) return push(f, data, size) ? failed(f, err, f->failure) : 0;
    if (size) memcpy(f->buffer + f->used, data, size);
    f->used += size;
    return 0;
}

/* Makes a renaming durable. Some file systems refuse it; the content is safe all the same. */
static void sync_directory(const char *path)
{
    size_t n = directory_length(path);
    char *dir = n ? strndup(path, n) : strdup(".");
    int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(dir);
}

int file_rename(const char *from, const char *to, m2m_error *err)
{
    if (rename(from, to)) return fail(err, M2M_EIO, "%s: can't write it: %s", to, strerror(errno));
    sync_directory(to);
    return 0;
}

int file_out_commit(file_out **out, m2m_error *err)
{
    file_out *f = *out;
    push(f, f->buffer, f->used);
    f->used = 0;
    if (!f->failure && f->temporary && fsync(f->fd)) f->failure = errno;
    int closed = close(f->fd);
    f->fd = -1;
    if (!f->failure && closed) f->failure = errno;
    if (!f->failure && f->temporary) {
        if (rename(f->temporary, f->path))
            f->failure = errno;
        else
            sync_directory(f->path);
    }
    int rc = f->failure ? failed(f, err, f->failure) : 0;
    if (rc && f->temporary) unlink(f->temporary);
    destroy(out);
    return rc;
}

void file_out_abandon(file_out **f)
{
    if (!*f) return;
    if ((*f)->temporary) unlink((*f)->temporary);
    destroy(f);
}

int file_write_all(const char *path, const void *data, size_t size, m2m_error *err)
{
    file_out *f;
    int rc = file_out_open(&f, path, err);
    if (rc) return rc;
    rc = file_out_write(f, data, size, err);
    if (rc)
        file_out_abandon(&f);
    else
        rc = file_out_commit(&f, err);
    return rc;
}

int file_copy(const char *from, const char *to, m2m_error *err)
{
    file_map m;
    int rc = file_map_open(&m, from, err);
    if (rc) return rc;
    rc = file_write_all(to, m.data, m.size, err);
    file_map_close(&m);
    return rc;
}

int file_append(const char *path, const void *data, size_t size, m2m_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666), number = 0;
    if (fd < 0) {
        number = errno;
    } else {
        file_out f = {.fd = fd};
        number = push(&f, data, size);
        if (close(fd) && !number) number = errno;
    }
    return number ? fail(err, M2M_EIO, "%s: can't write it: %s", path, strerror(number)) : 0;
}
