/* What this library is and what it was built with. */
#include "base/error.h"
#include "m2m_version.h"

#include <archive.h>
#include <cjson/cJSON.h>
#include <dnnl.h>
#include <spng.h>
#include <stdio.h>
#include <webp/decode.h>

const char *m2m_version(void)
{
    return M2M_VERSION_TEXT;
}

const char *m2m_build_text(char *buf, size_t size)
{
    const dnnl_version_t *dnnl = dnnl_version();
    int webp = WebPGetDecoderVersion();
    snprintf(buf, size, "commit %s, compiler %s, oneDNN %d.%d.%d, OpenMP %d, cJSON %s, libspng %s, "
             "libwebp %d.%d.%d, %s",
             M2M_COMMIT_TEXT, __VERSION__, dnnl->major, dnnl->minor, dnnl->patch, _OPENMP, cJSON_Version(),
             spng_version_string(), webp >> 16, webp >> 8 & 255, webp & 255, archive_version_string());
    return buf;
}
