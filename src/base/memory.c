#include "base/memory.h"

#include "base/cgroup.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the line "key:   123 kB" of a file in /proc; -1 when there is none. */
static int64_t read_kb(const char *path, const char *key)
{
    FILE *f = fopen(path, "re");
    char line[256];
    int64_t bytes = -1;
    size_t n = strlen(key);
    while (f && bytes < 0 && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, n) == 0 && line[n] == ':') bytes = strtoll(line + n + 1, NULL, 10) * 1024;
    }
    if (f) fclose(f);
    return bytes;
}

int64_t memory_now(void)
{
    int64_t bytes = read_kb("/proc/self/status", "VmRSS");
    return bytes > 0 ? bytes : 0;
}

int64_t memory_peak(void)
{
    int64_t bytes = read_kb("/proc/self/status", "VmHWM");
    return bytes > 0 ? bytes : 0;
}

int64_t memory_available_within(const char *root)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    int64_t machine = read_kb(path, "MemAvailable"), group = cgroup_memory_left(root);
    if (machine < 0) machine = INT64_MAX;
    return machine < group ? machine : group;
}

int64_t memory_available(void)
{
    return memory_available_within("");
}

const char *bytes_text(int64_t bytes, char *buf, size_t size)
{
    static const char unit[][4] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    int i = 0;
    while (fabs(value) >= 999.5 && i < 6) {    /* so that rounding never gives "1000 MiB" */
        value /= 1024;
        i++;
    }
    snprintf(buf, size, "%.*f %s", i && fabs(value) < 99.95 ? 1 : 0, value, unit[i]);
    return buf;
}

const char *duration_text(double seconds, char *buf, size_t size)
{
    if (!(seconds >= 0 && seconds < 1e15)) {
        snprintf(buf, size, "unknown");
    } else if (seconds < 9.995) {
        snprintf(buf, size, "%.2f s", seconds);
    } else {
        int64_t s = llround(seconds);
        if (s < 60)
            snprintf(buf, size, "%d s", (int)s);
        else if (s < 3600)
            snprintf(buf, size, "%d min %02d s", (int)(s / 60), (int)(s % 60));
        else if (s < 86400)
            snprintf(buf, size, "%d h %02d min", (int)(s / 3600), (int)(s / 60 % 60));
        else
            snprintf(buf, size, "%lld d %02d h", (long long)(s / 86400), (int)(s / 3600 % 24));
    }
    return buf;
}
