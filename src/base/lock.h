/* Files that one run at a time may hold, so that two of them can't spoil each other's work. */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include "m2m.h"

#include <stdbool.h>

typedef struct lock {
    int fd;                    /* open for reading and writing */
    bool held;                 /* false: this file system has no locks, nobody is kept out */
} lock;

/* Opens the file at `path`, made if it is not there, and locks it until lock_close or the end of the process, however
 * it ends; also against other machines where the file system says so (NFS, Lustre with -o flock). 0; 1: somebody else
 * has it; M2M_EIO. A lock file that is renamed keeps its lock, and its old path can be locked anew. Any thread. */
int lock_open(lock *l, const char *path, m2m_error *err);
void lock_close(lock *l);

#endif
