#include "image/draw.h"

#include "base/error.h"
#include "image/image.h"

#include <string.h>

static uint8_t *pixel(const m2m_image *img, int x, int y)
{
    return img->data + ((size_t)y * (size_t)img->width + (size_t)x) * (size_t)img->channels;
}

int image_crop(
    m2m_image *out, const m2m_image *in, int x, int y, int width, int height, m2m_error *err)
{
    check(x >= 0 && y >= 0 && width <= in->width - x && height <= in->height - y,
        "crop %d x %d at %d, %d of %d x %d", width, height, x, y, in->width, in->height);
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

void image_fill(m2m_image *img, int x, int y, int width, int height, const uint8_t rgb[3])
{
    int x0 = x < 0 ? 0 : x, y0 = y < 0 ? 0 : y;
    int x1 = x + width < img->width ? x + width : img->width,
        y1 = y + height < img->height ? y + height : img->height;
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
        for (int column = x < 0 ? -x : 0; column < from->width && x + column < img->width;
             column++) {
            const uint8_t *s = pixel(from, column, row);
            uint8_t *d = pixel(img, x + column, y + row);
            int alpha = from->channels == 4 ? s[3] : 255;
            for (int c = 0; c < 3; c++) d[c] = over(s[c], d[c], alpha);
            if (img->channels == 4 && alpha > d[3]) d[3] = (uint8_t)alpha;
        }
    }
}
