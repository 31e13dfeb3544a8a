#include "data/prefetch.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct request {
    loader_item item;
    bool done;
    int status;
    m2m_image image;
    m2m_error why;
} request;

struct prefetch {
    const dataset *data;
    const dataset_view *view;
    request *ring;                           /* [depth]: request n is at n % depth */
    int depth, threads;
    int64_t taken, claimed, asked;           /* taken <= claimed <= asked, at most depth between the outer two */
    bool closing;
    pthread_mutex_t lock;
    pthread_cond_t work, ready;              /* something was asked for; something is done */
    pthread_t thread[];
};

/* Decodes the next request that nobody has claimed. Called and left with the lock held. */
static void decode_next(prefetch *p)
{
    request *r = &p->ring[p->claimed++ % p->depth];
    loader_item item = r->item;
    m2m_image image = {0};
    m2m_error why = {0};
    pthread_mutex_unlock(&p->lock);
    int status = dataset_read(p->data, item.set, item.image, p->view, &image, &why);
    pthread_mutex_lock(&p->lock);
    r->image = image, r->why = why, r->status = status, r->done = true;
    pthread_cond_broadcast(&p->ready);
}

static void *worker(void *arg)
{
    prefetch *p = arg;
    pthread_mutex_lock(&p->lock);
    while (!p->closing)
        if (p->claimed < p->asked) decode_next(p);
        else pthread_cond_wait(&p->work, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

int prefetch_open(prefetch **out, const dataset *d, const dataset_view *v, int depth, int threads, m2m_error *err)
{
    prefetch *p = calloc(1, sizeof *p + (size_t)threads * sizeof *p->thread);
    request *ring = calloc((size_t)depth, sizeof *ring);
    *out = NULL;
    if (!p || !ring) {
        free(p);
        free(ring);
        return fail(err, M2M_ENOMEM, "no memory to decode %d images ahead", depth);
    }
    p->data = d;
    p->view = v;
    p->ring = ring;
    p->depth = depth;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->ready, NULL);
    // Fewer threads than wanted, or none, is slower and nothing else.
    while (p->threads < threads && !pthread_create(&p->thread[p->threads], NULL, worker, p)) p->threads++;
    *out = p;
    return 0;
}

void prefetch_close(prefetch **pp)
{
    prefetch *p = *pp;
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->threads; i++) pthread_join(p->thread[i], NULL);
    prefetch_forget(p);
    pthread_cond_destroy(&p->ready);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p->ring);
    free(p);
    *pp = NULL;
}

int prefetch_waiting(const prefetch *p) { return (int)(p->asked - p->taken); }

bool prefetch_ask(prefetch *p, loader_item item)
{
    if (prefetch_waiting(p) == p->depth) return false;
    pthread_mutex_lock(&p->lock);
    p->ring[p->asked++ % p->depth] = (request){.item = item};
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    return true;
}

/* The oldest request, done: by this thread if nobody has begun it. */
static request *oldest(prefetch *p)
{
    check(p->taken < p->asked, "no image was asked for");
    request *r = &p->ring[p->taken % p->depth];
    pthread_mutex_lock(&p->lock);
    if (p->claimed == p->taken) decode_next(p);
    while (!r->done) pthread_cond_wait(&p->ready, &p->lock);
    p->taken++;
    pthread_mutex_unlock(&p->lock);
    return r;
}

int prefetch_take(prefetch *p, m2m_image *out, m2m_error *err)
{
    request *r = oldest(p);
    *out = r->image;
    return r->status ? fail(err, r->status, "%s", r->why.msg) : 0;
}

void prefetch_forget(prefetch *p)
{
    pthread_mutex_lock(&p->lock);
    p->asked = p->claimed;                   /* what nobody began is not begun */
    pthread_mutex_unlock(&p->lock);
    while (p->taken < p->asked) {
        m2m_image image;
        if (!prefetch_take(p, &image, NULL)) m2m_image_free(&image);
    }
}
