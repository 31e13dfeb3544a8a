/* JPEG by libturbojpeg. */
#include "base/error.h"
#include "image/codec.h"

#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

static bool knows(const uint8_t *data, size_t size)
{
    return size >= 3 && data[0] == 0xff && data[1] == 0xd8 && data[2] == 0xff;
}

/* Walks the segments before the pixels to APP1 with EXIF. */
static int find_orientation(const uint8_t *data, size_t size)
{
    size_t at = 2;
    while (at + 4 <= size && data[at] == 0xff) {
        int marker = data[at + 1];
        size_t length = (size_t)data[at + 2] << 8 | data[at + 3];
        if (marker == 0xff) {                            /* padding */
            at++;
            continue;
        }
        if (marker == 0xda || length < 2 || length > size - at - 2) break;
        if (marker == 0xe1 && length >= 8 && memcmp(data + at + 4, "Exif\0\0", 6) == 0)
            return exif_orientation(data + at + 4, length - 2);
        at += 2 + length;
    }
    return 1;
}

/* libjpeg calls a truncated file a warning and fills the rest with gray; the only harmless one is bytes between segments. */
static bool harmless(tjhandle tj)
{
    return tjGetErrorCode(tj) == TJERR_WARNING && strstr(tjGetErrorStr2(tj), "extraneous bytes");
}

static int broken(tjhandle tj, m2m_error *err)
{
    return fail(err, M2M_EFORMAT, "JPEG: %s", tjGetErrorStr2(tj));
}

static int decode(m2m_image *img, int *orientation, const uint8_t *data, size_t size, m2m_error *err)
{
    int width, height, sampling, space, rc;
    tjhandle tj = tjInitDecompress();
    if (!tj) return fail(err, M2M_ENOMEM, "no memory to decode JPEG");
    if (tjDecompressHeader3(tj, data, size, &width, &height, &sampling, &space) && !harmless(tj)) {
        rc = broken(tj, err);
        goto done;
    }
    if (space == TJCS_CMYK || space == TJCS_YCCK) {
        rc = fail(err, M2M_EUNSUPPORTED, "JPEG: colours are CMYK, wanted RGB or gray");
        goto done;
    }
    rc = codec_new(img, width, height, 3, err);
    if (rc) goto done;
    const int flags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS;
    if (tjDecompress2(tj, data, size, img->data, width, 0, height, TJPF_RGB, flags) && !harmless(tj)) {
        rc = broken(tj, err);
        m2m_image_free(img);
    } else {
        *orientation = find_orientation(data, size);
    }
done:
    tjDestroy(tj);
    return rc;
}

static int compress(const m2m_image *img, int quality, uint8_t **data, size_t *size, m2m_error *err)
{
    const int sampling = quality >= 90 ? TJSAMP_444 : TJSAMP_420;
    unsigned long room = tjBufSize(img->width, img->height, sampling);
    uint8_t *out = room == (unsigned long)-1 ? NULL : malloc(room);
    tjhandle tj = tjInitCompress();
    int rc = out && tj ? 0 : fail(err, M2M_ENOMEM, "no memory to encode JPEG");
    if (!rc && tjCompress2(tj, img->data, img->width, 0, img->height, TJPF_RGB, &out, &room, sampling, quality,
                   TJFLAG_ACCURATEDCT | TJFLAG_NOREALLOC))
        rc = fail(err, M2M_EINVAL, "JPEG: %s", tjGetErrorStr2(tj));
    if (tj) tjDestroy(tj);
    if (rc) {
        free(out);
        return rc;
    }
    *data = out;
    *size = room;
    return 0;
}

static int encode(const m2m_image *img, int quality, const m2m_text *texts, int n_texts, uint8_t **data, size_t *size,
                  m2m_error *err)
{
    (void)texts;
    (void)n_texts;
    if (img->channels == 3) return compress(img, quality, data, size, err);
    m2m_image flat;
    int rc = image_copy(&flat, img, err);
    if (rc) return rc;
    image_flatten(&flat, (const uint8_t[3]){255, 255, 255});
    rc = compress(&flat, quality, data, size, err);
    m2m_image_free(&flat);
    return rc;
}

const codec codec_jpeg = {"JPEG", {".jpg", ".jpeg"}, knows, decode, encode};
