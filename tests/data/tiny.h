/* What the data tests share: a pool of made-up drawings, tar files written by hand, pictures to break. */
#ifndef TESTS_DATA_TINY_H
#define TESTS_DATA_TINY_H

#include "m2m_train.h"
#include "scratch_dir.h"

#include <stdbool.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* 4 styles x 30 subjects in 3 groups: round, square, tall. Every fifth subject is held out (val_subject), the style
 * "delta" too (val_style). */
enum { TINY_STYLES = 4, TINY_SUBJECTS = 30 };
bool tiny_is_held(const char *subject);
void tiny_pool(const char *dir);
/* Defaults for it: 12 sets of 3 images of 16 pixels, 5 sets a shard. */
m2m_compose_options tiny_options(void);

/* A PNG of one colour with a line across; to be freed. */
uint8_t *tiny_png(int side, int seed, size_t *size);

/* Appends a member, padded, with a right checksum, to *tar (realloc'ed). type: '0' file, '5' directory, … */
typedef struct bytes {
    uint8_t *data;
    size_t size;
} bytes;
void tar_add(bytes *tar, const char *name, char type, const void *data, size_t size);
void tar_end(bytes *tar);
/* Recomputes the checksum of the header at `at`. */
void tar_sum(bytes *tar, size_t at);
void write_file(const char *path, const void *data, size_t size);
bytes read_file(const char *path);

#endif
