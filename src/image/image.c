#include "image/image.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int m2m_image_new(m2m_image *img, int width, int height, int channels, m2m_error *err)
{
    *img = (m2m_image){0};
    if (width < 1 || width > IMAGE_SIDE || height < 1 || height > IMAGE_SIDE)
        return fail(err, M2M_EINVAL, "image: %d x %d pixels, sides of 1..%d were wanted", width, height, IMAGE_SIDE);
    if (channels != 3 && channels != 4)
        return fail(err, M2M_EINVAL, "image: %d channels, 3 or 4 were wanted", channels);
    uint8_t *data = calloc((size_t)width * (size_t)height, (size_t)channels);
    if (!data) return fail(err, M2M_ENOMEM, "image: no memory for %d x %d pixels", width, height);
    *img = (m2m_image){width, height, channels, data};
    return 0;
}

void m2m_image_free(m2m_image *img)
{
    free(img->data);
    *img = (m2m_image){0};
}

size_t image_bytes(const m2m_image *img)
{
    return (size_t)img->width * (size_t)img->height * (size_t)img->channels;
}

int image_copy(m2m_image *dst, const m2m_image *src, m2m_error *err)
{
    int rc = m2m_image_new(dst, src->width, src->height, src->channels, err);
    if (!rc) memcpy(dst->data, src->data, image_bytes(src));
    return rc;
}

int image_check_sides(int64_t width, int64_t height, const char *name, m2m_error *err)
{
    if (width < 1 || width > IMAGE_SIDE || height < 1 || height > IMAGE_SIDE)
        return fail(err, M2M_EFORMAT, "%s: %lld x %lld pixels, sides of 1..%d were wanted", name, (long long)width,
                    (long long)height, IMAGE_SIDE);
    if (width * height > IMAGE_PIXELS)
        return fail(err, M2M_EFORMAT, "%s: %lld x %lld pixels, at most %d million were wanted", name, (long long)width,
                    (long long)height, IMAGE_PIXELS / 1000000);
    return 0;
}

void image_flatten(m2m_image *img, const uint8_t background[3])
{
    if (img->channels != 4) return;
    size_t n = (size_t)img->width * (size_t)img->height;
    const uint8_t *from = img->data;
    uint8_t *to = img->data;    /* never ahead of `from` */
    for (size_t i = 0; i < n; i++, from += 4, to += 3) {
        unsigned a = from[3];
        for (int c = 0; c < 3; c++) to[c] = (uint8_t)((from[c] * a + background[c] * (255 - a) + 127) / 255);
    }
    uint8_t *smaller = realloc(img->data, n * 3);
    if (smaller) img->data = smaller;
    img->channels = 3;
}

int image_orient(m2m_image *img, int orientation, m2m_error *err)
{
    if (orientation < 2 || orientation > 8) return 0;
    bool swap = orientation >= 5;
    bool mirror_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool mirror_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    m2m_image out;
    int rc = m2m_image_new(&out, swap ? img->height : img->width, swap ? img->width : img->height, img->channels, err);
    if (rc) return rc;
    size_t c = (size_t)img->channels;
    uint8_t *to = out.data;
    for (int y = 0; y < out.height; y++) {
        for (int x = 0; x < out.width; x++, to += c) {
            int sx = swap ? y : x, sy = swap ? x : y;
            if (mirror_x) sx = img->width - 1 - sx;
            if (mirror_y) sy = img->height - 1 - sy;
            memcpy(to, img->data + ((size_t)sy * (size_t)img->width + (size_t)sx) * c, c);
        }
    }
    m2m_image_free(img);
    *img = out;
    return 0;
}

void image_to_chw(const m2m_image *img, float *dst)
{
    size_t n = (size_t)img->width * (size_t)img->height, channels = (size_t)img->channels;
    for (size_t c = 0; c < 3; c++) {
        for (size_t i = 0; i < n; i++) dst[c * n + i] = (float)img->data[i * channels + c] / 127.5f - 1;
    }
}

static uint8_t to_byte(float x)
{
    float v = x * 127.5f + 127.5f;
    if (!(v > 0)) return 0;
    return v < 255 ? (uint8_t)lrintf(v) : 255;
}

int image_from_chw(m2m_image *img, const float *src, int width, int height, m2m_error *err)
{
    int rc = m2m_image_new(img, width, height, 3, err);
    if (rc) return rc;
    size_t n = (size_t)width * (size_t)height;
    for (size_t c = 0; c < 3; c++) {
        for (size_t i = 0; i < n; i++) img->data[i * 3 + c] = to_byte(src[c * n + i]);
    }
    return 0;
}

void image_mirror_chw(float *planes, int rows, int width)
{
    for (int y = 0; y < rows; y++) {
        float *row = planes + (size_t)y * (size_t)width;
        for (int x = 0; x < width / 2; x++) {
            float t = row[x];
            row[x] = row[width - 1 - x];
            row[width - 1 - x] = t;
        }
    }
}
