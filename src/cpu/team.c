/* The team: a job is published in one 64-bit word, generation and next piece; a piece is taken by compare-and-swap on
 * it, so a late thread can never take a piece of a job that it has not seen. Idle threads spin for some 50 microseconds
 * (kernels follow each other closely), then sleep. */
#include "cpu/team.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { SPINS = 2000, PIECES_PER_THREAD = 16 };

static const uint64_t CLOSED = 0xFFFFFFFFu;      /* a next piece that no job reaches */
static const double PIECE_COST = 12000;          /* less is not worth handing over */

struct team {
    _Atomic uint64_t word;                       /* generation << 32 | next piece */
    _Atomic(span_job *) job;
    const void *_Atomic ctx;
    _Atomic int64_t n, grain, pieces, done;
    _Atomic bool quit, waiting;
    _Atomic int sleepers;
    pthread_mutex_t lock;
    pthread_cond_t work, finished;
    int threads, started;
    pthread_t *thread;
};

typedef struct team_member {
    team *p;
    int worker;
} team_member;

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Takes and runs pieces until none is left. */
static void team_work(team *p, int worker)
{
    for (;;) {
        uint64_t w = atomic_load(&p->word);
        const int64_t piece = (int64_t)(w & CLOSED), pieces = atomic_load(&p->pieces);
        span_job *job = atomic_load(&p->job);
        const void *ctx = atomic_load(&p->ctx);
        const int64_t n = atomic_load(&p->n), grain = atomic_load(&p->grain);
        if (piece >= pieces) return;
        if (!atomic_compare_exchange_weak(&p->word, &w, w + 1)) continue;
        job(ctx, span_of(n, grain, pieces, piece), worker);
        if (atomic_fetch_add(&p->done, 1) + 1 == pieces && atomic_load(&p->waiting)) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->finished);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

static void team_sleep(team *p, uint64_t seen)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    while (atomic_load(&p->word) == seen && !atomic_load(&p->quit)) pthread_cond_wait(&p->work, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
}

static void *team_member_main(void *arg)
{
    const team_member m = *(team_member *)arg;
    free(arg);
    while (!atomic_load(&m.p->quit)) {
        team_work(m.p, m.worker);
        const uint64_t seen = atomic_load(&m.p->word);
        int spins = 0;
        while (spins < SPINS && atomic_load(&m.p->word) == seen) {
            pause_briefly();
            spins++;
        }
        if (spins == SPINS) team_sleep(m.p, seen);
    }
    return NULL;
}

static void team_wake(team *p)
{
    if (!atomic_load(&p->sleepers)) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
}

static void team_wait(team *p, int64_t pieces)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&p->done) == pieces) return;
        pause_briefly();
    }
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->waiting, true);
    while (atomic_load(&p->done) != pieces) pthread_cond_wait(&p->finished, &p->lock);
    atomic_store(&p->waiting, false);
    pthread_mutex_unlock(&p->lock);
}

void team_run(team *p, int64_t n, int64_t grain, double cost, span_job *f, const void *ctx)
{
    const int64_t units = (n + grain - 1) / grain, most = (int64_t)p->threads * PIECES_PER_THREAD;
    const double worth = (double)n * cost / PIECE_COST;
    int64_t pieces = worth < (double)most ? (int64_t)worth : most;
    if (n <= 0) return;
    if (pieces > 1) {   /* of one size, as far as that goes, and as many for each thread */
        const int64_t size = (units + pieces - 1) / pieces, even = (units + size - 1) / size;
        pieces = (even + p->threads - 1) / p->threads * p->threads;
    }
    if (pieces > units) pieces = units;
    if (pieces < 2 || p->threads == 1) {
        f(ctx, (span){0, n}, 0);
        return;
    }
    const uint64_t generation = (atomic_load(&p->word) >> 32) + 1;
    atomic_store(&p->word, generation << 32 | CLOSED);   /* nobody takes a piece while the job is written */
    atomic_store(&p->job, f);
    atomic_store(&p->ctx, ctx);
    atomic_store(&p->n, n);
    atomic_store(&p->grain, grain);
    atomic_store(&p->done, 0);
    atomic_store(&p->pieces, pieces);
    atomic_store(&p->word, (generation + 1) << 32);
    team_wake(p);
    team_work(p, 0);
    team_wait(p, pieces);
}

team *team_open(int threads)
{
    team *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->threads = threads;
    p->thread = calloc((size_t)threads, sizeof *p->thread);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->finished, NULL);
    for (int i = 1; p->thread && i < threads; i++) {
        team_member *m = malloc(sizeof *m);
        if (m) *m = (team_member){p, i};
        if (!m || pthread_create(&p->thread[p->started], NULL, team_member_main, m)) {
            free(m);
            break;
        }
        p->started++;
    }
    if (p->started == threads - 1 && p->thread) return p;
    team_close(p);
    return NULL;
}

void team_close(team *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->quit, true);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->started; i++) pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->finished);
    pthread_mutex_destroy(&p->lock);
    free(p->thread);
    free(p);
}
