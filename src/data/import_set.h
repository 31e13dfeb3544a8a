/* One imported set: its images read, checked, resized and turned into the members of a sample (import.c's inner
 * part). */
#ifndef DATA_IMPORT_SET_H
#define DATA_IMPORT_SET_H

#include "data/import_kind.h"
#include "data/shard.h"
#include "image/resize.h"

typedef struct import_view {           /* how images are written */
    int size;                          /* 0: as they are */
    image_fit_mode fit;
    uint8_t background[3];
} import_view;

typedef struct made_set {
    import_set set;
    char key[160];
    shard_field *fields;
    char **owned;                      /* [fields] their data, or NULL where it is borrowed */
    char (*suffixes)[16];
    int n_fields, images;              /* images: good ones */
    size_t bytes;
} made_set;

/* Fills the zeroed *m, which made_set_free releases in any case. What is wrong with records and images are problems of
 * m->set; fewer than `least` good images are one, too, and no fields are left then. Errors: those of the kind's read;
 * M2M_ENOMEM. Any thread. */
int made_set_make(made_set *m, const import_kind *kind, const import_source *s, const import_view *view, int64_t index,
                  m2m_error *err);
void made_set_free(made_set *m);

/* Is this .npy a camera: 3x4 numbers [R|t], finite, R a rotation? Then its numbers. Errors begin with `name`. */
int pose_read(double pose[12], const blob *b, const char *name, m2m_error *err);

#endif
