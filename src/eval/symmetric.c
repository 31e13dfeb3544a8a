#include "eval/symmetric.h"

#include "base/error.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

/* LAPACK's, as Fortran passes arguments; OpenBLAS has no C header for it. */
void dsyevd_(const char *job, const char *half, const int *n, double *a, const int *lda, double *w, double *work,
             const int *lwork, int *iwork, const int *liwork, int *info, size_t, size_t);

int symmetric_eigen(double *a, int n, int vectors, double *w, m2m_error *err)
{
    const char *job = vectors ? "V" : "N";
    int info = 0, ask = -1, isize = 0;
    double size = 0;
    for (size_t i = 0; i < (size_t)n * (size_t)n; i++)
        if (!isfinite(a[i]))
            return fail(err, M2M_EFORMAT, "a matrix of %d rows holds %g, wanted finite numbers", n, a[i]);
    dsyevd_(job, "U", &n, a, &n, w, &size, &ask, &isize, &ask, &info, 1, 1);
    check(info == 0, "dsyevd: %d", info);
    const int room = (int)size;
    double *work = malloc((size_t)room * sizeof *work);
    int *iwork = malloc((size_t)isize * sizeof *iwork);
    if (work && iwork) dsyevd_(job, "U", &n, a, &n, w, work, &room, iwork, &isize, &info, 1, 1);
    const int status = !work || !iwork ? fail(err, M2M_ENOMEM, "no memory for the eigenvalues of %d rows", n)
                       : info ? fail(err, M2M_EFORMAT, "the eigenvalues of a matrix of %d rows were not found", n)
                              : 0;
    free(work);
    free(iwork);
    return status;
}

void symmetric_add_rows(double *c, const double *x, int rows, int n)
{
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, n, rows, 1, x, n, 1, c, n);
}

void symmetric_mirror(double *c, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++) c[(size_t)i * (size_t)n + (size_t)j] = c[(size_t)j * (size_t)n + (size_t)i];
}

void product_transposed(double *c, const double *a, const double *b, int n, int m, int k)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, m, k, 1, a, k, b, k, 0, c, m);
}
