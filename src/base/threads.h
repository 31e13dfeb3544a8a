/* How many threads are worth starting here, and which instructions the processor and the system offer. Any thread. */
#ifndef BASE_THREADS_H
#define BASE_THREADS_H

#include <stdbool.h>

/* Processors that this thread may run on, or less when control groups give less time (rounded down); 1 at least. */
int threads_usable(void);

/* As threads_usable, for `cpus` processors and the control groups below `root` (base/cgroup.h). */
int threads_within(int cpus, const char *root);

/* Instructions that may be executed: the processor has them and the system saves their registers. */
typedef struct cpu_features {
    bool avx2_fma;       /* AVX2, FMA and F16C */
    bool avx512;         /* F, BW, VL and DQ; implies avx2_fma */
    bool avx512_bf16;    /* implies avx512 */
    bool avx512_vnni;    /* implies avx512 */
} cpu_features;

cpu_features cpu_detect(void);

#endif
