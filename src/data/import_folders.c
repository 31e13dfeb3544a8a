/* A folder of folders of images: each folder is a set, its images in the order of their names. */
#include "data/import_kind.h"

#include "base/error.h"
#include "base/file.h"
#include "image/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct folders {
    char **names;              /* of the folders */
    int n;
} folders;

static int open_folders(import_source *s, m2m_error *err)
{
    static const char *const here[] = {"", NULL};
    folders *f = s->own = calloc(1, sizeof *f);
    char **names = NULL;
    int n = 0, rc = f ? dir_list(s->path, &names, &n, err) : fail(err, M2M_ENOMEM, "%s: no memory to open it", s->path);
    if (rc) return rc;
    f->names = names;
    for (int i = 0; i < n; i++) {          /* folders to the front */
        char *path = path_join(s->path, names[i]), *name = names[i];
        bool is_folder = path && dir_exists(path);
        free(path);
        if (!is_folder) continue;
        names[i] = names[f->n];
        names[f->n++] = name;
    }
    for (int i = f->n; i < n; i++) free(names[i]);
    s->records = s->sets = f->n;
    return store_open(&s->files, s->path, here, &s->problems, err);
}

static void close_folders(import_source *s)
{
    folders *f = s->own;
    if (!f) return;
    names_free(&f->names, f->n);
    free(f);
    s->own = NULL;
}

static int read_folder(const import_source *s, int64_t index, import_set *set, m2m_error *err)
{
    const folders *f = s->own;
    char **names, *path = path_join(s->path, f->names[index]);
    m2m_error why = {0};
    int n = 0, number = 0;
    if (!path) return fail(err, M2M_ENOMEM, "%s: no memory to read it", s->path);
    set->name = strdup(f->names[index]);
    set->ordered = s->options->ordered != 0;
    if (dir_list(path, &names, &n, &why)) {
        problems_add(&set->problems, PROBLEM_FOLDER, path, why.msg);
        free(path);
        return 0;
    }
    free(path);
    for (int i = 0; i < n; i++) {
        if (image_format_of(names[i]) == IMAGE_UNKNOWN) continue;
        char *file = path_join(f->names[index], names[i]);
        if (file) import_add(set, number++, file, NULL);
        else set->problems.failed = true;
        free(file);
    }
    if (!number) problems_add(&set->problems, PROBLEM_RECORD, f->names[index], "has no image");
    names_free(&names, n);
    return 0;
}

const import_kind import_folders = {
    .open = open_folders,
    .read = read_folder,
    .close = close_folders,
};
