/* A directory of a test's own: made below $TMPDIR or /tmp, removed with all in it. */
#ifndef TESTS_SCRATCH_DIR_H
#define TESTS_SCRATCH_DIR_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct scratch_dir {
    char path[200], file[480]; /* file: room for one name */
} scratch_dir;

static inline int scratch_dir_make(scratch_dir *d)
{
    const char *top = getenv("TMPDIR");
    snprintf(d->path, sizeof d->path, "%.150s/m2m-test-XXXXXX", top ? top : "/tmp");
    return mkdtemp(d->path) ? 0 : -1;
}

/* The path of a name in the directory; valid until the next call. */
static inline const char *scratch_dir_file(scratch_dir *d, const char *name)
{
    snprintf(d->file, sizeof d->file, "%s/%s", d->path, name);
    return d->file;
}

static inline void scratch_dir_remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *e;
    while (dir && (e = readdir(dir)) != NULL) {
        char name[800];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(name, sizeof name, "%.500s/%.255s", path, e->d_name);
        if (unlink(name)) scratch_dir_remove_tree(name);
    }
    if (dir) closedir(dir);
    rmdir(path);
}

/* A directory `name` that a group of tests shares: make_dir and remove_dir are its set-up and tear-down. */
#define SCRATCH_DIR_FIXTURE(name)                \
    static scratch_dir name;                     \
    static int make_dir(void **state)            \
    {                                            \
        (void)state;                             \
        return scratch_dir_make(&name);          \
    }                                            \
    static int remove_dir(void **state)          \
    {                                            \
        (void)state;                             \
        scratch_dir_remove_tree(name.path);      \
        return 0;                                \
    }

/* How many entries the directory has. */
static inline int scratch_dir_count(const scratch_dir *d)
{
    int n = 0;
    DIR *dir = opendir(d->path);
    struct dirent *e;
    while (dir && (e = readdir(dir)) != NULL) n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (dir) closedir(dir);
    return n;
}

#endif
