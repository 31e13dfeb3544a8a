/* WebDataset tar shards: samples are runs of members that share a key.
 *
 * The key of a member is its path up to the first dot of its base name, the suffix is what follows, in lower case:
 * "sets/00012.03.png" has key "sets/00012" and suffix "03.png". Members named __…__, files without a dot, hidden files
 * and all that is not a regular file are skipped. Shards are plain tar files (no compression): the index made by one
 * pass over the headers lets samples be read in any order, from the mapped file.
 *
 * An open shard is immutable: any thread may read it. A writer belongs to one thread. */
#ifndef DATA_SHARD_H
#define DATA_SHARD_H

#include "m2m.h"

#include <stdbool.h>

typedef struct shard shard;

enum { SHARD_MEMBERS = 4096, SHARD_NAME = 4096 };    /* most members of a sample, most bytes of a name */
#define SHARD_BYTES ((int64_t)1 << 30)               /* most bytes of a member */

/* Errors: M2M_EIO; M2M_EFORMAT for damage anywhere in the tar, a name that is no UTF-8, or a suffix that occurs twice
 * in a sample; M2M_ENOMEM. */
int shard_open(shard **out, const char *path, m2m_error *err);
void shard_close(shard **s);
const char *shard_path(const shard *s);
int64_t shard_samples(const shard *s);
int64_t shard_skipped(const shard *s);               /* members that belong to no sample */
const char *shard_key(const shard *s, int64_t sample);
int shard_members(const shard *s, int64_t sample);
const char *shard_suffix(const shard *s, int64_t sample, int member);
/* Bytes of a member, borrowed from the shard. */
const uint8_t *shard_data(const shard *s, int64_t sample, int member, size_t *size);
int shard_find(const shard *s, int64_t sample, const char *suffix);   /* a member's number, or -1 */

/* For tars that are taken as folders of files: shard_sort once, by one thread; then the bytes of the member of that
 * path (its ending in lower case), or NULL. Where a key occurs in two samples the first one counts. */
int shard_sort(shard *s, m2m_error *err);
const uint8_t *shard_locate(const shard *s, const char *name, size_t *size);

typedef struct shard_writer shard_writer;

typedef struct shard_field {
    const char *suffix;
    const void *data;          /* borrowed for the call */
    size_t size;
} shard_field;

/* The file appears at `path` when shard_finish succeeds, complete, and not before. Same calls, same bytes: members are
 * sorted by suffix and carry mode 0444, user and group "bigdata" and time 0. */
int shard_create(shard_writer **w, const char *path, m2m_error *err);
/* Errors: M2M_EINVAL when key or suffix would be read back differently; M2M_EIO. After an error the writer can only be
 * abandoned. */
int shard_add(shard_writer *w, const char *key, const shard_field *fields, int n, m2m_error *err);
int64_t shard_written(const shard_writer *w);        /* samples so far */
int shard_finish(shard_writer **w, m2m_error *err);  /* closes *w in any case */
void shard_abandon(shard_writer **w);                /* leaves nothing behind */

/* As shard_create, but samples gather, each as soon as shard_add returns, in `path`.part, which stays when the run ends
 * in whatever way: the next shard_continue finds all complete samples there, those of `members` members, and goes on
 * behind them. The finished file has the bytes of one that was made in one run. One run at a time (base/lock.h): 1 when
 * another is at it or has finished it (file_exists tells which), *w is then untouched. */
int shard_continue(shard_writer **w, const char *path, int members, m2m_error *err);
int64_t shard_kept(const shard_writer *w);           /* samples found */
const char *shard_kept_key(const shard_writer *w, int64_t i);
bool shard_is_locked(const shard_writer *w);         /* false: the file system has no locks */

/* Splits a member's path: bytes of the key, or 0 when it belongs to no sample. The suffix begins one byte later. */
size_t shard_split(const char *name);
bool shard_is_meta(const char *name);                /* "__…__", alone or as its first folder */
bool shard_is_name(const char *name);                /* UTF-8 without control characters */

#endif
