/* Where results go, checked before the long work and not after it. */
#ifndef APP_OUTDIR_H
#define APP_OUTDIR_H

#include "base/error.h"

#include <stddef.h>

typedef struct outdir {
    const char *path;
    size_t made;             /* length of the first part of path that outdir_open made; 0: it was all there */
} outdir;

/* Makes `path` (and what is above it) a directory that files can be written to; a file is written and removed to
 * see. */
int outdir_open(outdir *d, const char *path, m2m_error *err);
/* After a failure: removes what outdir_open made, as far as it is still empty. */
void outdir_undo(outdir *d);

/* A file can be made (or replaced) there: its directory exists and can be written to, and it is no directory. */
int outfile_check(const char *path, m2m_error *err);

#endif
