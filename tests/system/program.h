/* Runs the program as a user would, in a scratch directory, and looks at what it said and left behind. */
#ifndef SYSTEM_PROGRAM_H
#define SYSTEM_PROGRAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>

typedef struct outcome {
    int status;              /* exit status; 128 + n: died of signal n; 124: ran too long and was killed */
    char out[1 << 16], err[1 << 13];
} outcome;

typedef struct way {         /* how the program is started; zero is ordinary */
    int64_t file_limit;      /* RLIMIT_FSIZE in bytes, SIGXFSZ ignored */
    const char *output;      /* stdout goes to this file */
    const char *until;       /* when this file exists, SIGINT is sent */
    bool kill;               /* SIGKILL instead */
    bool unprivileged;       /* as nobody, if the test runs as root */
} way;

/* args: NULL at the end, without the program. */
void program_run(outcome *o, const way *w, const char *const *args);
#define RUN(o, ...) program_run(o, &(way){0}, (const char *const[]){__VA_ARGS__, NULL})

/* Fails the test unless the status is 0. */
void expect_success(const outcome *o);
/* Fails the test unless the status is 1 or 2 and stderr is one line "m2m: …" that contains `named` (NULL: anything).
 * `named` may hold alternatives: "a|b". */
void expect_refused(const outcome *o, const char *named);

/* A fresh directory, made the current one; removed with all in it by scratch_remove. Both fit cmocka's group
 * setup and teardown. */
int scratch_make(void **state);
int scratch_remove(void **state);
/* Path of a name in the scratch directory, or of a file of the tests. Static buffers, used in turn (16). */
const char *in_scratch(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *in_tests(const char *name);

void write_file(const char *path, const void *data, size_t size);
void write_text(const char *path, const char *text);
/* The whole content, zero-terminated, to be freed. */
char *read_file(const char *path, size_t *size);
bool same_files(const char *a, const char *b);
bool there(const char *path);
/* Files below a directory, all levels; 0 if it is not there. */
int count_files(const char *dir);
void copy_tree(const char *from, const char *to);
void remove_tree(const char *dir);

/* Folders clip and dino in the scratch directory: a tiny CLIPModel that sees 15 x 15 pixels, with a tokenizer of
 * letters, and a tiny Dinov2Model. */
void make_eyes(void);

/* Header and data of a safetensors file; the header is parsed. */
typedef struct stfile {
    cJSON *header;
    char *data;
    size_t size;
} stfile;

void st_read(stfile *f, const char *path);
void st_write(const stfile *f, const char *path); /* offsets are written as they are in the header */
void st_free(stfile *f);
/* A file of one float32 tensor `name` with values from a simple sequence. */
void st_write_one(const char *path, const char *name, int rank, const int *dim);
/* A header text, its length field (0: the true one), and n zero bytes. */
void st_write_raw(const char *path, uint64_t length, const char *header, size_t n);

#endif
