#include "lib/device.h"

#include "base/threads.h"
#include "cpu/cpu.h"

#include <string.h>

backend *device_open(const char *device, int threads, bool exact, bool fast, const char *isa, m2m_error *err)
{
    if (device && strncmp(device, "cuda", 4) == 0) {
        fail(err, M2M_EUNSUPPORTED, "device: %s, but this build has no CUDA; wanted cpu", device);
        return NULL;
    }
    if (device && strcmp(device, "cpu")) {
        fail(err, M2M_EINVAL, "device: %s, wanted cpu or cuda[:n]", device);
        return NULL;
    }
    if (exact && fast) {
        fail(err, M2M_EINVAL, "exact and fast: wanted one of them at most");
        return NULL;
    }
    backend *be = backend_cpu_open(threads > 0 ? threads : threads_usable(), isa, err);
    if (be && exact) backend_cpu_exact(be, true);
    if (be && fast && !backend_cpu_words(be)) {
        fail(err, M2M_EUNSUPPORTED,
             "fast: this processor's kernels are %s, wanted AVX-512 VNNI; without it the same runs in float32",
             be->detail);
        be->close(be);
        return NULL;
    }
    return be;
}
