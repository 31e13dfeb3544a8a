#include "data/shard_job.h"

#include "base/error.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>

static int advance(const shard_job *j, int64_t done, m2m_error *err)
{
    const m2m_calls *c = j->calls;
    if (c && c->progress && c->progress(c->user, j->what, done, j->samples))
        return fail(err, M2M_ECANCELLED, "%s: stopped after %lld of %lld sets", j->what, (long long)done,
                    (long long)j->samples);
    return 0;
}

static int make_block(const shard_job *j, int64_t from, int n, m2m_error *err)
{
    int failed = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(j->threads)
    for (int i = 0; i < n; i++) {
        m2m_error e = {0};
        int rc = j->make(j->user, i, from + i, &e);
        if (rc) {
#pragma omp critical(shard_job_failed)
            if (!failed) failed = fail(err, rc, "set %lld: %s", (long long)(from + i), e.msg);
        }
    }
    return failed;
}

static int write_block(const shard_job *j, shard_writer *w, int64_t from, int n, m2m_error *err)
{
    int rc = make_block(j, from, n, err);
    for (int i = 0; i < n; i++) {
        if (!rc) rc = j->write(j->user, i, w, err);
        j->drop(j->user, i);
    }
    return rc ? rc : advance(j, from + n, err);
}

static int write_blocks(const shard_job *j, shard_writer *w, int64_t from, int64_t to, m2m_error *err)
{
    int rc = 0;
    for (int64_t at = from; at < to && !rc; at += j->block)
        rc = write_block(j, w, at, (int)(to - at < j->block ? to - at : j->block), err);
    return rc;
}

static int write_shard(const shard_job *j, const char *path, int64_t from, int64_t to, m2m_error *err)
{
    shard_writer *w = NULL;
    if (j->begin) j->begin(j->user);
    int rc = shard_create(&w, path, err);
    if (!rc) rc = write_blocks(j, w, from, to, err);
    bool any = w && shard_written(w) > 0;
    if (!rc && any && j->end) rc = j->end(j->user, path, err);
    if (!rc && any) return shard_finish(&w, err);
    shard_abandon(&w);
    return rc;
}

int shard_job_run(const shard_job *j, m2m_error *err)
{
    int rc = 0;
    if (!j->out) return write_blocks(j, NULL, 0, j->samples, err);
    for (int64_t k = 0; k * j->each < j->samples && !rc; k++) {
        char name[32];
        snprintf(name, sizeof name, "sets-%05lld.tar", (long long)k);
        int64_t from = k * j->each, to = from + j->each < j->samples ? from + j->each : j->samples;
        char *path = path_join(j->out, name);
        if (!path) return fail(err, M2M_ENOMEM, "%s: no memory to write %s", j->out, name);
        if (file_exists(path) && j->found(j->user, path, from, to)) rc = advance(j, to, err);
        else rc = write_shard(j, path, from, to, err);
        free(path);
    }
    return rc;
}
