#include "eval/scores.h"

#include "base/error.h"
#include "base/noise.h"
#include "base/rng.h"
#include "eval/symmetric.h"

#include <math.h>
#include <stdlib.h>

enum { TILE = 256 };

static int widths_are_same(rows a, rows b, m2m_error *err)
{
    if (a.dim == b.dim) return 0;
    return fail(err, M2M_ESHAPE, "rows of %d and of %d features, wanted the same number", a.dim, b.dim);
}

/* ---- products of all pairs, tile by tile ---- */

/* Rows of a table, all or those that `pick` names. */
typedef struct selection {
    rows of;
    const int *pick;               /* NULL: all */
    int64_t count;
} selection;

typedef struct tiles {
    double *a, *b, *c;             /* [TILE,dim], [TILE,dim], [TILE,TILE] */
} tiles;

static int tiles_new(tiles *t, int dim, m2m_error *err)
{
    t->a = malloc(sizeof(double) * (2 * (size_t)TILE * (size_t)dim + (size_t)TILE * TILE));
    if (!t->a) return fail(err, M2M_ENOMEM, "no memory to compare rows of %d features", dim);
    t->b = t->a + (size_t)TILE * (size_t)dim;
    t->c = t->b + (size_t)TILE * (size_t)dim;
    return 0;
}

static void tiles_free(tiles *t) { free(t->a); }

static int fetch(double *to, const selection *s, int64_t first)
{
    const int n = (int)(s->count - first < TILE ? s->count - first : TILE), dim = s->of.dim;
    for (int i = 0; i < n; i++) {
        const int64_t row = s->pick ? s->pick[first + i] : first + i;
        for (int j = 0; j < dim; j++) to[(size_t)i * (size_t)dim + (size_t)j] = s->of.data[row * dim + j];
    }
    return n;
}

/* One tile of products: t->c [n,m] for rows i.. of a and rows j.. of b. */
typedef void tile_job(void *ctx, const double *c, int64_t i, int64_t j, int n, int m);

static void all_pairs(tiles *t, const selection *a, const selection *b, tile_job *f, void *ctx)
{
    for (int64_t i = 0; i < a->count; i += TILE) {
        const int n = fetch(t->a, a, i);
        for (int64_t j = 0; j < b->count; j += TILE) {
            const int m = fetch(t->b, b, j);
            product_transposed(t->c, t->a, t->b, n, m, a->of.dim);
            f(ctx, t->c, i, j, n, m);
        }
    }
}

/* ---- KID ---- */

typedef struct kernel_sums {
    double *by_row, *by_column;    /* [a.count], [b.count]; may be NULL */
    double total, dim;
    int skip_diagonal;
} kernel_sums;

static void add_kernels(void *ctx, const double *c, int64_t i, int64_t j, int n, int m)
{
    kernel_sums *s = ctx;
    for (int r = 0; r < n; r++) {
        double sum = 0;
        for (int k = 0; k < m; k++) {
            if (s->skip_diagonal && i + r == j + k) continue;
            const double x = c[r * m + k] / s->dim + 1, v = x * x * x;
            sum += v;
            if (s->by_column) s->by_column[j + k] += v;
        }
        if (s->by_row) s->by_row[i + r] += sum;
        s->total += sum;
    }
}

/* Sums of the kernel over pairs: aa and bb without the diagonal, ab. */
typedef struct pair_sums {
    double aa, bb, ab;
} pair_sums;

static double mmd(pair_sums s, double m, double n)
{
    return s.aa / (m * (m - 1)) + s.bb / (n * (n - 1)) - 2 * s.ab / (m * n);
}

/* own: [2][a.count + b.count] sums by row, within and across; or NULL. */
static pair_sums sum_pairs(tiles *t, const selection *a, const selection *b, double *own)
{
    const double dim = a->of.dim;
    const int64_t all = a->count + b->count;
    kernel_sums aa = {.by_row = own, .dim = dim, .skip_diagonal = 1};
    kernel_sums bb = {.by_row = own ? own + a->count : NULL, .dim = dim, .skip_diagonal = 1};
    kernel_sums ab = {.by_row = own ? own + all : NULL, .by_column = own ? own + all + a->count : NULL, .dim = dim};
    all_pairs(t, a, a, add_kernels, &aa);
    all_pairs(t, b, b, add_kernels, &bb);
    all_pairs(t, a, b, add_kernels, &ab);
    return (pair_sums){aa.total, bb.total, ab.total};
}

