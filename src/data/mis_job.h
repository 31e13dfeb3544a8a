/* What a run of mis.h holds: shared by making and estimating. */
#ifndef DATA_MIS_JOB_H
#define DATA_MIS_JOB_H

#include "base/share.h"
#include "base/str.h"
#include "data/mis_plan.h"
#include "data/mis_set.h"

typedef struct mis_job {
    const mis_source *source;
    const m2m_mis_options *options;
    const m2m_calls *calls;
    const char *out;
    caption_file *captions;
    mis_filter filter;
    mis_plan plan;
    mis_work work;
    share share;
    char what[64];             /* of the progress line */
    int64_t done, todo;        /* images of this run */
    int64_t sets_made, sets_kept;
    bool stopped, told_unlocked;
} mis_job;

/* Reads the options and opens the captions. To be closed in any case. j must not move. */
int mis_job_open(mis_job *j, const mis_source *source, const char *captions, const m2m_mis_options *o,
                 const m2m_calls *calls, m2m_error *err);
void mis_job_close(mis_job *j);

void mis_tell(const mis_job *j, const str *text);
void mis_tell_counts(const mis_job *j);

#endif
