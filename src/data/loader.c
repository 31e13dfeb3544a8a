#include "data/loader.h"

#include "base/rng.h"

#include <stdlib.h>

int loader_open(loader *l, const dataset *d, uint64_t seed, int sets, int images, loader_order order,
                m2m_error *err)
{
    *l = (loader){.data = d, .seed = seed, .sets = sets, .images = images, .image_order = order, .epoch = -1};
    l->order = malloc((size_t)dataset_sets(d) * sizeof *l->order);
    return l->order ? 0 : fail(err, M2M_ENOMEM, "no memory for the order of %d sets", dataset_sets(d));
}

void loader_close(loader *l)
{
    free(l->order);
    *l = (loader){0};
}

/* The set at position p of the endless sequence of epochs. */
static int set_at(loader *l, int64_t p)
{
    int n = dataset_sets(l->data);
    if (l->epoch != p / n) {
        l->epoch = p / n;
        for (int i = 0; i < n; i++) l->order[i] = i;
        rng r = rng_make(l->seed, RNG_ORDER, (uint32_t)l->epoch);
        rng_shuffle(&r, l->order, n);
    }
    return l->order[p % n];
}

static int ascending(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void choose_images(const loader *l, int64_t p, int set, loader_item *items)
{
    int have = dataset_images(l->data, set), all[4096];
    if (have > 4096) have = 4096;
    rng r = rng_make(l->seed ^ 0x5e7u, RNG_ORDER, (uint32_t)p);
    int start = l->image_order == ORDER_RUN ? (int)rng_below(&r, (uint32_t)(have - l->images) + 1) : 0;
    for (int i = 0; i < have; i++) all[i] = i;
    if (l->image_order != ORDER_RUN) rng_shuffle(&r, all, have);
    if (l->image_order == ORDER_GAPS) qsort(all, (size_t)l->images, sizeof *all, ascending);
    for (int i = 0; i < l->images; i++) items[i] = (loader_item){.set = set, .image = all[start + i]};
}

void loader_batch(loader *l, int64_t b, loader_item *items)
{
    for (int s = 0; s < l->sets; s++) {
        int64_t p = b * l->sets + s;
        choose_images(l, p, set_at(l, p), items + s * l->images);
    }
}

void loader_images(loader *l, int64_t b, int n, loader_item *items)
{
    for (int i = 0; i < n; i++) {
        int64_t p = b * n + i;
        int set = set_at(l, p);
        rng r = rng_make(l->seed ^ 0x1a6eu, RNG_ORDER, (uint32_t)p);
        items[i] = (loader_item){.set = set, .image = (int)rng_below(&r, (uint32_t)dataset_images(l->data, set))};
    }
}

int64_t loader_epoch(const loader *l, int64_t b) { return b * l->sets / dataset_sets(l->data); }