/* Spread of the estimates that leave one row out: (n-1)/n sum (x - mean)^2. */
static double jackknife(const double *x, int64_t n)
{
    double mean = 0, sum = 0;
    for (int64_t i = 0; i < n; i++) mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++) sum += (x[i] - mean) * (x[i] - mean);
    return sum * (double)(n - 1) / (double)n;
}

/* own becomes the estimates without each row. */
static double standard_error(pair_sums s, double *own, int64_t na, int64_t nb)
{
    if (na < 3 || nb < 3) return NAN;
    const double *across = own + na + nb;
    const double m = (double)na, n = (double)nb;
    for (int64_t i = 0; i < na; i++)
        own[i] = mmd((pair_sums){s.aa - 2 * own[i], s.bb, s.ab - across[i]}, m - 1, n);
    for (int64_t i = na; i < na + nb; i++)
        own[i] = mmd((pair_sums){s.aa, s.bb - 2 * own[i], s.ab - across[i]}, m, n - 1);
    return sqrt(jackknife(own, na) + jackknife(own + na, nb));
}

/* The first `size` of 0..n-1 after as many swaps. */
static void draw_subset(rng *r, int *items, int64_t n, int size)
{
    for (int i = 0; i < n; i++) items[i] = i;
    for (int i = 0; i < size; i++) {
        const int j = i + (int)rng_below(r, (uint32_t)(n - i)), kept = items[i];
        items[i] = items[j];
        items[j] = kept;
    }
}

static int kid_subsets(tiles *t, rows a, rows b, uint64_t seed, kid_score *score, m2m_error *err)
{
    const int size = score->subset_size;
    int *items = malloc(((size_t)a.count + (size_t)b.count) * sizeof *items);
    double *values = malloc((size_t)score->subsets * sizeof *values), sum = 0;
    const int status = items && values ? 0 : fail(err, M2M_ENOMEM, "no memory for %d subsets", score->subsets);
    for (int k = 0; k < score->subsets && !status; k++) {
        rng r = rng_make(seed, RNG_ORDER, (uint32_t)k);
        draw_subset(&r, items, a.count, size);
        draw_subset(&r, items + a.count, b.count, size);
        const selection sa = {a, items, size}, sb = {b, items + a.count, size};
        values[k] = mmd(sum_pairs(t, &sa, &sb, NULL), size, size);
        score->mean += values[k] / score->subsets;
    }
    for (int k = 0; k < score->subsets && !status; k++) sum += (values[k] - score->mean) * (values[k] - score->mean);
    score->deviation = sqrt(sum / (score->subsets ? score->subsets : 1));
    free(items);
    free(values);
    return status;
}

int kid(rows a, rows b, int subsets, int subset_size, uint64_t seed, kid_score *score, m2m_error *err)
{
    tiles t = {0};
    int status = widths_are_same(a, b, err);
    if (status) return status;
    if (a.count < 2 || b.count < 2)
        return fail(err, M2M_EINVAL, "features of %lld and %lld images, wanted 2 or more of each", (long long)a.count,
                    (long long)b.count);
    const int64_t least = a.count < b.count ? a.count : b.count;
    *score = (kid_score){.subsets = subsets, .subset_size = subset_size < least ? subset_size : (int)least};
    double *own = calloc(2 * (size_t)(a.count + b.count), sizeof *own);
    if (!own) return fail(err, M2M_ENOMEM, "no memory for %lld rows", (long long)(a.count + b.count));
    status = tiles_new(&t, a.dim, err);
    if (!status) {
        const selection sa = {a, NULL, a.count}, sb = {b, NULL, b.count};
        const pair_sums s = sum_pairs(&t, &sa, &sb, own);
        score->value = mmd(s, (double)a.count, (double)b.count);
        score->error = standard_error(s, own, a.count, b.count);
        status = kid_subsets(&t, a, b, seed, score, err);
        tiles_free(&t);
    }
    free(own);
    return status;
}

