/* What a run of m2m_eval holds: eval_look.c opens folders and models and lets images be seen, eval.c scores. */
#ifndef LIB_EVAL_JOB_H
#define LIB_EVAL_JOB_H

#include "m2m_train.h"

#include "data/gallery.h"
#include "eval/gaussian.h"
#include "lib/extractor.h"

enum { EVAL_SCORES = 8 };

typedef struct eval_side {
    const char *path;
    gallery *images;               /* NULL: statistics from a file */
    problems bad;
    int64_t used;                  /* images that the score stands on */
    gaussian statistics;           /* of fid */
} eval_side;

typedef struct eval_job {
    const char *metric;
    const m2m_eval_options *options;
    const m2m_calls *calls;
    eval_side sides[2];
    int n_sides;
    const char *kind, *dir;        /* of the model; NULL when statistics need none */
    backend *be;
    extractor *x;
    char label[200];
    struct { const char *name; double value; } scores[EVAL_SCORES];
    int n_scores;
    str warnings;                  /* a line each */
} eval_job;

/* Opens both sides and, where one has images, the model. fixed: the kind of model, or NULL for options->features. */
int eval_open(eval_job *j, const char *fixed, m2m_error *err);
void eval_close(eval_job *j);

typedef enum eval_want {
    EVAL_FEATURES,
    EVAL_LOGITS,                   /* too */
    EVAL_PAIRS                     /* those of sides[0] with those of the same name of sides[1], or with captions */
} eval_want;

typedef struct eval_rows {
    const float *features;         /* [n,dim] */
    const float *partners;         /* [n,dim] of EVAL_PAIRS */
    const float *logits;           /* [n,C] of EVAL_LOGITS */
    int n, dim;
} eval_rows;

typedef int eval_taker(void *user, const eval_rows *r, m2m_error *err);
/* All images of a side in order of names, options->batch at a time; bad ones are told and passed over. Errors, beside
 * the taker's: M2M_EFORMAT when none is left. */
int eval_each(eval_job *j, eval_side *s, eval_want want, eval_taker *take, void *user, m2m_error *err);

#endif
