/* One part of a job that is divided among processes: part i (0..n-1) of n, written "i/n". */
#ifndef BASE_SHARE_H
#define BASE_SHARE_H

#include "m2m.h"

typedef struct share {
    int i, n;
} share;

/* text NULL: the whole, 0/1. Errors: M2M_EINVAL. */
int share_read(share *s, const char *text, m2m_error *err);
/* Its pieces of 0..pieces-1 are start..end-1; the parts' pieces are all pieces, each once. */
int share_start(share s, int pieces);
int share_end(share s, int pieces);

#endif
