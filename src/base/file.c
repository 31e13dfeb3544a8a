#include "base/file.h"

#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed(m2m_error *err, const char *path, const char *what)
{
    return fail(err, errno == ENOMEM ? M2M_ENOMEM : M2M_EIO, "%s: can't %s: %s", path, what,
        strerror(errno));
}

/* ---- Reading ---- */

static int open_regular(const char *path, int *fd, size_t *size, m2m_error *err)
{
    struct stat st;
    int f = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (f < 0) return failed(err, path, "open it");
    int rc = 0;
    if (fstat(f, &st)) {
        rc = failed(err, path, "look at it");
    } else if (!S_ISREG(st.st_mode)) {
        const char *what = S_ISDIR(st.st_mode) ? "a directory" : "no regular file";
        rc = fail(err, M2M_EIO, "%s: is %s, a file was wanted", path, what);
    }
    if (rc) {
        close(f);
        return rc;
    }
    *fd = f;
    *size = (size_t)st.st_size;
    return 0;
}

int file_map_open(file_map *m, const char *path, m2m_error *err)
{
    int fd = -1;
    size_t size = 0;
    *m = (file_map){0};
    int rc = open_regular(path, &fd, &size, err);
    if (rc) return rc;
    if (size) {
        void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            rc = failed(err, path, "map it");
        } else {
            madvise(data, size, MADV_NOHUGEPAGE);   /* a page of 2 MB would bring back what was dropped beside it */
            *m = (file_map){data, size};
        }
    }
    close(fd);
    return rc;
}

void file_map_close(file_map *m)
{
    if (m->data) munmap((void *)(uintptr_t)m->data, m->size);
    *m = (file_map){0};
}

/* Whole pages of [from, from + size) alone, unless the end is the map's. */
static void drop(const void *data, size_t all, size_t from, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (!data || from > all || size > all - from) return;
    size_t first = (from + page - 1) / page * page, end = from + size;
    if (end < all) end = end / page * page;
    if (first < end) madvise((void *)((uintptr_t)data + first), end - first, MADV_DONTNEED);
}

void file_map_drop(const file_map *m, size_t from, size_t size)
{
    drop(m->data, m->size, from, size);
}

int file_memory_open(file_memory *m, const char *dir, size_t size, m2m_error *err)
{
    *m = (file_memory){0};
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) return failed(err, dir, "make a nameless file in it");
    int number = posix_fallocate(fd, 0, (off_t)size);
    void *data = number ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!number && data == MAP_FAILED) number = errno;
    close(fd);
    if (number) return fail(err, M2M_EIO, "%s: can't take %zu bytes of disk there: %s", dir, size, strerror(number));
    *m = (file_memory){data, size};
    return 0;
}

void file_memory_close(file_memory *m)
{
    if (m->data) munmap(m->data, m->size);
    *m = (file_memory){0};
}

void file_memory_drop(const file_memory *m, size_t from, size_t size)
{
    drop(m->data, m->size, from, size);
}

int file_read_all(const char *path, size_t limit, char **data, size_t *size, m2m_error *err)
{
    int fd = -1;
    size_t length = 0, at = 0;
    int rc = open_regular(path, &fd, &length, err);
    if (rc) return rc;
    char *buf = NULL;
    if (length > limit)
        rc = fail(err, M2M_EFORMAT, "%s: has %zu bytes, at most %zu allowed", path, length, limit);
    else if (!(buf = malloc(length + 1)))
        rc = fail(err, M2M_ENOMEM, "%s: no memory for its %zu bytes", path, length);
    while (!rc && at < length) {
        ssize_t n = read(fd, buf + at, length - at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = failed(err, path, "read it");
        if (n == 0)
            rc = fail(
                err, M2M_EIO, "%s: ends after %zu bytes, had %zu when opened", path, at, length);
        if (n > 0) at += (size_t)n;
    }
    close(fd);
    if (rc) {
        free(buf);
        return rc;
    }
    buf[length] = 0;
    *data = buf;
    if (size) *size = length;
    return 0;
}

/* ---- Names ---- */

bool file_exists(const char *path)
{
    return file_size(path) >= 0;
}

bool dir_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int64_t file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
}

int dir_make(const char *path, m2m_error *err)
{
    char *copy = strdup(path);
    if (!copy) return fail(err, M2M_ENOMEM, "%s: no memory for its name", path);
    int rc = 0;
    for (char *p = copy; !rc && *p; p++) {
        bool last = p[1] == 0;
        if (!last && (p[1] != '/' || *p == '/')) continue;
        char rest = p[1];
        p[1] = 0;
        if (mkdir(copy, 0777) && errno != EEXIST) rc = failed(err, copy, "make the directory");
        p[1] = rest;
    }
    free(copy);
    if (!rc && !dir_exists(path))
        rc = fail(err, M2M_EIO, "%s: is no directory, one was wanted", path);
    return rc;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(char ***names, int *n, int *room, const char *name)
{
    if (*n == *room) {
        int more = *room ? *room * 2 : 64;
        char **grown = realloc(*names, (size_t)more * sizeof *grown);
        if (!grown) return -1;
        *names = grown;
        *room = more;
    }
    char *copy = strdup(name);
    if (!copy) return -1;
    (*names)[(*n)++] = copy;
    return 0;
}

int dir_list(const char *path, char ***names, int *n, m2m_error *err)
{
    DIR *d = opendir(path);
    if (!d) return failed(err, path, "open the directory");
    char **list = NULL;
    int count = 0, room = 0, rc = 0;
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (!e) {
            if (errno) rc = failed(err, path, "read the directory");
            break;
        }
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (add_name(&list, &count, &room, e->d_name)) {
            rc = fail(err, M2M_ENOMEM, "%s: no memory for its %d names", path, count);
            break;
        }
    }
    closedir(d);
    if (rc) {
        names_free(&list, count);
        return rc;
    }
    if (count) qsort(list, (size_t)count, sizeof *list, by_bytes);
    *names = list;
    *n = count;
    return 0;
}

void names_free(char ***names, int n)
{
    for (int i = 0; *names && i < n; i++) free((*names)[i]);
    free(*names);
    *names = NULL;
}

void dir_sweep(const char *path)
{
    char **names;
    int n;
    if (dir_list(path, &names, &n, NULL)) return;
    for (int i = 0; i < n; i++) {
        char *left = strncmp(names[i], ".m2m", 4) ? NULL : path_join(path, names[i]);
        if (left) unlink(left);
        free(left);
    }
    names_free(&names, n);
}

char *path_join(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    if (b[0] == '/' || na == 0) return strdup(b);
    char *joined = malloc(na + nb + 2);
    if (joined) snprintf(joined, na + nb + 2, "%s%s%s", a, a[na - 1] == '/' ? "" : "/", b);
    return joined;
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *path_dir(const char *path)
{
    const char *base = path_base(path);
    size_t n = base == path ? 0 : (size_t)(base - path - 1);
    return base == path ? strdup(".") : n ? strndup(path, n) : strdup("/");
}

bool path_ends(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n >= m && strcasecmp(path + n - m, end) == 0;
}
