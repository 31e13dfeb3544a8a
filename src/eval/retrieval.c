#include "eval/retrieval.h"

#include "base/error.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct candidate {
    double near;
    int64_t row;
} candidate;

static int nearer_first(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->near != y->near) return x->near > y->near ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static int64_t rank_all(rows x, const int32_t *groups, int64_t query, candidate *all)
{
    int64_t n = 0;
    for (int64_t j = 0; j < x.count; j++) {
        if (j == query || (groups && groups[j] == groups[query])) continue;
        all[n++] = (candidate){cosine100(x.data + query * x.dim, x.data + j * x.dim, x.dim), j};
    }
    qsort(all, (size_t)n, sizeof *all, nearer_first);
    return n;
}

/* Mean over the right ones of the share of right ones up to there; 0 right ones: negative. */
static double average_precision(const candidate *all, int64_t n, const int32_t *labels, int32_t label)
{
    double sum = 0, right = 0;
    for (int64_t k = 0; k < n; k++) {
        if (labels[all[k].row] != label) continue;
        right++;
        sum += right / (double)(k + 1);
    }
    return right > 0 ? sum / right : -1;
}

int retrieval(rows x, const int32_t *labels, const int32_t *groups, retrieval_score *score, m2m_error *err)
{
    *score = (retrieval_score){0};
    candidate *all = malloc((size_t)(x.count + 1) * sizeof *all);
    if (!all) return fail(err, M2M_ENOMEM, "no memory to compare %lld rows", (long long)x.count);
    for (int64_t i = 0; i < x.count; i++) {
        if (labels[i] < 0) continue;
        const int64_t n = rank_all(x, groups, i, all);
        const double precision = average_precision(all, n, labels, labels[i]);
        if (precision < 0) continue;
        score->precision += precision;
        score->nearest += labels[all[0].row] == labels[i];
        score->queries++;
    }
    free(all);
    score->precision = score->queries ? score->precision / (double)score->queries : NAN;
    score->nearest = score->queries ? score->nearest / (double)score->queries : NAN;
    return 0;
}
