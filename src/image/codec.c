#include "image/codec.h"

#include "base/error.h"
#include "base/file.h"

#include <stdlib.h>

/* In the order of image_format. */
static const codec *const codecs[] = {&codec_png, &codec_jpeg, &codec_webp};

enum { N_CODECS = sizeof codecs / sizeof *codecs };

int codec_new(m2m_image *img, int64_t width, int64_t height, int channels, m2m_error *err)
{
    if (width < 1 || height < 1 || width > IMAGE_SIDE || height > IMAGE_SIDE)
        return fail(err, M2M_EFORMAT, "image has %lld x %lld pixels, sides of 1..%d wanted", (long long)width, (long long)height,
            (int)IMAGE_SIDE);
    if (width * height > IMAGE_PIXELS)
        return fail(err, M2M_EFORMAT, "image has %lld x %lld = %lld pixels, at most %d allowed", (long long)width,
            (long long)height, (long long)(width * height), (int)IMAGE_PIXELS);
    return m2m_image_new(img, (int)width, (int)height, channels, err);
}

int image_decode(m2m_image *img, const void *data, size_t size, m2m_error *err)
{
    *img = (m2m_image){0};
    for (int i = 0; i < N_CODECS; i++) {
        if (!codecs[i]->knows(data, size)) continue;
        int orientation = 1;
        int rc = codecs[i]->decode(img, &orientation, data, size, err);
        if (!rc) rc = image_orient(img, orientation, err);
        if (rc) m2m_image_free(img);
        return rc;
    }
    return fail(err, M2M_EFORMAT, "%zu bytes are neither PNG nor JPEG nor WebP", size);
}

int image_encode(const m2m_image *img, image_format format, int quality, const m2m_text *texts, int n_texts, uint8_t **data,
                 size_t *size, m2m_error *err)
{
    check((int)format >= 0 && (int)format < N_CODECS, "image format %d", (int)format);
    if (quality < 1 || quality > 100) return fail(err, M2M_EINVAL, "quality is %d, wanted 1..100", quality);
    if (img->width < 1 || img->height < 1 || !img->data) return fail(err, M2M_EINVAL, "the image is empty");
    return codecs[format]->encode(img, quality, texts, n_texts, data, size, err);
}

bool image_format_of(const char *name, image_format *format)
{
    for (int i = 0; i < N_CODECS; i++) {
        for (const char *const *end = codecs[i]->ends; *end; end++) {
            if (!path_ends(name, *end)) continue;
            *format = (image_format)i;
            return true;
        }
    }
    return false;
}

int m2m_image_load(m2m_image *img, const char *path, m2m_error *err)
{
    char *data;
    size_t size;
    *img = (m2m_image){0};
    int rc = file_read_all(path, IMAGE_FILE, &data, &size, err);
    if (rc) return rc;
    rc = image_decode(img, data, size, err);
    free(data);
    return rc ? fail_prefix(err, rc, "%s", path) : 0;
}

int m2m_image_save(const m2m_image *img, const char *path, const m2m_text *texts, int n_texts, m2m_error *err)
{
    enum { QUALITY = 95 };
    image_format format;
    uint8_t *data;
    size_t size;
    if (!image_format_of(path, &format))
        return fail(err, M2M_EINVAL, "%s: ends like no image file, wanted .png, .jpg or .webp", path);
    int rc = image_encode(img, format, QUALITY, texts, n_texts, &data, &size, err);
    if (rc) return fail_prefix(err, rc, "%s", path);
    rc = file_write_all(path, data, size, err);
    free(data);
    return rc;
}
