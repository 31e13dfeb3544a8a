#include "eval/gaussian.h"

#include "base/error.h"
#include "eval/symmetric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 128 };

struct moments {
    int dim, waiting;              /* rows in block */
    int64_t count;                 /* rows in mean and spread */
    double *block;                 /* [BLOCK,dim] */
    double *mean, *shift;          /* [dim] */
    double *spread;                /* [dim,dim], lower half: sum of (x - mean)(x - mean)^T */
};

void gaussian_free(gaussian *g)
{
    free(g->mean);
    free(g->sigma);
    *g = (gaussian){0};
}

moments *moments_new(int dim, m2m_error *err)
{
    check(dim >= 1 && dim <= GAUSSIAN_DIM, "%d columns", dim);
    const size_t n = (size_t)dim;
    moments *m = calloc(1, sizeof *m);
    if (m) {
        m->dim = dim;
        m->block = malloc(BLOCK * n * sizeof(double));
        m->mean = calloc(n, sizeof(double));
        m->shift = calloc(n, sizeof(double));
        m->spread = calloc(n * n, sizeof(double));
    }
    if (m && m->block && m->mean && m->shift && m->spread) return m;
    moments_free(m);
    fail(err, M2M_ENOMEM, "no memory for the statistics of %d features", dim);
    return NULL;
}

void moments_free(moments *m)
{
    if (!m) return;
    free(m->block);
    free(m->mean);
    free(m->shift);
    free(m->spread);
    free(m);
}

/* Chan, Golub, LeVeque 1979: spread += own spread of the block + n k / (n + k) d d^T for d between the means. */
static void join_block(moments *m)
{
    const int k = m->waiting;
    const double n = (double)m->count, part = k / (n + k);
    if (!k) return;
    for (int j = 0; j < m->dim; j++) {
        double sum = 0;
        for (int i = 0; i < k; i++) sum += m->block[(size_t)i * (size_t)m->dim + (size_t)j];
        const double mean = sum / k, apart = mean - m->mean[j];
        for (int i = 0; i < k; i++) m->block[(size_t)i * (size_t)m->dim + (size_t)j] -= mean;
        m->mean[j] += apart * part;
        m->shift[j] = apart * sqrt(n * part);
    }
    symmetric_add_rows(m->spread, m->block, k, m->dim);
    symmetric_add_rows(m->spread, m->shift, 1, m->dim);
    m->count += k;
    m->waiting = 0;
}

void moments_add(moments *m, const float *rows, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double *to = m->block + (size_t)m->waiting * (size_t)m->dim;
        for (int j = 0; j < m->dim; j++) to[j] = rows[i * m->dim + j];
        if (++m->waiting == BLOCK) join_block(m);
    }
}

int64_t moments_count(const moments *m) { return m->count + m->waiting; }

int moments_take(moments *m, gaussian *g, m2m_error *err)
{
    const size_t n = (size_t)m->dim;
    if (moments_count(m) < 2)
        return fail(err, M2M_EINVAL, "features of %lld images, wanted 2 or more for a covariance",
                    (long long)moments_count(m));
    *g = (gaussian){.dim = m->dim, .mean = malloc(n * sizeof(double)), .sigma = malloc(n * n * sizeof(double))};
    if (!g->mean || !g->sigma) {
        gaussian_free(g);
        return fail(err, M2M_ENOMEM, "no memory for the statistics of %d features", m->dim);
    }
    join_block(m);
    g->count = m->count;
    memcpy(g->mean, m->mean, n * sizeof(double));
    for (size_t i = 0; i < n * n; i++) g->sigma[i] = m->spread[i] / (double)(m->count - 1);
    symmetric_mirror(g->sigma, m->dim);
    return 0;
}

/* ---- Fréchet distance ---- */

/* a [rank,dim] so that S = a^T a, from S [dim,dim], which is spoilt; eigenvalues that are rounding errors are left out.
 * Returns the rank. */
static int root_of(double *s, int dim, double *w)
{
    const double most = w[dim - 1] > 0 ? w[dim - 1] : 0, least = most * dim * 0x1p-52;
    int rank = 0;
    for (int k = 0; k < dim; k++) {
        if (w[k] <= least) continue;
        const double root = sqrt(w[k]);
        const double *from = s + (size_t)k * (size_t)dim;
        double *to = s + (size_t)rank++ * (size_t)dim;
        for (int j = 0; j < dim; j++) to[j] = from[j] * root;
    }
    return rank;
}

/* tr (S1 S2)^(1/2). room: [3][dim,dim] */
static int trace_of_root(const gaussian *a, const gaussian *b, double *room, double *w, double *trace, m2m_error *err)
{
    const int dim = a->dim;
    const size_t all = (size_t)dim * (size_t)dim;
    double *root = room, *half = room + all, *m = room + 2 * all;
    memcpy(root, a->sigma, all * sizeof *root);
    int status = symmetric_eigen(root, dim, 1, w, err);
    if (status) return status;
    const int rank = root_of(root, dim, w);
    *trace = 0;
    if (!rank) return 0;
    product_transposed(half, root, b->sigma, rank, dim, dim);       /* root S2: S2 is symmetric */
    product_transposed(m, half, root, rank, rank, dim);
    status = symmetric_eigen(m, rank, 0, w, err);
    for (int k = 0; k < rank && !status; k++)
        if (w[k] > w[rank - 1] * rank * 0x1p-52) *trace += sqrt(w[k]);
    return status;
}

int gaussian_of(gaussian *g, const float *rows, int64_t count, int dim, m2m_error *err)
{
    moments *m = moments_new(dim, err);
    if (!m) return M2M_ENOMEM;
    moments_add(m, rows, count);
    int rc = moments_take(m, g, err);
    moments_free(m);
    return rc;
}

int frechet_distance(const gaussian *a, const gaussian *b, double *distance, m2m_error *err)
{
    if (a->dim != b->dim)
        return fail(err, M2M_ESHAPE, "statistics of %d and of %d features, wanted the same number", a->dim, b->dim);
    const size_t n = (size_t)a->dim;
    double *room = malloc(3 * n * n * sizeof *room), *w = malloc(n * sizeof *w), apart = 0, trace = 0;
    int status = room && w ? trace_of_root(a, b, room, w, &trace, err)
                           : fail(err, M2M_ENOMEM, "no memory for the root of a matrix of %d rows", a->dim);
    for (size_t i = 0; i < n && !status; i++) {
        const double d = a->mean[i] - b->mean[i];
        apart += d * d + a->sigma[i * n + i] + b->sigma[i * n + i];
    }
    if (!status && !isfinite(apart))
        status = fail(err, M2M_EFORMAT, "the statistics hold %g, wanted finite numbers", apart);
    if (!status) *distance = apart - 2 * trace;
    free(room);
    free(w);
    return status;
}
