/* A pool of drawings from which sets are composed: plain tars of RGBA PNGs and index.jsonl, one flat object a line
 * with the texts key, style, name, subject, category, group (may be absent), caption, tar, file (in the tar) and split
 * (train, val_subject, val_style). docs/data.md describes it. */
#ifndef DATA_POOL_H
#define DATA_POOL_H

#include "base/rng.h"
#include "data/augment.h"

typedef struct drawing {
    const char *key, *style, *name, *subject, *category, *group, *caption;   /* "" where unknown */
    const char *tar, *file;
    colour mean;               /* of what is opaque */
    m2m_image image;           /* RGBA */
} drawing;

enum { GROUP_NAME = 64 };

/* Drawings that go together: one style and one group, category or word of the name; or one subject. */
typedef struct pool_group {
    char name[GROUP_NAME];
    const int *items;          /* drawings, those of one kind adjacent; kinds are subjects, or styles for a subject */
    int n, kinds;
} pool_group;

typedef struct pool pool;

/* Reads and decodes the drawings of one split, shrunk to at most 4 x `size` a side, on up to `threads` threads.
 * Drawings that can't be decoded are skipped and counted. Errors: M2M_EIO, M2M_EFORMAT (also when none is left),
 * M2M_ENOMEM. */
int pool_open(pool **p, const char *dir, const char *split, int size, int threads, m2m_error *err);
void pool_close(pool **p);
/* An open pool is immutable: any thread may read it. */
int pool_count(const pool *p);
int pool_skipped(const pool *p);
const drawing *pool_at(const pool *p, int i);

/* A random group of one style with at least n subjects; NULL when there is none. */
const pool_group *pool_related(const pool *p, int n, rng *r);
/* A random subject drawn in at least n styles; NULL when there is none. */
const pool_group *pool_subject(const pool *p, int n, rng *r);

#endif
