/* WebP through libwebp. */
#include "image/formats.h"

#include "base/error.h"
#include "image/exif.h"
#include "image/image.h"

#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>
#include <webp/encode.h>

int webp_decode(m2m_image *img, int *orientation, const uint8_t *data, size_t size, const char *name, m2m_error *err)
{
    WebPBitstreamFeatures f;
    *img = (m2m_image){0};
    if (WebPGetFeatures(data, size, &f) != VP8_STATUS_OK) return fail(err, M2M_EFORMAT, "%s: not a sound WebP", name);
    if (f.has_animation) return fail(err, M2M_EUNSUPPORTED, "%s: an animated WebP, a still image was wanted", name);
    int rc = image_check_sides(f.width, f.height, name, err);
    if (rc) return rc;
    if (m2m_image_new(img, f.width, f.height, f.has_alpha ? 4 : 3, err))
        return fail_prefix(err, M2M_ENOMEM, "%s", name);
    int stride = f.width * img->channels;
    uint8_t *done = f.has_alpha ? WebPDecodeRGBAInto(data, size, img->data, image_bytes(img), stride)
                                : WebPDecodeRGBInto(data, size, img->data, image_bytes(img), stride);
    if (!done) {
        m2m_image_free(img);
        return fail(err, M2M_EFORMAT, "%s: not a sound WebP: its pixels are damaged or cut off", name);
    }
    *orientation = exif_of_webp(data, size);
    return 0;
}

int webp_encode(const m2m_image *img, int quality, uint8_t **data, size_t *size, m2m_error *err)
{
    if (img->width > WEBP_MAX_DIMENSION || img->height > WEBP_MAX_DIMENSION)
        return fail(err, M2M_EINVAL, "WebP: %d x %d pixels, sides of at most %d were wanted", img->width, img->height,
                    WEBP_MAX_DIMENSION);
    uint8_t *made = NULL, *copy;
    int stride = img->width * img->channels;
    size_t n = img->channels == 4 ? WebPEncodeRGBA(img->data, img->width, img->height, stride, (float)quality, &made)
                                  : WebPEncodeRGB(img->data, img->width, img->height, stride, (float)quality, &made);
    copy = n ? malloc(n) : NULL;    /* what libwebp gives only WebPFree may take */
    if (copy) {
        memcpy(copy, made, n);
        *data = copy;
        *size = n;
    }
    WebPFree(made);
    return copy ? 0 : fail(err, M2M_ENOMEM, "WebP: no memory to make it");
}
