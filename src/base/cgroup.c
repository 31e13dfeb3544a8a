#include "base/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct group {
    const char *root;
    char path[PATH_MAX / 2];    /* of the group, in its hierarchy; "" is the root group */
    char dir[PATH_MAX];         /* where that is found */
    size_t mount;               /* length of the mount point in dir */
    bool v2;
} group;

/* Does one of the comma-separated words equal `word`? */
static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = words; *p;) {
        size_t len = strcspn(p, ",");
        if (len == n && memcmp(p, word, n) == 0) return true;
        p += len + (p[len] == ',');
    }
    return false;
}

static FILE *open_proc(const char *root, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/proc/self/%s", root, name);
    return fopen(path, "re");
}

/* The path of this process's group in a hierarchy: a line "id:controllers:/path", for v2 "0::/path". */
static bool find_path(group *g, const char *controller)
{
    FILE *f = open_proc(g->root, "cgroup");
    char line[PATH_MAX];
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *words = strchr(line, ':');
        char *path = words ? strchr(words + 1, ':') : NULL;
        if (!path || strlen(path + 1) >= sizeof g->path) continue;
        *path++ = 0;
        found = g->v2 ? strcmp(line, "0:") == 0 : has_word(words + 1, controller);
        if (found) snprintf(g->path, sizeof g->path, "%s", strcmp(path, "/") ? path : "");
    }
    if (f) fclose(f);
    return found;
}

/* A line of mountinfo: "id parent device root point options … - type source superoptions". Sets g->dir if it fits. */
static bool take_mount(group *g, char *line, const char *controller)
{
    char *dash = strstr(line, " - "), type[32], super[1024], top[PATH_MAX], point[PATH_MAX];
    if (!dash || strlen(line) >= PATH_MAX) return false;
    if (sscanf(dash + 3, "%31s %*s %1023s", type, super) != 2) return false;
    if (strcmp(type, g->v2 ? "cgroup2" : "cgroup") != 0 || (!g->v2 && !has_word(super, controller))) return false;
    if (sscanf(line, "%*s %*s %*s %4095s %4095s", top, point) != 2) return false;
    /* In a container the mount shows only the part of the hierarchy below `top`. */
    size_t n = strcmp(top, "/") ? strlen(top) : 0;
    bool inside = strncmp(g->path, top, n) == 0 && (g->path[n] == '/' || g->path[n] == 0);
    const char *below = inside ? g->path + n : "";
    int mount = snprintf(g->dir, sizeof g->dir, "%s%s", g->root, point);
    if (mount < 0 || (size_t)mount + strlen(below) >= sizeof g->dir) return false;
    g->mount = (size_t)mount;
    memcpy(g->dir + mount, below, strlen(below) + 1);
    return true;
}

static bool find_group(group *g, const char *root, const char *controller, bool v2)
{
    *g = (group){.root = root, .v2 = v2};
    if (!find_path(g, controller)) return false;
    FILE *f = open_proc(root, "mountinfo");
    char line[PATH_MAX];
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) found = take_mount(g, line, controller);
    if (f) fclose(f);
    return found;
}

/* From a group to the one that holds it; false at the root. */
static bool go_up(group *g)
{
    char *slash = strrchr(g->dir, '/');
    if (!slash || (size_t)(slash - g->dir) < g->mount) return false;
    *slash = 0;
    return true;
}

/* The first words of a file in the group's folder; "" when there is none. */
static const char *read_words(const group *g, const char *name, char *buf, size_t size)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", g->dir, name);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(buf, 1, size - 1, f) : 0;
    buf[n] = 0;
    if (f) fclose(f);
    return buf;
}

static int64_t read_number(const group *g, const char *name, int64_t otherwise)
{
    char buf[64], *end;
    const char *text = read_words(g, name, buf, sizeof buf);
    long long value = strtoll(text, &end, 10);
    return end == text ? otherwise : value;
}

static double group_cpus(const group *g)
{
    double quota = 0, period = 0;
    if (g->v2) {
        char buf[64];
        if (sscanf(read_words(g, "cpu.max", buf, sizeof buf), "%lf %lf", &quota, &period) != 2) return 0;   /* "max" */
    } else {
        quota = (double)read_number(g, "cpu.cfs_quota_us", -1);
        period = (double)read_number(g, "cpu.cfs_period_us", 0);
    }
    return quota > 0 && period > 0 ? quota / period : 0;
}

double cgroup_cpus(const char *root)
{
    double least = 0;
    group g;
    for (int v2 = 0; v2 < 2; v2++) {
        if (!find_group(&g, root, "cpu", v2)) continue;
        do {
            double cpus = group_cpus(&g);
            if (cpus > 0 && (least == 0 || cpus < least)) least = cpus;
        } while (go_up(&g));
    }
    return least;
}

/* Bytes in pages of files, which the system takes back when it needs them. */
static int64_t file_pages(const group *g)
{
    char buf[8192];
    const char *words = read_words(g, "memory.stat", buf, sizeof buf);
    int64_t sum = 0;
    for (int active = 0; active < 2; active++) {
        char key[40];
        snprintf(key, sizeof key, "\n%s%s ", g->v2 ? "" : "total_", active ? "active_file" : "inactive_file");
        const char *at = strstr(words, key);
        if (at) sum += strtoll(at + strlen(key), NULL, 10);
    }
    return sum;
}

int64_t cgroup_memory_left(const char *root)
{
    int64_t least = INT64_MAX;
    group g;
    for (int v2 = 0; v2 < 2; v2++) {
        if (!find_group(&g, root, "memory", v2)) continue;
        do {
            int64_t limit = read_number(&g, v2 ? "memory.max" : "memory.limit_in_bytes", INT64_MAX);
            int64_t used = read_number(&g, v2 ? "memory.current" : "memory.usage_in_bytes", 0);
            if (limit < 0 || limit >= INT64_MAX / 4) continue;   /* v1 says "none" by a huge number */
            int64_t left = limit - used + file_pages(&g);
            if (left > limit) left = limit;
            if (left < 0) left = 0;
            if (left < least) least = left;
        } while (go_up(&g));
    }
    return least;
}
