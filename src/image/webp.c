/* WebP by libwebp; still images. */
#include "base/error.h"
#include "image/codec.h"

#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>
#include <webp/encode.h>

static bool knows(const uint8_t *data, size_t size)
{
    return size >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0;
}

static size_t little32(const uint8_t *p)
{
    return (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

/* Walks the RIFF chunks to EXIF. */
static int find_orientation(const uint8_t *data, size_t size)
{
    size_t at = 12;
    while (at <= size && size - at >= 8) {
        size_t length = little32(data + at + 4);
        if (length > size - at - 8) break;
        if (memcmp(data + at, "EXIF", 4) == 0) return exif_orientation(data + at + 8, length);
        at += 8 + length + length % 2;
    }
    return 1;
}

static int broken(m2m_error *err, VP8StatusCode code)
{
    static const char *const reasons[] = {"unknown failure", "out of memory", "bad parameter", "broken bit stream",
        "unsupported feature", "suspended", "aborted", "truncated"};
    return fail(err, code == VP8_STATUS_OUT_OF_MEMORY ? M2M_ENOMEM : M2M_EFORMAT, "WebP: %s",
        reasons[(size_t)code < sizeof reasons / sizeof *reasons ? (size_t)code : 0]);
}

static int decode(m2m_image *img, int *orientation, const uint8_t *data, size_t size, m2m_error *err)
{
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) return fail(err, M2M_EUNSUPPORTED, "WebP: library of another version");
    VP8StatusCode code = WebPGetFeatures(data, size, &config.input);
    if (code != VP8_STATUS_OK) return broken(err, code);
    if (config.input.has_animation) return fail(err, M2M_EUNSUPPORTED, "WebP: is an animation, wanted one image");
    int channels = config.input.has_alpha ? 4 : 3;
    int rc = codec_new(img, config.input.width, config.input.height, channels, err);
    if (rc) return rc;
    config.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = img->data;
    config.output.u.RGBA.stride = img->width * channels;
    config.output.u.RGBA.size = (size_t)img->width * (size_t)img->height * (size_t)channels;
    code = WebPDecode(data, size, &config);
    WebPFreeDecBuffer(&config.output);
    if (code != VP8_STATUS_OK) {
        m2m_image_free(img);
        return broken(err, code);
    }
    *orientation = find_orientation(data, size);
    return 0;
}

static int encode(const m2m_image *img, int quality, const m2m_text *texts, int n_texts, uint8_t **data, size_t *size,
                  m2m_error *err)
{
    (void)texts;
    (void)n_texts;
    if (img->width > WEBP_MAX_DIMENSION || img->height > WEBP_MAX_DIMENSION)
        return fail(err, M2M_EINVAL, "WebP: image of %d x %d pixels, at most %d x %d allowed", img->width, img->height,
            WEBP_MAX_DIMENSION, WEBP_MAX_DIMENSION);
    uint8_t *out = NULL;
    const int stride = img->width * img->channels;
    size_t n;
    if (quality == 100)
        n = (img->channels == 4 ? WebPEncodeLosslessRGBA : WebPEncodeLosslessRGB)(img->data, img->width, img->height, stride, &out);
    else
        n = (img->channels == 4 ? WebPEncodeRGBA : WebPEncodeRGB)(img->data, img->width, img->height, stride, (float)quality, &out);
    uint8_t *copy = n ? malloc(n) : NULL;
    if (copy) memcpy(copy, out, n);
    WebPFree(out);
    if (!copy) return fail(err, M2M_ENOMEM, "no memory to encode WebP");
    *data = copy;
    *size = n;
    return 0;
}

const codec codec_webp = {"WebP", {".webp"}, knows, decode, encode};
