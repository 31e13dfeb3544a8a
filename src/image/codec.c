#include "image/codec.h"

#include "base/error.h"
#include "base/file.h"
#include "image/formats.h"
#include "image/image.h"

#include <stdlib.h>
#include <string.h>

enum { FILE_LIMIT = 1 << 30, PNG_LEVEL = 6, QUALITY = 95 };

image_format image_sniff(const void *data, size_t size)
{
    const char *p = data;
    if (size >= 8 && memcmp(p, "\x89PNG\r\n\x1a\n", 8) == 0) return IMAGE_PNG;
    if (size >= 3 && memcmp(p, "\xff\xd8\xff", 3) == 0) return IMAGE_JPEG;
    if (size >= 12 && memcmp(p, "RIFF", 4) == 0 && memcmp(p + 8, "WEBP", 4) == 0) return IMAGE_WEBP;
    return IMAGE_UNKNOWN;
}

image_format image_format_of(const char *path)
{
    if (path_ends(path, ".png")) return IMAGE_PNG;
    if (path_ends(path, ".jpg") || path_ends(path, ".jpeg")) return IMAGE_JPEG;
    return path_ends(path, ".webp") ? IMAGE_WEBP : IMAGE_UNKNOWN;
}

int image_decode(m2m_image *img, const void *data, size_t size, const char *name, m2m_error *err)
{
    int orientation = 1, rc;
    *img = (m2m_image){0};
    switch (image_sniff(data, size)) {
    case IMAGE_PNG: rc = png_decode(img, &orientation, data, size, name, err); break;
    case IMAGE_JPEG: rc = jpeg_decode(img, &orientation, data, size, name, err); break;
    case IMAGE_WEBP: rc = webp_decode(img, &orientation, data, size, name, err); break;
    default:
        return fail(err, M2M_EFORMAT, "%s: %s, a PNG, JPEG or WebP image was wanted", name,
                    size ? "of unknown format" : "empty");
    }
    if (!rc && image_orient(img, orientation, err)) {
        m2m_image_free(img);
        rc = fail_prefix(err, M2M_ENOMEM, "%s", name);
    }
    return rc;
}

int m2m_image_load(m2m_image *img, const char *path, m2m_error *err)
{
    char *data;
    size_t size;
    *img = (m2m_image){0};
    int rc = file_read_all(path, FILE_LIMIT, &data, &size, err);
    if (rc) return rc;
    rc = image_decode(img, data, size, path, err);
    free(data);
    return rc;
}

int image_encode_png(const m2m_image *img, const m2m_text *texts, int n_texts, int level, uint8_t **data, size_t *size,
                     m2m_error *err)
{
    return png_encode(img, texts, n_texts, level, data, size, err);
}

static int encode_flat(const m2m_image *img, uint8_t **data, size_t *size, m2m_error *err)
{
    m2m_image flat;
    if (img->channels == 3) return jpeg_encode(img, QUALITY, data, size, err);
    int rc = image_copy(&flat, img, err);
    if (rc) return rc;
    image_flatten(&flat, (const uint8_t[3]){255, 255, 255});
    rc = jpeg_encode(&flat, QUALITY, data, size, err);
    m2m_image_free(&flat);
    return rc;
}

int image_encode(const m2m_image *img, image_format format, const m2m_text *texts, int n_texts, uint8_t **data,
                 size_t *size, m2m_error *err)
{
    switch (format) {
    case IMAGE_PNG: return png_encode(img, texts, n_texts, PNG_LEVEL, data, size, err);
    case IMAGE_JPEG: return encode_flat(img, data, size, err);
    case IMAGE_WEBP: return webp_encode(img, QUALITY, data, size, err);
    default: return fail(err, M2M_EINVAL, "no format to encode an image in");
    }
}

int m2m_image_save(const m2m_image *img, const char *path, const m2m_text *texts, int n_texts, m2m_error *err)
{
    uint8_t *data = NULL;
    size_t size = 0;
    image_format format = image_format_of(path);
    if (format == IMAGE_UNKNOWN)
        return fail(err, M2M_EINVAL, "%s: ends in none of .png, .jpg, .jpeg, .webp", path);
    int rc = image_encode(img, format, texts, n_texts, &data, &size, err);
    if (rc) return fail_prefix(err, rc, "%s", path);
    rc = file_write_all(path, data, size, err);
    free(data);
    return rc;
}

/* ---- Texts ---- */

int image_decode_texts(const void *data, size_t size, const char *name, m2m_text **texts, int *n, m2m_error *err)
{
    *texts = NULL;
    *n = 0;
    return image_sniff(data, size) == IMAGE_PNG ? png_texts(data, size, name, texts, n, err) : 0;
}

int image_read_texts(const char *path, m2m_text **texts, int *n, m2m_error *err)
{
    char *data;
    size_t size;
    *texts = NULL;
    *n = 0;
    int rc = file_read_all(path, FILE_LIMIT, &data, &size, err);
    if (rc) return rc;
    rc = image_decode_texts(data, size, path, texts, n, err);
    free(data);
    return rc;
}

void image_texts_free(m2m_text **texts, int n)
{
    for (int i = 0; *texts && i < n; i++) {
        free((char *)(uintptr_t)(*texts)[i].keyword);
        free((char *)(uintptr_t)(*texts)[i].text);
    }
    free(*texts);
    *texts = NULL;
}

const char *image_text_find(const m2m_text *texts, int n, const char *keyword)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(texts[i].keyword, keyword) == 0) return texts[i].text;
    }
    return NULL;
}
