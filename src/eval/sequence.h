/* What one test set's features tell of its made images, one after another (spec 9): how like they are to what came
 * before them, and to the set's text. And what a score per n is in a table. Any thread. */
#ifndef EVAL_SEQUENCE_H
#define EVAL_SEQUENCE_H

/* Rows of one model's features, borrowed. */
typedef struct sequence {
    int dim, n_given, n;
    const float *given;            /* [n_given,dim] */
    const float *made;             /* [n,dim] */
    const float *text;             /* [dim]; NULL: the set has none */
} sequence;

/* Each fills out [n], for image i of the made ones: 100 times the cosine with the text (which must be there), that with
 * each image before it (the given ones and made 0..i-1), averaged, and that with each of the given ones, averaged. */
void sequence_text(const sequence *s, double *out);
void sequence_before(const sequence *s, double *out);
void sequence_given(const sequence *s, double *out);

/* Mean and population deviation (divided by n, as numpy.std) of n >= 1 values. */
void mean_deviation(const double *values, int n, double *mean, double *deviation);

#endif
