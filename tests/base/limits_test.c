/* What containers allow: quotas and memory limits of control groups in made-up trees; and this machine's own. */
#include "base/cgroup.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/threads.h"

#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

typedef struct tree {
    char root[64];
} tree;

/* root/path with this text, its folders made. */
static void put(const tree *t, const char *path, const char *text)
{
    char full[PATH_MAX];
    m2m_error err;
    snprintf(full, sizeof full, "%s/%s", t->root, path);
    char *slash = strrchr(full, '/');
    *slash = 0;
    assert_int_equal(dir_make(full, &err), 0);
    *slash = '/';
    assert_int_equal(file_write_all(full, text, strlen(text), &err), 0);
}

static int make_tree(void **state)
{
    static tree t;
    snprintf(t.root, sizeof t.root, "/tmp/m2m-limits-XXXXXX");
    *state = &t;
    return mkdtemp(t.root) ? 0 : -1;
}

static int remove_tree(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", ((tree *)*state)->root);
    return system(command);
}

static const char v2_mount[] = "25 1 0:22 / / rw - ext4 /dev/sda rw\n30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - "
                               "cgroup2 cgroup2 rw,nsdelegate\n";

static void nothing_known_limits_nothing(void **state)
{
    const tree *t = *state;
    assert_true(cgroup_cpus(t->root) == 0);
    assert_int_equal(cgroup_memory_left(t->root), INT64_MAX);
    assert_int_equal(threads_within(6, t->root), 6);
    assert_int_equal(memory_available_within(t->root), INT64_MAX);
    put(t, "proc/self/cgroup", "nonsense\n0:\n:::::\n0::\n");
    put(t, "proc/self/mountinfo", "nonsense\n - \n1 2 3 - cgroup2\n");
    assert_true(cgroup_cpus(t->root) == 0);
}

static void version_2_takes_the_least_on_the_way_up(void **state)
{
    const tree *t = *state;
    put(t, "proc/self/cgroup", "0::/a/b\n");
    put(t, "proc/self/mountinfo", v2_mount);
    put(t, "sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    assert_true(cgroup_cpus(t->root) == 0);
    put(t, "sys/fs/cgroup/a/cpu.max", "250000 100000\n");
    assert_true(cgroup_cpus(t->root) == 2.5);
    assert_int_equal(threads_within(16, t->root), 2);
    assert_int_equal(threads_within(1, t->root), 1);
    put(t, "sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
    assert_true(cgroup_cpus(t->root) == .5);
    assert_int_equal(threads_within(16, t->root), 1);
}

static void version_1_finds_its_hierarchy(void **state)
{
    const tree *t = *state;
    put(t, "proc/self/cgroup", "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/\n0::/\n");
    put(t, "proc/self/mountinfo", "31 25 0:27 / /cg/cpuset rw - cgroup cgroup rw,cpuset\n"
                                  "32 25 0:28 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
                                  "33 25 0:29 /docker/x /cg/memory rw - cgroup cgroup rw,memory\n");
    put(t, "cg/cpuset/docker/x/cpu.cfs_quota_us", "100000\n");
    put(t, "cg/cpu/cpu.cfs_quota_us", "-1\n");
    put(t, "cg/cpu/cpu.cfs_period_us", "100000\n");
    put(t, "cg/cpu/docker/x/cpu.cfs_quota_us", "375000\n");
    put(t, "cg/cpu/docker/x/cpu.cfs_period_us", "100000\n");
    assert_true(cgroup_cpus(t->root) == 3.75);
    assert_int_equal(threads_within(16, t->root), 3);
    /* The mount shows the container's own part of the hierarchy. */
    put(t, "cg/memory/memory.limit_in_bytes", "1000000\n");
    put(t, "cg/memory/memory.usage_in_bytes", "600000\n");
    put(t, "cg/memory/memory.stat", "cache 1\ninactive_file 5\ntotal_inactive_file 30000\ntotal_active_file 4000\n");
    assert_int_equal(cgroup_memory_left(t->root), 434000);
    put(t, "cg/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(cgroup_memory_left(t->root), INT64_MAX);
}

static void memory_of_version_2(void **state)
{
    const tree *t = *state;
    put(t, "proc/self/cgroup", "0::/\n");
    put(t, "proc/self/mountinfo", v2_mount);
    put(t, "proc/meminfo", "MemTotal: 4000 kB\nMemFree: 1 kB\nMemAvailable:   3000 kB\n");
    assert_int_equal(memory_available_within(t->root), 3000 * 1024);
    put(t, "sys/fs/cgroup/memory.max", "2000000\n");
    put(t, "sys/fs/cgroup/memory.current", "1500000\n");
    put(t, "sys/fs/cgroup/memory.stat", "anon 5\nfile 300000\ninactive_file 200000\nactive_file 100000\n");
    assert_int_equal(memory_available_within(t->root), 800000);
    put(t, "sys/fs/cgroup/memory.current", "2500000\n");
    put(t, "sys/fs/cgroup/memory.stat", "anon 5\n");
    assert_int_equal(memory_available_within(t->root), 0);
    put(t, "sys/fs/cgroup/memory.max", "max\n");
    assert_int_equal(memory_available_within(t->root), 3000 * 1024);
}

static void affinity_counts(void **state)
{
    (void)state;
    cpu_set_t before, one;
    int all = threads_usable();
    assert_in_range(all, 1, 1 << 16);
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &before)) {
            CPU_SET(i, &one);
            break;
        }
    }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(threads_usable(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    assert_int_equal(threads_usable(), all);
}

static void features_imply_each_other(void **state)
{
    (void)state;
    cpu_features f = cpu_detect();
    assert_true(!f.avx512 || f.avx2_fma);
    assert_true(!f.avx512_bf16 || f.avx512);
    assert_true(!f.avx512_vnni || f.avx512);
}

static void memory_of_this_process_grows(void **state)
{
    (void)state;
    enum { SIZE = 64 << 20 };
    int64_t before = memory_now();
    assert_true(before > 0);
    volatile char *p = malloc(SIZE);
    assert_non_null(p);
    for (size_t i = 0; i < SIZE; i += 1024) p[i] = 1;
    assert_true(memory_now() > before + SIZE / 2);
    free((void *)(uintptr_t)p);
    assert_true(memory_peak() > before + SIZE / 2);
    assert_true(memory_peak() >= memory_now() / 2);
    assert_true(memory_available() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_known_limits_nothing, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(version_2_takes_the_least_on_the_way_up, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(version_1_finds_its_hierarchy, make_tree, remove_tree),
        cmocka_unit_test_setup_teardown(memory_of_version_2, make_tree, remove_tree),
        cmocka_unit_test(affinity_counts),
        cmocka_unit_test(features_imply_each_other),
        cmocka_unit_test(memory_of_this_process_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
