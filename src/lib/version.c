/* What this library is and what it was built with. */
#include "base/error.h"
#include "m2m_version.h"

#include <archive.h>
#include <cjson/cJSON.h>
#include <spng.h>
#include <stdio.h>
#include <webp/decode.h>

const char *m2m_version(void)
{
    return M2M_VERSION_TEXT;
}

const char *m2m_build_text(char *buf, size_t size)
{
    int webp = WebPGetDecoderVersion();
    snprintf(buf, size, "commit %s, compiler %s, OpenMP %d, cJSON %s, libspng %s, "
             "libwebp %d.%d.%d, %s",
             M2M_COMMIT_TEXT, __VERSION__, _OPENMP, cJSON_Version(),
             spng_version_string(), webp >> 16, webp >> 8 & 255, webp & 255, archive_version_string());
    return buf;
}
