#include "data/prefetch.h"

#include "base/ahead.h"

#include <stdlib.h>

typedef struct request {
    loader_item item;
    int status;
    m2m_image image;
    m2m_error why;
} request;

struct prefetch {
    const dataset *data;
    const dataset_view *view;
    ahead *ring;
};

static void decode(void *user, void *slot)
{
    const prefetch *p = user;
    request *r = slot;
    r->status = dataset_read(p->data, r->item.set, r->item.image, p->view, &r->image, &r->why);
}

int prefetch_open(prefetch **out, const dataset *d, const dataset_view *v, int depth, int threads, m2m_error *err)
{
    prefetch *p = malloc(sizeof *p);
    *out = NULL;
    if (!p) return fail(err, M2M_ENOMEM, "no memory to decode %d images ahead", depth);
    *p = (prefetch){.data = d, .view = v};
    int rc = ahead_open(&p->ring, decode, p, sizeof(request), depth, threads, err);
    if (rc) free(p);
    else *out = p;
    return rc;
}

void prefetch_close(prefetch **pp)
{
    prefetch *p = *pp;
    if (!p) return;
    prefetch_forget(p);
    ahead_close(&p->ring);
    free(p);
    *pp = NULL;
}

int prefetch_waiting(const prefetch *p) { return ahead_waiting(p->ring); }

bool prefetch_ask(prefetch *p, loader_item item) { return ahead_ask(p->ring, &(request){.item = item}); }

int prefetch_take(prefetch *p, m2m_image *out, m2m_error *err)
{
    const request *r = ahead_take(p->ring);
    *out = r->image;
    return r->status ? fail(err, r->status, "%s", r->why.msg) : 0;
}

void prefetch_forget(prefetch *p)
{
    ahead_forget(p->ring);
    while (prefetch_waiting(p)) {
        m2m_image image;
        if (!prefetch_take(p, &image, NULL)) m2m_image_free(&image);
    }
}
