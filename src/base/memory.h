/* How much memory this process has and may take, and sizes and durations as people read them. Any thread. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Resident bytes of this process, now and at its peak, pages of mapped files among them. 0: unknown. */
int64_t memory_now(void);
int64_t memory_peak(void);

/* Bytes that can be taken without swapping or meeting a control group's limit; INT64_MAX: unknown. */
int64_t memory_available(void);
/* As memory_available, read below `root` (base/cgroup.h). */
int64_t memory_available_within(const char *root);

enum { TEXT_SIZE = 32 };    /* room enough for the texts below */

/* "512 B", "1.5 GiB": three digits or so, units of 1024. Into buf; returns buf. */
const char *bytes_text(int64_t bytes, char *buf, size_t size);

/* "0.35 s", "42 s", "2 min 03 s", "1 h 05 min", "3 d 02 h"; "unknown" when negative or not finite. Into buf, too. */
const char *duration_text(double seconds, char *buf, size_t size);

#endif
