#include "lib/device.h"

#include "base/threads.h"
#include "cpu/cpu.h"

#include <string.h>

backend *device_open(const char *device, int threads, device_way way, const char *isa, m2m_error *err)
{
    if (device && strncmp(device, "cuda", 4) == 0) {
        fail(err, M2M_EUNSUPPORTED, "device: %s, but this build has no CUDA; wanted cpu", device);
        return NULL;
    }
    if (device && strcmp(device, "cpu")) {
        fail(err, M2M_EINVAL, "device: %s, wanted cpu or cuda[:n]", device);
        return NULL;
    }
    if (way.exact + way.fast + way.int8 > 1) {
        fail(err, M2M_EINVAL, "%s: wanted one of them at most",
             !way.int8 ? "exact and fast" : !way.fast ? "exact and int8" : "fast and int8");
        return NULL;
    }
    backend *be = backend_cpu_open(threads > 0 ? threads : threads_usable(), isa, err);
    if (be && way.exact) backend_cpu_exact(be, true);
    if (be && (way.fast || way.int8) && !backend_cpu_words(be, way.int8)) {
        fail(err, M2M_EUNSUPPORTED,
             "%s: the kernels are %s, wanted those of AVX2 or AVX-512; without it the same runs in float32",
             way.int8 ? "int8" : "fast", be->detail);
        be->close(be);
        return NULL;
    }
    return be;
}
