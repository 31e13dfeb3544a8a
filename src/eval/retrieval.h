/* How well features find what belongs together: every row asks for the rows with its own label, nearest (by cosine)
 * first. Any thread. */
#ifndef EVAL_RETRIEVAL_H
#define EVAL_RETRIEVAL_H

#include "eval/scores.h"

typedef struct retrieval_score {
    double precision; /* mean average precision over the queries */
    double nearest;   /* share of queries whose nearest row has their label */
    int64_t queries;  /* rows with a label that another candidate has, too */
} retrieval_score;

/* labels [count]; a negative one is nobody's, but may be found. groups [count] or NULL: rows of the query's own group
 * are no candidates. Equal cosines: the earlier row is nearer. Scores of no query are NaN. Errors: M2M_ENOMEM. */
int retrieval(rows x, const int32_t *labels, const int32_t *groups, retrieval_score *score, m2m_error *err);

#endif
