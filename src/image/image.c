#include "image/image.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t pixel_count(const m2m_image *img)
{
    return (size_t)img->width * (size_t)img->height;
}

static uint8_t *pixel(const m2m_image *img, int x, int y)
{
    return img->data + ((size_t)y * (size_t)img->width + (size_t)x) * (size_t)img->channels;
}

int m2m_image_new(m2m_image *img, int width, int height, int channels, m2m_error *err)
{
    *img = (m2m_image){0};
    if (width < 1 || height < 1 || width > IMAGE_SIDE || height > IMAGE_SIDE)
        return fail(err, M2M_EINVAL, "image of %d x %d pixels, sides of 1..%d wanted", width, height, (int)IMAGE_SIDE);
    if (channels != 3 && channels != 4) return fail(err, M2M_EINVAL, "image of %d channels, 3 or 4 wanted", channels);
    uint8_t *data = calloc((size_t)width * (size_t)height, (size_t)channels);
    if (!data) return fail(err, M2M_ENOMEM, "no memory for an image of %d x %d pixels", width, height);
    *img = (m2m_image){width, height, channels, data};
    return 0;
}

void m2m_image_free(m2m_image *img)
{
    if (!img) return;
    free(img->data);
    *img = (m2m_image){0};
}

int image_copy(m2m_image *out, const m2m_image *in, m2m_error *err)
{
    return image_crop(out, in, 0, 0, in->width, in->height, err);
}

int image_crop(m2m_image *out, const m2m_image *in, int x, int y, int width, int height, m2m_error *err)
{
    check(x >= 0 && y >= 0 && width <= in->width - x && height <= in->height - y, "crop %d x %d at %d, %d of %d x %d", width,
        height, x, y, in->width, in->height);
    int rc = m2m_image_new(out, width, height, in->channels, err);
    for (int row = 0; !rc && row < height; row++)
        memcpy(pixel(out, 0, row), pixel(in, x, y + row), (size_t)width * (size_t)in->channels);
    return rc;
}

/* a over b with alpha 0..255, rounded. */
static uint8_t over(int a, int b, int alpha)
{
    return (uint8_t)((a * alpha + b * (255 - alpha) + 127) / 255);
}

void image_flatten(m2m_image *img, const uint8_t rgb[3])
{
    if (img->channels == 3) return;
    size_t n = pixel_count(img);
    for (size_t i = 0; i < n; i++) {
        const uint8_t p[4] = {img->data[4 * i], img->data[4 * i + 1], img->data[4 * i + 2], img->data[4 * i + 3]};
        for (int c = 0; c < 3; c++) img->data[3 * i + (size_t)c] = over(p[c], rgb[c], p[3]);
    }
    img->channels = 3;
    uint8_t *smaller = realloc(img->data, 3 * n);
    if (smaller) img->data = smaller;
}

int image_orient(m2m_image *img, int orientation, m2m_error *err)
{
    /* Where pixel (x, y) of the result is taken from: sides swapped, then x and y counted from the far end. */
    static const struct {
        bool swap, far_x, far_y;
    } ways[9] = {{0, 0, 0}, {0, 0, 0}, {0, 1, 0}, {0, 1, 1}, {0, 0, 1}, {1, 0, 0}, {1, 0, 1}, {1, 1, 1}, {1, 1, 0}};
    if (orientation < 2 || orientation > 8) return 0;
    bool swap = ways[orientation].swap, far_x = ways[orientation].far_x, far_y = ways[orientation].far_y;
    m2m_image out;
    int rc = m2m_image_new(&out, swap ? img->height : img->width, swap ? img->width : img->height, img->channels, err);
    if (rc) return rc;
    for (int y = 0; y < out.height; y++) {
        for (int x = 0; x < out.width; x++) {
            int sx = swap ? y : x, sy = swap ? x : y;
            if (far_x) sx = img->width - 1 - sx;
            if (far_y) sy = img->height - 1 - sy;
            memcpy(pixel(&out, x, y), pixel(img, sx, sy), (size_t)img->channels);
        }
    }
    m2m_image_free(img);
    *img = out;
    return 0;
}

void image_fill(m2m_image *img, int x, int y, int width, int height, const uint8_t rgb[3])
{
    int x0 = x < 0 ? 0 : x, y0 = y < 0 ? 0 : y;
    int x1 = x + width < img->width ? x + width : img->width, y1 = y + height < img->height ? y + height : img->height;
    for (int row = y0; row < y1; row++) {
        for (int column = x0; column < x1; column++) {
            uint8_t *p = pixel(img, column, row);
            memcpy(p, rgb, 3);
            if (img->channels == 4) p[3] = 255;
        }
    }
}

void image_paste(m2m_image *img, const m2m_image *from, int x, int y)
{
    for (int row = y < 0 ? -y : 0; row < from->height && y + row < img->height; row++) {
        for (int column = x < 0 ? -x : 0; column < from->width && x + column < img->width; column++) {
            const uint8_t *s = pixel(from, column, row);
            uint8_t *d = pixel(img, x + column, y + row);
            int alpha = from->channels == 4 ? s[3] : 255;
            for (int c = 0; c < 3; c++) d[c] = over(s[c], d[c], alpha);
            if (img->channels == 4 && alpha > d[3]) d[3] = (uint8_t)alpha;
        }
    }
}

void image_to_chw(const m2m_image *img, float *dst)
{
    check(img->channels == 3, "image of %d channels", img->channels);
    size_t n = pixel_count(img);
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < 3; c++) dst[c * n + i] = 2.0f * ((float)img->data[3 * i + c] / 255.0f) - 1.0f;
    }
}

int image_from_chw(m2m_image *out, const float *src, int width, int height, m2m_error *err)
{
    int rc = m2m_image_new(out, width, height, 3, err);
    if (rc) return rc;
    size_t n = pixel_count(out);
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < 3; c++) {
            float v = src[c * n + i] * 0.5f + 0.5f;
            v = v > 0.0f ? (v < 1.0f ? v : 1.0f) : 0.0f;         /* NaN: 0 */
            out->data[3 * i + c] = (uint8_t)rintf(v * 255.0f);
        }
    }
    return 0;
}
