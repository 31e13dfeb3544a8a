/* Symmetric matrices in double, row-major, over BLAS and LAPACK. Any thread. */
#ifndef EVAL_SYMMETRIC_H
#define EVAL_SYMMETRIC_H

#include "m2m.h"

/* The eigenvalues of a [n,n], ascending, into w [n]. Row k of a becomes eigenvector k; if !vectors, a is spoilt.
 * n >= 1. Errors: M2M_ENOMEM; M2M_EFORMAT when a holds what is no finite number. */
int symmetric_eigen(double *a, int n, int vectors, double *w, m2m_error *err);

/* c [n,n] += x^T x for x [rows,n]; only the lower half is right until symmetric_mirror. */
void symmetric_add_rows(double *c, const double *x, int rows, int n);
void symmetric_mirror(double *c, int n);

/* c [n,m] = a [n,k] b [m,k]^T */
void product_transposed(double *c, const double *a, const double *b, int n, int m, int k);

#endif
