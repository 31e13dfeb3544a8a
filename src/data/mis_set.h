/* One image set of mis.h: images from a caption, as the fields of a shard's sample. */
#ifndef DATA_MIS_SET_H
#define DATA_MIS_SET_H

#include "data/mis.h"
#include "data/shard.h"

typedef struct mis_set {
    char key[24];
    int n;                     /* fields, fewer than there is room for only before it is made */
    shard_field *fields;       /* [images + 3] */
    char (*suffixes)[16];
} mis_set;

typedef struct mis_work {
    const mis_source *source;
    const m2m_mis_options *options;
    int threads;
    int (*step)(void *user, double images);    /* of the batch in work, so many are done; non-zero: stop */
    void (*made)(void *user, int images);      /* a batch is finished */
    void *user;
} mis_work;

int mis_set_members(const m2m_mis_options *o);         /* of a sample */
/* "000000042" into key. */
void mis_set_key(int64_t caption, char key[24]);
/* Images first..first+n-1 of caption number `row` as files; data and sizes: [n], each datum to be freed, also after an
 * error (those not made are NULL). latents may be NULL. */
int mis_images_make(const mis_work *w, int64_t row, const char *caption, int first, int n, uint8_t **data,
                    size_t *sizes, float *latents, m2m_error *err);
/* split: its name. *s is to be freed in any case. */
int mis_set_make(mis_set *s, const mis_work *w, int64_t row, const char *caption, const char *split, m2m_error *err);
void mis_set_free(mis_set *s);

#endif
