/* Tables of m2m eval sets: one JSON object, from which the other forms are written.
 *
 *     {"format": 1, "version": "0.1.0", "rows": [row …]}
 *     row: {"model", "given": K, "n", "sets": how many it stands on, "settings": {…}, "notes": [text …],
 *           "problems": [{"where", "why"} …], "measures": [measure …], "sheets": [path beside the report …]}
 *     measure: {"key", "label", "on": what model it stands on, "sets", "better": "lower"|"higher",
 *               "mean", "deviation": over n, "curve": [a value per n]}
 *
 * A row is one model with one number of given images. Errors: M2M_EIO, M2M_EFORMAT, M2M_ENOMEM. */
#ifndef EVAL_REPORT_H
#define EVAL_REPORT_H

#include "base/json.h"
#include "base/str.h"

enum { REPORT_FORMAT = 1, REPORT_ROWS = 1000, REPORT_N = 100000 };

/* "measures" of all rows, each label (on what it stands included) once, in order of first appearance. */
typedef struct report_columns {
    const cJSON **first;           /* [n]: a measure of that label */
    int n;
} report_columns;

int report_columns_find(report_columns *c, const cJSON *report, m2m_error *err);
/* The row's measure in column i; NULL: it has none. */
const cJSON *report_cell(const report_columns *c, int i, const cJSON *row);

/* Is this such an object, so that the writers can take it as it is? Errors name the member. */
int report_check(const cJSON *report, m2m_error *err);

/* Writes report.json, report.csv (a line per value), report.md and report.html into dir. */
int report_save(const cJSON *report, const char *dir, m2m_error *err);
/* Rows of the reports in several directories as one new report, with what differs in their settings as notes. */
int report_merge(cJSON **report, const char *const *dirs, int n, m2m_error *err);

/* The forms as text; the JSON has been checked. */
void report_csv(str *s, const cJSON *report, const report_columns *c);
void report_markdown(str *s, const cJSON *report, const report_columns *c);
/* dir: where the sheets lie, which go into the page. */
int report_html(str *s, const cJSON *report, const report_columns *c, const char *dir, m2m_error *err);
/* "9.56 ± 1.21", or "–" where there is no such measure. */
void report_value(str *s, const cJSON *measure);

#endif
