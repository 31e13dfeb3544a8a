#include "base/ahead.h"

#include "base/error.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct ahead {
    ahead_work *work;
    void *user;
    char *ring;                              /* [depth]: slot n is at n % depth */
    bool *done;                              /* [depth] */
    size_t slot_size;
    int depth, threads;
    int64_t taken, claimed, asked;           /* taken <= claimed <= asked, at most depth between the outer two */
    bool closing;
    pthread_mutex_t lock;
    pthread_cond_t wanted, ready;            /* something was asked for; something is done */
    pthread_t thread[];
};

static void *slot(const ahead *a, int64_t n) { return a->ring + (size_t)(n % a->depth) * a->slot_size; }

/* Works on the next slot that nobody has claimed. Called and left with the lock held. */
static void work_next(ahead *a)
{
    const int64_t n = a->claimed++;
    pthread_mutex_unlock(&a->lock);
    a->work(a->user, slot(a, n));
    pthread_mutex_lock(&a->lock);
    a->done[n % a->depth] = true;
    pthread_cond_broadcast(&a->ready);
}

static void *worker(void *arg)
{
    ahead *a = arg;
    pthread_mutex_lock(&a->lock);
    while (!a->closing)
        if (a->claimed < a->asked) work_next(a);
        else pthread_cond_wait(&a->wanted, &a->lock);
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

int ahead_open(ahead **out, ahead_work *work, void *user, size_t slot_size, int depth, int threads, m2m_error *err)
{
    ahead *a = calloc(1, sizeof *a + (size_t)threads * sizeof *a->thread);
    char *ring = calloc((size_t)depth, slot_size);
    bool *done = calloc((size_t)depth, sizeof *done);
    *out = NULL;
    if (!a || !ring || !done) {
        free(a);
        free(ring);
        free(done);
        return fail(err, M2M_ENOMEM, "no memory to work %d steps ahead", depth);
    }
    a->work = work;
    a->user = user;
    a->ring = ring;
    a->done = done;
    a->slot_size = slot_size;
    a->depth = depth;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->wanted, NULL);
    pthread_cond_init(&a->ready, NULL);
    // Fewer threads than wanted, or none, is slower and nothing else.
    while (a->threads < threads && !pthread_create(&a->thread[a->threads], NULL, worker, a)) a->threads++;
    *out = a;
    return 0;
}

void ahead_close(ahead **out)
{
    ahead *a = *out;
    if (!a) return;
    pthread_mutex_lock(&a->lock);
    a->closing = true;
    pthread_cond_broadcast(&a->wanted);
    pthread_mutex_unlock(&a->lock);
    for (int i = 0; i < a->threads; i++) pthread_join(a->thread[i], NULL);
    check(a->taken == a->asked, "%d slots were not taken", ahead_waiting(a));
    pthread_cond_destroy(&a->ready);
    pthread_cond_destroy(&a->wanted);
    pthread_mutex_destroy(&a->lock);
    free(a->ring);
    free(a->done);
    free(a);
    *out = NULL;
}

int ahead_waiting(const ahead *a) { return (int)(a->asked - a->taken); }

bool ahead_ask(ahead *a, const void *request)
{
    if (ahead_waiting(a) == a->depth) return false;
    pthread_mutex_lock(&a->lock);
    memcpy(slot(a, a->asked), request, a->slot_size);
    a->done[a->asked++ % a->depth] = false;
    pthread_cond_signal(&a->wanted);
    pthread_mutex_unlock(&a->lock);
    return true;
}

/* By this thread if nobody has begun it. */
void *ahead_take(ahead *a)
{
    check(a->taken < a->asked, "nothing was asked for");
    pthread_mutex_lock(&a->lock);
    if (a->claimed == a->taken) work_next(a);
    while (!a->done[a->taken % a->depth]) pthread_cond_wait(&a->ready, &a->lock);
    void *oldest = slot(a, a->taken++);
    pthread_mutex_unlock(&a->lock);
    return oldest;
}

void ahead_forget(ahead *a)
{
    pthread_mutex_lock(&a->lock);
    a->asked = a->claimed;
    pthread_mutex_unlock(&a->lock);
}
