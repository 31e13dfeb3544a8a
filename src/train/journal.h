/* The log of a run, log.jsonl: a JSON object a line, {"step": 10, "loss": 0.31, …}, each written
 * whole and at once, so that others can read along. What was logged is also kept here as series by
 * name, for the curves; a resumed run has all of its past. */
#ifndef TRAIN_JOURNAL_H
#define TRAIN_JOURNAL_H

#include "base/error.h"

typedef struct journal journal;

typedef struct journal_field {
    const char *name;          /* a JSON key; not "step" */
    double value;              /* null in the file if it is not finite */
} journal_field;

/* Finite values of one name, in the order they were written. */
typedef struct journal_series {
    char *name;
    int64_t *step;             /* [count] */
    double *value;             /* [count] */
    int count, room;
} journal_series;

/* keep: the step that the run goes on from; lines of later steps, and lines that are no JSON with a
 * step (the last one of a crash), are dropped first, atomically. -1: a new run; what was there is
 * dropped. *j is released with journal_close. Errors (they name the path): M2M_EIO, M2M_EFORMAT
 * (more than a GiB), M2M_ENOMEM. */
int journal_open(journal **j, const char *path, int64_t keep, m2m_error *err);
void journal_close(journal **j);                   /* NULL inside allowed */
int64_t journal_dropped(const journal *j);         /* lines that journal_open dropped */

/* Appends a line. Errors: M2M_EIO (the series are then as before), M2M_ENOMEM. */
int journal_write(journal *j, int64_t step, const journal_field *fields, int n, m2m_error *err);

/* NULL: nothing finite of that name yet. Valid until the next write. */
const journal_series *journal_find(const journal *j, const char *name);
/* All of them, i = 0, 1, …, until NULL. */
const journal_series *journal_at(const journal *j, int i);

#endif
