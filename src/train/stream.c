#include "train/stream.h"

#include "image/image.h"

#include <stdlib.h>

/* In place of an image that can't be read. */
static int read_instead(stream *s, loader_item *it, m2m_image *img, m2m_error *why)
{
    enum { TRIES = 100, TOLD = 20 };
    const m2m_calls *calls = s->plan.calls;
    int status = why->code;
    for (int tries = 1; status && tries < TRIES; tries++) {
        if (calls && calls->line && s->bad++ < TOLD) calls->line(calls->user, why->msg);
        if (++it->image == dataset_images(s->data, it->set))
            *it = (loader_item){.set = (it->set + 1) % dataset_sets(s->data)};
        status = dataset_read(s->data, it->set, it->image, &s->plan.view, img, why);
    }
    return status;
}

static int read_images(stream *s, float *images, m2m_error *err)
{
    const int64_t floats = 3 * (int64_t)s->plan.view.width * s->plan.view.height;
    for (int i = 0; i < s->rows; i++) {
        m2m_image img = {0};
        m2m_error why;
        int status = prefetch_take(s->ahead, &img, &why);
        if (status) status = read_instead(s, &s->items[i], &img, &why);
        if (status) return fail(err, status, "100 images in a row can't be read; the last: %.300s", why.msg);
        image_to_chw(&img, images + i * floats);
        m2m_image_free(&img);
    }
    return 0;
}

static void choose(stream *s, int64_t batch, loader_item *items)
{
    if (s->plan.images) loader_batch(&s->loader, batch, items);
    else loader_images(&s->loader, batch, s->rows, items);
}

static void ask(stream *s, int64_t batch)
{
    loader_item *items = s->items + s->rows;
    choose(s, batch, items);
    for (int i = 0; i < s->rows; i++) check(prefetch_ask(s->ahead, items[i]), "more than two batches were asked for");
}

int stream_read(stream *s, int64_t batch, float *images, m2m_error *err)
{
    if (s->next != batch || !prefetch_waiting(s->ahead)) {
        prefetch_forget(s->ahead);
        ask(s, batch);
    }
    s->next = batch + 1;
    ask(s, s->next);
    choose(s, batch, s->items);
    return read_images(s, images, err);
}

int stream_open(stream *s, const stream_plan *plan, m2m_error *err)
{
    enum { THREADS = 2 };
    const int images = plan->images ? plan->images : 1;
    *s = (stream){.plan = *plan, .rows = plan->sets * images};
    s->items = malloc(2 * (size_t)s->rows * sizeof *s->items);
    int status = s->items ? 0 : fail(err, M2M_ENOMEM, "no memory for a batch of %d images", s->rows);
    if (!status) status = dataset_open(&s->data, plan->paths, images, err);
    if (!status) status = loader_open(&s->loader, s->data, plan->seed, plan->sets, images, ORDER_RANDOM, err);
    if (!status) status = prefetch_open(&s->ahead, s->data, &s->plan.view, 2 * s->rows, THREADS, err);
    return status;
}

void stream_close(stream *s)
{
    prefetch_close(&s->ahead);
    loader_close(&s->loader);
    dataset_close(&s->data);
    free(s->items);
    *s = (stream){0};
}
