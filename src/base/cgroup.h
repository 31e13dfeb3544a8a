/* Limits that control groups (Linux, v1 and v2) put on this process: containers are limited this way, and neither the
 * number of processors nor the memory of the machine says so. A group's limit holds for those below it, so the least
 * one on the way to the root counts.
 *
 * root: "" for this process; tests give a folder that holds proc/self/cgroup, proc/self/mountinfo and the mount points.
 * What can't be read limits nothing. Any thread. */
#ifndef BASE_CGROUP_H
#define BASE_CGROUP_H

#include <stdint.h>

/* Processors' worth of time, for example 1.5; 0: no limit. */
double cgroup_cpus(const char *root);

/* Bytes that may still be taken before a limit is met, counting file pages as free; INT64_MAX: no limit. */
int64_t cgroup_memory_left(const char *root);

#endif
