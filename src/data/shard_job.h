/* Numbered samples made side by side and written into shards of so many each, by a job that may be cut off: a shard
 * appears when it is complete, and a later run goes on with the next one. */
#ifndef DATA_SHARD_JOB_H
#define DATA_SHARD_JOB_H

#include "data/shard.h"
#include "m2m_train.h"

typedef struct shard_job {
    const char *out;           /* OUT/sets-00000.tar …; NULL: samples are made and looked at, nothing is written */
    const char *what;          /* in progress */
    int64_t samples, each;     /* in all, and of a shard */
    int block, threads;        /* samples made before they are written, on so many threads */
    const m2m_calls *calls;    /* may be NULL */
    void *user;
    /* Makes sample `index` in place `slot` < block. Called from several threads. */
    int (*make)(void *user, int slot, int64_t index, m2m_error *err);
    /* In order of index, from the calling thread: adds the sample in `slot` to the shard (0 or more times); w NULL:
     * nothing is written. */
    int (*write)(void *user, int slot, shard_writer *w, m2m_error *err);
    /* Releases what is in `slot`; called after a failed make, too. */
    void (*drop)(void *user, int slot);
    /* The shard of that path with samples from..to-1 is there: true when it counts, false to make it anew. */
    bool (*found)(void *user, const char *path, int64_t from, int64_t to);
    /* Before such a shard begins, and when it is complete but has not appeared yet; may be NULL. */
    void (*begin)(void *user);
    int (*end)(void *user, const char *path, m2m_error *err);
} shard_job;

/* Shards that would have no sample do not appear. Errors: those of the functions; M2M_EIO; M2M_ECANCELLED (finished
 * shards stay). */
int shard_job_run(const shard_job *job, m2m_error *err);

#endif
