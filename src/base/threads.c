#include "base/threads.h"

#include "base/cgroup.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum { MOST_CPUS = 1 << 16 };

/* Processors that this thread may run on. */
static int affinity(void)
{
    int found = 0;
    for (int room = 1024; room <= MOST_CPUS && !found; room *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)room);
        if (!set) break;
        size_t size = CPU_ALLOC_SIZE((size_t)room);
        CPU_ZERO_S(size, set);
        bool small = false;
        if (sched_getaffinity(0, size, set) == 0)
            found = CPU_COUNT_S(size, set);
        else
            small = errno == EINVAL;    /* the kernel's set is larger */
        CPU_FREE(set);
        if (!small) break;
    }
    return found ? found : (int)sysconf(_SC_NPROCESSORS_ONLN);
}

int threads_within(int cpus, const char *root)
{
    double quota = cgroup_cpus(root);
    if (quota > 0 && quota < cpus) cpus = (int)quota;
    return cpus > 1 ? cpus : 1;
}

int threads_usable(void)
{
    return threads_within(affinity(), "");
}

#if defined(__x86_64__)
/* clang 14's __builtin_cpu_supports doesn't know it. */
static bool has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

cpu_features cpu_detect(void)
{
    cpu_features f = {0};
#if defined(__x86_64__)
    __builtin_cpu_init();
    f.avx2_fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
    f.avx512 = f.avx2_fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    f.avx512_bf16 = f.avx512 && __builtin_cpu_supports("avx512bf16");
    f.avx512_vnni = f.avx512 && __builtin_cpu_supports("avx512vnni");
#endif
    return f;
}
