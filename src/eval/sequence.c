#include "eval/sequence.h"

#include "eval/scores.h"

#include <math.h>

static double sum_of(const float *a, const float *others, int n, int dim)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += cosine100(a, others + (long)i * dim, dim);
    return sum;
}

void sequence_text(const sequence *s, double *out)
{
    for (int i = 0; i < s->n; i++) out[i] = cosine100(s->made + (long)i * s->dim, s->text, s->dim);
}

void sequence_before(const sequence *s, double *out)
{
    for (int i = 0; i < s->n; i++) {
        const float *a = s->made + (long)i * s->dim;
        out[i] = (sum_of(a, s->given, s->n_given, s->dim) + sum_of(a, s->made, i, s->dim)) / (s->n_given + i);
    }
}

void sequence_given(const sequence *s, double *out)
{
    for (int i = 0; i < s->n; i++)
        out[i] = sum_of(s->made + (long)i * s->dim, s->given, s->n_given, s->dim) / s->n_given;
}

void mean_deviation(const double *values, int n, double *mean, double *deviation)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) sum += values[i];
    *mean = sum / n;
    for (int i = 0; i < n; i++) squares += (values[i] - *mean) * (values[i] - *mean);
    *deviation = sqrt(squares / n);
}
