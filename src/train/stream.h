/* Batches of images of a data set, decoded while the batch before them is trained on. Which images those are is a
 * function of (seed, batch); an image that can't be read is replaced by the next one of the data set, counted, told. */
#ifndef TRAIN_STREAM_H
#define TRAIN_STREAM_H

#include "data/prefetch.h"
#include "m2m_train.h"

typedef struct stream_plan {
    const char *paths;
    dataset_view view;
    uint64_t seed;
    int sets, images; /* of a batch: as loader_batch; images 0: `sets` single images, as loader_images */
    const m2m_calls *calls;
} stream_plan;

/* Must not be moved while it is open. */
typedef struct stream {
    dataset *data; /* NULL: not open */
    stream_plan plan;
    loader loader;
    prefetch *ahead;
    int rows;           /* images of a batch */
    loader_item *items; /* [rows]: which images the batch read last has; as many again are scratch */
    int64_t next;       /* the batch that was asked for ahead */
    int64_t bad;        /* images that could not be read so far */
} stream;

/* Sets with fewer than plan.images images are left out. Closed with stream_close also after a failure. */
int stream_open(stream *s, const stream_plan *plan, m2m_error *err);
void stream_close(stream *s);
/* images [rows,3,height,width] in -1..1. */
int stream_read(stream *s, int64_t batch, float *images, m2m_error *err);

#endif