/* ---- Inception score ---- */

/* p = softmax(x) [dim]; logarithms of p into log_p. */
static void softmax(const float *x, int dim, double *p, double *log_p)
{
    double most = x[0], sum = 0;
    for (int j = 1; j < dim; j++) most = fmax(most, x[j]);
    for (int j = 0; j < dim; j++) sum += exp(x[j] - most);
    for (int j = 0; j < dim; j++) {
        log_p[j] = x[j] - most - log(sum);
        p[j] = exp(log_p[j]);
    }
}

/* exp of the mean of KL(p(y|x) || p(y)) over rows first..end-1. room: [3][dim] */
static double part_score(rows x, int64_t first, int64_t end, double *room)
{
    double *p = room, *log_p = room + x.dim, *q = room + 2 * (size_t)x.dim, kl = 0;
    for (int j = 0; j < x.dim; j++) q[j] = 0;
    for (int64_t i = first; i < end; i++) {
        softmax(x.data + i * x.dim, x.dim, p, log_p);
        for (int j = 0; j < x.dim; j++) q[j] += p[j] / (double)(end - first);
    }
    for (int j = 0; j < x.dim; j++) q[j] = log(q[j]);
    for (int64_t i = first; i < end; i++) {
        softmax(x.data + i * x.dim, x.dim, p, log_p);
        for (int j = 0; j < x.dim; j++)
            if (p[j] > 0) kl += p[j] * (log_p[j] - q[j]);
    }
    return exp(kl / (double)(end - first));
}

int inception_score(rows x, int splits, double *mean, double *deviation, m2m_error *err)
{
    if (x.count < splits)
        return fail(err, M2M_EINVAL, "logits of %lld images, wanted %d or more: one for each split", (long long)x.count,
                    splits);
    double *room = malloc((3 * (size_t)x.dim + (size_t)splits) * sizeof *room), sum = 0;
    if (!room) return fail(err, M2M_ENOMEM, "no memory for %d classes", x.dim);
    double *scores = room + 3 * (size_t)x.dim;
    *mean = 0;
    for (int i = 0; i < splits; i++) {
        scores[i] = part_score(x, i * x.count / splits, (i + 1) * x.count / splits, room);
        *mean += scores[i] / splits;
    }
    for (int i = 0; i < splits; i++) sum += (scores[i] - *mean) * (scores[i] - *mean);
    *deviation = sqrt(sum / splits);
    free(room);
    return 0;
}

/* 0..most, as NumPy's legacy generator draws: bits are thrown away until they fit. */
static uint32_t draw_up_to(noise_torch *r, uint32_t most)
{
    uint32_t mask = most, x;
    for (int shift = 1; shift < 32; shift *= 2) mask |= mask >> shift;
    do x = noise_torch_bits(r) & mask;
    while (x > most);
    return x;
}

void shuffle_rows(float *data, int64_t n, int dim, uint32_t seed)
{
    noise_torch r = noise_torch_seed(seed);
    for (int64_t i = n - 1; i > 0; i--) {
        float *a = data + i * dim, *b = data + (int64_t)draw_up_to(&r, (uint32_t)i) * dim;
        for (int k = 0; k < dim; k++) {
            const float kept = a[k];
            a[k] = b[k];
            b[k] = kept;
        }
    }
}

/* ---- Precision, recall, density, coverage ---- */

static double *square_norms(rows x)
{
    double *s = calloc((size_t)x.count + 1, sizeof *s);
    for (int64_t i = 0; s && i < x.count; i++)
        for (int j = 0; j < x.dim; j++) s[i] += (double)x.data[i * x.dim + j] * x.data[i * x.dim + j];
    return s;
}

typedef struct neighbours {
    const double *norm_a, *norm_b; /* squared, [a.count], [b.count] */
    int k;
    double *nearest;               /* [a.count,k] ascending: squared distances to others of the same table */
    const double *radius_a, *radius_b;
    int64_t *balls_around_b;       /* [b.count]: balls of a's rows that b's row lies in */
    char *a_in_ball, *a_near;      /* [a.count]: lies in a ball of b's rows; has a row of b in its own ball */
} neighbours;

