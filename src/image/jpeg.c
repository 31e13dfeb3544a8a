/* JPEG through libturbojpeg. */
#include "image/formats.h"

#include "base/error.h"
#include "image/exif.h"
#include "image/image.h"

#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

/* Warnings after which the picture is whole all the same, as libjpeg words them. */
static bool harmless(const char *warning)
{
    return strstr(warning, "extraneous bytes") || strstr(warning, "Invalid SOS parameters") ||
           strstr(warning, "Adobe") || strstr(warning, "JFIF revision");
}

static int failed(m2m_error *err, const char *name, tjhandle tj)
{
    return fail(err, M2M_EFORMAT, "%s: not a sound JPEG: %s", name, tjGetErrorStr2(tj));
}

static int decode(m2m_image *img, tjhandle tj, const uint8_t *data, size_t size, const char *name, m2m_error *err)
{
    int width = 0, height = 0, subsampling, colours = -1;
    if (tjDecompressHeader3(tj, data, size, &width, &height, &subsampling, &colours) &&
        (tjGetErrorCode(tj) != TJERR_WARNING || !harmless(tjGetErrorStr2(tj))))
        return failed(err, name, tj);
    if (width < 1 || height < 1) return fail(err, M2M_EFORMAT, "%s: not a sound JPEG: it holds no picture", name);
    int rc = image_check_sides(width, height, name, err);
    if (rc) return rc;
    if (colours == TJCS_CMYK || colours == TJCS_YCCK)
        return fail(err, M2M_EUNSUPPORTED, "%s: a JPEG in CMYK (for print), RGB or gray was wanted", name);
    if (m2m_image_new(img, width, height, 3, err)) return fail_prefix(err, M2M_ENOMEM, "%s", name);
    int flags = TJFLAG_LIMITSCANS | TJFLAG_ACCURATEDCT;
    if (tjDecompress2(tj, data, size, img->data, width, 0, height, TJPF_RGB, flags) == 0) return 0;
    if (tjGetErrorCode(tj) == TJERR_WARNING && harmless(tjGetErrorStr2(tj))) return 0;
    m2m_image_free(img);
    return failed(err, name, tj);
}

int jpeg_decode(m2m_image *img, int *orientation, const uint8_t *data, size_t size, const char *name, m2m_error *err)
{
    *img = (m2m_image){0};
    tjhandle tj = tjInitDecompress();
    if (!tj) return fail(err, M2M_ENOMEM, "%s: no memory to read it", name);
    int rc = decode(img, tj, data, size, name, err);
    tjDestroy(tj);
    *orientation = rc ? 1 : exif_of_jpeg(data, size);
    return rc;
}

int jpeg_encode(const m2m_image *img, int quality, uint8_t **data, size_t *size, m2m_error *err)
{
    tjhandle tj = tjInitCompress();
    if (!tj) return fail(err, M2M_ENOMEM, "JPEG: no memory to make it");
    unsigned long length = tjBufSize(img->width, img->height, TJSAMP_444);
    unsigned char *made = malloc(length);
    int rc = 0;
    if (!made)
        rc = fail(err, M2M_ENOMEM, "JPEG: no memory to make it");
    else if (tjCompress2(tj, img->data, img->width, 0, img->height, TJPF_RGB, &made, &length, TJSAMP_444, quality,
                         TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT))
        rc = fail(err, M2M_EINVAL, "JPEG: can't make it: %s", tjGetErrorStr2(tj));
    tjDestroy(tj);
    if (rc) {
        free(made);
    } else {
        *data = made;
        *size = length;
    }
    return rc;
}
