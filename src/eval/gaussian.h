/* Mean and covariance of feature rows, in one pass and double: what FID knows of a set of images.
 *
 * Blocks of rows are summed around their own mean and joined by Chan's rule, so nothing is lost where the mean is large
 * against the spread. The result depends on the rows and their order, not on how they are handed over. Memory: 16
 * bytes a pair of columns, however many rows. */
#ifndef EVAL_GAUSSIAN_H
#define EVAL_GAUSSIAN_H

#include "m2m.h"

enum { GAUSSIAN_DIM = 16384 };     /* most columns */

typedef struct gaussian {
    int dim;
    int64_t count;                 /* rows; 0: unknown (a file of statistics does not tell) */
    double *mean;                  /* [dim] */
    double *sigma;                 /* [dim,dim], divided by count - 1 */
} gaussian;

void gaussian_free(gaussian *g);

typedef struct moments moments;

/* 1 <= dim <= GAUSSIAN_DIM. NULL: M2M_ENOMEM. */
moments *moments_new(int dim, m2m_error *err);
void moments_free(moments *m);
void moments_add(moments *m, const float *rows, int64_t n);   /* [n,dim] */
int64_t moments_count(const moments *m);
/* A new gaussian (gaussian_free); m can go on after it. Errors: M2M_EINVAL for fewer than two rows, M2M_ENOMEM. */
int moments_take(moments *m, gaussian *g, m2m_error *err);

/* Of count rows [count,dim] at once. */
int gaussian_of(gaussian *g, const float *rows, int64_t count, int dim, m2m_error *err);

/* Fréchet distance |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)). The trace of the root is that of S1^(1/2) S2 S1^(1/2),
 * which is symmetric, taken in the space where S1 is not zero: fewer images than columns do no harm, and nothing is
 * added to the diagonal. Errors: M2M_ESHAPE when the widths differ, M2M_EFORMAT for what is not finite, M2M_ENOMEM. */
int frechet_distance(const gaussian *a, const gaussian *b, double *distance, m2m_error *err);

/* Statistics as pytorch-fid and clean-fid keep them: an .npz with `mu` [dim] and `sigma` [dim,dim], in float32 or
 * float64; float64 is written. Errors begin with the path: M2M_EIO, M2M_EFORMAT, M2M_ENOMEM. */
int gaussian_load(gaussian *g, const char *path, m2m_error *err);
int gaussian_save(const gaussian *g, const char *path, m2m_error *err);

#endif
