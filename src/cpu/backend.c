/* The fast CPU backend: the float reference's kernels with one instruction set's fast ones put over them. */
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpu/cpu.h"
#include "cpu/fast.h"

/* Whether the processor has tiles of 8-bit integers and bf16, with the rest of AVX-512 that those who have them do, and
 * Linux lets this process use them, which it does once asked. */
static bool amx_usable(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };   /* arch_prctl's ARCH_REQ_XCOMP_PERM, of that state */
    enum { AMX = 1 << 22 | 1 << 24 | 1 << 25 };             /* bf16, tiles, integers; compilers differ in their names */
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & AMX) != AMX) return false;
    if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512vbmi")) return false;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

bool cpu_has_isa(const char *isa)
{
    __builtin_cpu_init();
    if (!strcmp(isa, "generic")) return true;
    if (!strcmp(isa, "avx2")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");   /* F16C too */
    if (!strcmp(isa, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("fma");
    if (!strcmp(isa, "avx512vnni")) return cpu_has_isa("avx512") && __builtin_cpu_supports("avx512vnni");
    if (!strcmp(isa, "amx")) return cpu_has_isa("avx512vnni") && amx_usable();
    return false;
}

static const fast_table *find_table(const char *isa, m2m_error *err)
{
    const fast_table *const best_first[] = {&fast_amx, &fast_avx512vnni, &fast_avx512, &fast_avx2, &fast_generic};
    for (int i = 0; i < 5; i++) {
        const fast_table *t = best_first[i];
        if (isa ? !strcmp(isa, t->isa) && cpu_has_isa(isa) : cpu_has_isa(t->isa)) return t;
    }
    fail(err, M2M_EUNSUPPORTED,
         "instruction set %s: unknown or not on this machine (generic, avx2, avx512, avx512vnni, amx)", isa);
    return NULL;
}

/* float32 data is read where it lies; other types are converted once and kept. */
static const void *cpu_param_data(backend *be, const param *p)
{
    if (p->type == DT_F32) return p->data;
    const int64_t n = shape_count(p->shape);
    bool stale;
    pack_entry *e = pack_get(&cpu_of(be)->packs, p, 0, (size_t)n * sizeof(float), &stale);
    if (!e) return NULL;
    if (stale) to_f32(e->data, p->data, p->type, n);
    return e->data;
}

static void cpu_close(backend *be)
{
    cpu_backend *cpu = cpu_of(be);
    team_close(cpu->team);
    pack_free(&cpu->packs);
    free(cpu);
}

backend *backend_cpu_open(int threads, const char *isa, m2m_error *err)
{
    if (threads < 1) {
        fail(err, M2M_EINVAL, "threads: %d is less than 1", threads);
        return NULL;
    }
    const fast_table *t = find_table(isa, err);
    if (!t) return NULL;
    cpu_backend *cpu = calloc(1, sizeof *cpu);
    if (!cpu || !(cpu->team = team_open(threads))) {
        fail(err, M2M_ENOMEM, "the CPU backend can't start %d threads", threads);
        free(cpu);
        return NULL;
    }
    for (int op = 0; op < OP_COUNT; op++) cpu->kernels[op] = t->kernels[op].run ? t->kernels[op] : ref_f32_kernels[op];
    cpu->table = t;
    snprintf(cpu->detail, sizeof cpu->detail, "%s, %d thread%s", t->isa, threads, threads > 1 ? "s" : "");
    cpu->base = (backend){
        .name = "cpu",
        .detail = cpu->detail,
        .float_size = sizeof(float),
        .threads = threads,
        .kernels = cpu->kernels,
        .alloc = host_be_alloc,
        .free = host_be_free,
        .upload = host_be_copy,
        .download = host_be_copy,
        .copy = host_be_copy,
        .param_data = cpu_param_data,
        .adamw = t->adamw,
        .lerp = t->lerp,
        .accumulate = t->accumulate,
        .sum_squares = t->sum_squares,
        .peak = t->peak,
        .tiles_peak = t->tiles_peak,
        .close = cpu_close,
        .impl = cpu,
    };
    return &cpu->base;
}

bool backend_cpu_words(backend *be, bool bytes)
{
    cpu_backend *cpu = cpu_of(be);
    const kernel *words = cpu->table->words;
    if (!words) return false;
    for (int op = 0; op < OP_COUNT; op++)
        if (words[op].run) cpu->kernels[op] = words[op];
    cpu->words = true;
    cpu->bytes = bytes && cpu->table->bytes;
    be->peak = cpu->table->words_peak;
    snprintf(cpu->detail, sizeof cpu->detail, "%s, products of %s-bit integers, %d thread%s", cpu->table->isa,
             cpu->bytes ? "8- and 16" : "16", be->threads, be->threads > 1 ? "s" : "");
    return true;
}

void backend_cpu_exact(backend *be, bool exact)
{
    cpu_of(be)->exact = exact;
}