static void insert(double *list, int k, double x)
{
    if (x >= list[k - 1]) return;
    int at = k - 1;
    for (; at > 0 && list[at - 1] > x; at--) list[at] = list[at - 1];
    list[at] = x;
}

static void find_nearest(void *ctx, const double *c, int64_t i, int64_t j, int n, int m)
{
    const neighbours *s = ctx;
    for (int r = 0; r < n; r++)
        for (int q = 0; q < m; q++)
            if (i + r != j + q)
                insert(s->nearest + (i + r) * s->k, s->k, s->norm_a[i + r] + s->norm_a[j + q] - 2 * c[r * m + q]);
}

static void count_balls(void *ctx, const double *c, int64_t i, int64_t j, int n, int m)
{
    const neighbours *s = ctx;
    for (int r = 0; r < n; r++)
        for (int q = 0; q < m; q++) {
            const double d = s->norm_a[i + r] + s->norm_b[j + q] - 2 * c[r * m + q];
            if (d < s->radius_a[i + r]) {
                s->balls_around_b[j + q]++;
                s->a_near[i + r] = 1;
            }
            if (d < s->radius_b[j + q]) s->a_in_ball[i + r] = 1;
        }
}

/* Squared distance from each row to its k-th neighbour: new [count]. */
static double *radii(tiles *t, rows x, const double *norms, int k)
{
    double *nearest = malloc((size_t)(x.count * k) * sizeof *nearest);
    if (!nearest) return NULL;
    for (int64_t i = 0; i < x.count * k; i++) nearest[i] = INFINITY;
    neighbours s = {.norm_a = norms, .k = k, .nearest = nearest};
    const selection all = {x, NULL, x.count};
    all_pairs(t, &all, &all, find_nearest, &s);
    for (int64_t i = 0; i < x.count; i++) nearest[i] = nearest[i * k + k - 1];
    return nearest;
}

static prdc_score prdc_of(const neighbours *s, int64_t real, int64_t fake)
{
    prdc_score p = {0};
    for (int64_t j = 0; j < fake; j++) {
        p.precision += (s->balls_around_b[j] > 0) / (double)fake;
        p.density += (double)s->balls_around_b[j] / ((double)fake * s->k);
    }
    for (int64_t i = 0; i < real; i++) {
        p.recall += s->a_in_ball[i] / (double)real;
        p.coverage += s->a_near[i] / (double)real;
    }
    return p;
}

int prdc(rows real, rows fake, int k, prdc_score *score, m2m_error *err)
{
    tiles t = {0};
    int status = widths_are_same(real, fake, err);
    if (!status && (real.count <= k || fake.count <= k))
        status = fail(err, M2M_EINVAL, "features of %lld and %lld images, wanted more than the %d neighbours asked for",
                      (long long)real.count, (long long)fake.count, k);
    if (!status) status = tiles_new(&t, real.dim, err);
    if (status) return status;
    double *na = square_norms(real), *nb = square_norms(fake);
    double *ra = na ? radii(&t, real, na, k) : NULL, *rb = nb ? radii(&t, fake, nb, k) : NULL;
    int64_t *balls = calloc((size_t)fake.count, sizeof *balls);
    char *marks = calloc(2 * (size_t)real.count, 1);
    if (ra && rb && balls && marks) {
        neighbours s = {.norm_a = na, .norm_b = nb, .k = k, .radius_a = ra, .radius_b = rb, .balls_around_b = balls,
                        .a_in_ball = marks, .a_near = marks + real.count};
        const selection a = {real, NULL, real.count}, b = {fake, NULL, fake.count};
        all_pairs(&t, &a, &b, count_balls, &s);
        *score = prdc_of(&s, real.count, fake.count);
    } else {
        status = fail(err, M2M_ENOMEM, "no memory to compare %lld rows", (long long)(real.count + fake.count));
    }
    free(na);
    free(nb);
    free(ra);
    free(rb);
    free(balls);
    free(marks);
    tiles_free(&t);
    return status;
}

double cosine100(const float *a, const float *b, int dim)
{
    double ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < dim; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return aa > 0 && bb > 0 ? 100 * ab / sqrt(aa * bb) : 0;
}
