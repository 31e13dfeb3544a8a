/* Scores of features and logits that need more than mean and covariance. All arithmetic is in double. Any thread. */
#ifndef EVAL_SCORES_H
#define EVAL_SCORES_H

#include "m2m.h"

/* Rows of features, [count,dim]; borrowed. */
typedef struct rows {
    const float *data;
    int64_t count;
    int dim;
} rows;

/* Kernel inception distance (Binkowski et al. 2018): squared MMD with the kernel (x.y/dim + 1)^3, unbiased. */
typedef struct kid_score {
    double value;                  /* over all rows: what a subset of that size gives in any order */
    double error;                  /* standard error of value, by the jackknife; NaN for fewer than 3 rows of either */
    double mean, deviation;        /* over subsets drawn without replacement, as torch-fidelity and torchmetrics tell */
    int subsets, subset_size;
} kid_score;

/* subsets 0: only value and error. subset_size is lowered to the rows there are. seed: which rows are drawn. Errors:
 * M2M_EINVAL for fewer than 2 rows, M2M_ESHAPE when the widths differ, M2M_ENOMEM. */
int kid(rows a, rows b, int subsets, int subset_size, uint64_t seed, kid_score *score, m2m_error *err);

/* Inception score (Salimans et al. 2016) of logits: mean and (population) standard deviation over `splits` consecutive
 * parts, cut as torch-fidelity does (part i ends before row (i+1)*n/splits); rows are not shuffled. Errors: M2M_EINVAL
 * for fewer rows than splits, M2M_ENOMEM. */
int inception_score(rows logits, int splits, double *mean, double *deviation, m2m_error *err);
/* Puts rows [n,dim] into the order of NumPy's RandomState(seed).permutation(n), as torch-fidelity does with 2020 before
 * it cuts them into parts. n < 2^32. */
void shuffle_rows(float *data, int64_t n, int dim, uint32_t seed);
enum { SHUFFLE_SEED = 2020 };

/* Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020), with balls that reach to
 * the k-th neighbour. */
typedef struct prdc_score {
    double precision, recall, density, coverage;
} prdc_score;

/* Errors: M2M_EINVAL for k rows or fewer, M2M_ESHAPE, M2M_ENOMEM. */
int prdc(rows real, rows fake, int k, prdc_score *score, m2m_error *err);

/* 100 times the cosine of two vectors; 0 where one of them is 0. */
double cosine100(const float *a, const float *b, int dim);

#endif
