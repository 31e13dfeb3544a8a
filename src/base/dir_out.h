/* A directory that appears at its path, whole, when it is committed: it is filled beside (same parent, hidden unique
 * name, locked), then renamed. Errors are M2M_EIO or M2M_ENOMEM and name the path. Owned by one thread. */
#ifndef BASE_DIR_OUT_H
#define BASE_DIR_OUT_H

#include "base/lock.h"

typedef struct dir_out {
    char *path;
    char *beside;              /* where the files go until then */
    lock lock;                 /* of a file in there: somebody is at work */
} dir_out;

/* What is at the path may only be an empty directory; parents are made. What killed processes left unfinished beside it
 * is removed. On failure *d is zero. */
int dir_out_open(dir_out *d, const char *path, m2m_error *err);
/* Ends *d in either case; on failure nothing changed at the path. */
int dir_out_commit(dir_out *d, m2m_error *err);
/* Ends *d (zero allowed) and leaves nothing behind. */
void dir_out_abandon(dir_out *d);

#endif
