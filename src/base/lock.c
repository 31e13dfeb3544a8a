#include "base/lock.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ATTEMPTS = 16 };

/* Trap: between opening and locking, the one who had the file may have renamed it: then this is no longer the file at
 * the path, and using it would spoil what it has become. */
static bool is_at(int fd, const char *path)
{
    struct stat mine, there;
    return !fstat(fd, &mine) && !stat(path, &there) && mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
}

int lock_open(lock *l, const char *path, m2m_error *err)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) return fail(err, M2M_EIO, "%s: can't write it: %s", path, strerror(errno));
        int rc;
        do rc = flock(fd, LOCK_EX | LOCK_NB);
        while (rc && errno == EINTR);
        int number = rc ? errno : 0;
        if (number != EWOULDBLOCK && is_at(fd, path)) {
            *l = (lock){.fd = fd, .held = !number};
            return 0;
        }
        close(fd);
        if (number == EWOULDBLOCK) return 1;
    }
    return fail(err, M2M_EIO, "%s: it is replaced again and again; wanted to lock it", path);
}

void lock_close(lock *l)
{
    if (l->fd >= 0) close(l->fd);
    *l = (lock){.fd = -1};
}
