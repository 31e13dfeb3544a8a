/* Which sets and which of their images make up batch b: a function of (seed, b) alone, whatever was drawn before, so a
 * resumed run needs no state. Every epoch visits every set once, in a new order. */
#ifndef DATA_LOADER_H
#define DATA_LOADER_H

#include "data/set.h"

/* Which N images of a set, and in which order: any; a run of them; or any in the set's own order, others left out. */
typedef enum loader_order { ORDER_RANDOM, ORDER_RUN, ORDER_GAPS } loader_order;

typedef struct loader {
    const dataset *data;
    uint64_t seed;
    int sets, images;        /* S, N of a batch */
    loader_order image_order;
    int64_t epoch;           /* whose order is in `order`; -1: none */
    int *order;              /* [sets of the data] */
} loader;

int loader_open(loader *l, const dataset *d, uint64_t seed, int sets, int images, loader_order order,
                m2m_error *err);
void loader_close(loader *l);

typedef struct loader_item {
    int set, image;
} loader_item;

/* items [S*N]: row (set, image) of batch b >= 0. */
void loader_batch(loader *l, int64_t b, loader_item *items);
/* Single images over all sets, each once an epoch: items [n], batch b of n. */
void loader_images(loader *l, int64_t b, int n, loader_item *items);
int64_t loader_epoch(const loader *l, int64_t b);        /* of the first set of batch b */

#endif
