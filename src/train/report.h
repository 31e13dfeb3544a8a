/* What a run tells people: log.jsonl, TensorBoard events, the curves in loss.png, sample pictures, config.json. */
#ifndef TRAIN_REPORT_H
#define TRAIN_REPORT_H

#include "m2m_train.h"
#include "train/journal.h"

typedef struct report report;

/* In o->output, which exists. keep: the step that the run goes on from; -1: a new run. */
int report_open(report **r, const m2m_train_options *o, int64_t keep, m2m_error *err);
void report_close(report **r);
/* A line of the log, scalars, and every now and then loss.png anew. */
int report_figures(report *r, int64_t step, const journal_field *fields, int n, m2m_error *err);
/* samples/step-N.png and an event. */
int report_picture(report *r, int64_t step, const m2m_image *picture, m2m_error *err);

#endif
