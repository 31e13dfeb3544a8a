/* Files and directories: mapping, reading with a limit, and writing that either succeeds or
 * leaves what was there.
 *
 * Every message names the path and the system's reason. Errors are M2M_EIO unless stated
 * otherwise. Any thread. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "m2m.h"

#include <stdbool.h>

/* ---- Reading ---- */

/* A whole file as read-only memory. Another program that shortens the file meanwhile makes
 * reading beyond its end a crash (SIGBUS): replace files by renaming, as file_out does. */
typedef struct file_map {
    const uint8_t *data;       /* NULL when the file is empty */
    size_t size;
} file_map;

/* On failure *m is zero. Refuses what is no regular file. */
int file_map_open(file_map *m, const char *path, m2m_error *err);
void file_map_close(file_map *m);
/* Tells the system that bytes [from, from + size) are not needed soon, so their pages need not
 * stay in memory. */
void file_map_drop(const file_map *m, size_t from, size_t size);

/* The whole content, then a zero byte that *size does not count; *data is to be freed. size may
 * be NULL. More than `limit` bytes: M2M_EFORMAT. */
int file_read_all(const char *path, size_t limit, char **data, size_t *size, m2m_error *err);

/* Memory, zero at first, that lies in a nameless file of directory `dir` instead of in RAM: the system writes pages out
 * and reads them back as it needs room. The disk space is taken at once; no room for it: M2M_EIO. On failure *m is
 * zero. */
typedef struct file_memory {
    void *data;
    size_t size;
} file_memory;

int file_memory_open(file_memory *m, const char *dir, size_t size, m2m_error *err);
void file_memory_close(file_memory *m);
/* Bytes [from, from + size) of it are not needed soon: they may leave RAM. */
void file_memory_drop(const file_memory *m, size_t from, size_t size);

/* ---- Writing ---- */

/* A file that appears at its path, complete, when it is committed: it is written beside (same
 * directory, hidden unique name), flushed to the disk, then renamed. A path that exists and is
 * no regular file (/dev/stdout, a pipe) is written to directly. Owned by one thread. */
typedef struct file_out file_out;

int file_out_open(file_out **f, const char *path, m2m_error *err);
/* The first failure sticks: later writes and the commit fail with it. */
int file_out_write(file_out *f, const void *data, size_t size, m2m_error *err);
/* Ends *f in either case and sets it to NULL; on failure nothing changed at the path. */
int file_out_commit(file_out **f, m2m_error *err);
/* Ends *f (NULL allowed) and leaves nothing behind. */
void file_out_abandon(file_out **f);

int file_copy(const char *from, const char *to, m2m_error *err);
int file_write_all(const char *path, const void *data, size_t size, m2m_error *err);
/* Renames, replacing what is there, and makes that durable. */
int file_rename(const char *from, const char *to, m2m_error *err);
/* Appends in one write (a log line is never torn by another process's). Not atomic against a
 * full disk. */
int file_append(const char *path, const void *data, size_t size, m2m_error *err);

/* ---- Names ---- */

bool file_exists(const char *path);       /* a regular file, or a link to one */
bool dir_exists(const char *path);
int64_t file_size(const char *path);      /* bytes; -1 when there is no such regular file */
/* Makes the directory and its parents; existing ones are fine. */
int dir_make(const char *path, m2m_error *err);
/* Names in a directory except . and .., sorted by bytes. *names is to be released with
 * names_free. */
int dir_list(const char *path, char ***names, int *n, m2m_error *err);
void names_free(char ***names, int n);
/* Removes what file_out left in a directory when its process was killed. Nobody may be writing there. */
void dir_sweep(const char *path);
/* "a/b"; an absolute or only b stays as it is. To be freed; NULL: out of memory. */
char *path_join(const char *a, const char *b);
/* Points into path, behind the last slash. */
const char *path_base(const char *path);
/* What is before the last slash; "." without one. To be freed; NULL: out of memory. */
char *path_dir(const char *path);
/* Whether path ends with `end` (".png"), ASCII case ignored. */
bool path_ends(const char *path, const char *end);

#endif
