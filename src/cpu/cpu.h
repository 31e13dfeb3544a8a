/* The backends of this folder: plain C references, in float and in double, and the fast CPU backend, which is the float
 * reference with faster kernels put over it. backend->close frees them. */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include "graph/backend.h"

/* Every op in plain C, one thread. f64: all floats, parameters included, are doubles (finite differences rest on it).
 * NULL when memory is out. */
backend *backend_reference_open(bool f64);

/* threads: 1 or more. isa: "generic", "avx2", "avx512", "avx512vnni", "amx", or NULL for the best that this machine
 * has. With "amx" products of floats are of integers of 24 bits, which round no more (digits_gemm.inc.c). */
backend *backend_cpu_open(int threads, const char *isa, m2m_error *err);

/* Whether this machine can run isa. */
bool cpu_has_isa(const char *isa);

/* Turns the convolution algorithms that round more than a direct sum (Winograd) off or on; on when opened. */
void backend_cpu_exact(backend *be, bool exact);

/* From now on linear layers, convolutions and attention multiply integers of 16 bits (words_gemm.inc.c), and GELU is
 * coarser: about twice as fast with AVX-512 VNNI, one and a half times with AVX2 or AMX, rounding errors of some 1e-4;
 * with `bytes` and AVX-512 VNNI or AMX linear layers of 16 rows or more, and convolutions that are not by Winograd's
 * way, multiply integers of 8 bits, again nearly twice as fast, errors of some 1e-2 (others take 16 bits there too).
 * Before any plan is made. False, and nothing changes, where the kernels are the generic ones. */
bool backend_cpu_words(backend *be, bool bytes);

#endif
