#include "image/resize.h"

#include "base/error.h"
#include "image/draw.h"
#include "image/image.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Filters (Pillow's Resample.c) ---- */

static double box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double cubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
}

static double sinc(double x)
{
    if (x == 0.0) return 1.0;
    x *= 3.14159265358979323846;
    return sin(x) / x;
}

static double lanczos(double x)
{
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

static const struct {
    double (*at)(double x);
    double support;
} filters[] = {[RESIZE_BOX] = {box, 0.5},
    [RESIZE_BILINEAR] = {triangle, 1.0},
    [RESIZE_BICUBIC] = {cubic, 2.0},
    [RESIZE_LANCZOS] = {lanczos, 3.0},
    [RESIZE_TORCH] = {NULL, 1.0},
    [RESIZE_TENSORFLOW1] = {NULL, 1.0}};

/* For each output position the first input position, how many, and their weights. */
typedef struct taps {
    int n, most; /* output positions; most weights of one */
    int *first, *count;
    double *weight; /* [n][most] */
    int32_t *fixed; /* the same times 2^22 */
} taps;

static const int FIXED = 22;

static void taps_free(taps *t)
{
    free(t->first);
    free(t->count);
    free(t->weight);
    free(t->fixed);
}

static void fill_taps(taps *t, int i, int in, double scale, resize_filter filter)
{
    const double wide = scale < 1.0 ? 1.0 : scale, support = filters[filter].support * wide,
                 centre = (i + 0.5) * scale;
    int low = (int)(centre - support + 0.5), high = (int)(centre + support + 0.5);
    if (low < 0) low = 0;
    if (high > in) high = in;
    double *w = t->weight + (size_t)i * (size_t)t->most, sum = 0;
    for (int k = 0; k < high - low; k++) {
        w[k] = filters[filter].at((k + low - centre + 0.5) * (1.0 / wide));
        sum += w[k];
    }
    for (int k = 0; k < high - low; k++) {
        if (sum != 0.0) w[k] /= sum;
        double f = w[k] * (1 << FIXED);
        t->fixed[(size_t)i * (size_t)t->most + (size_t)k] = (int32_t)(f < 0 ? f - 0.5 : f + 0.5);
    }
    t->first[i] = low;
    t->count[i] = high - low;
}

/* Without antialias. In float, as both peers: where a position falls between two pixels is what they agree on. */
static void fill_two_taps(taps *t, int i, int in, float scale, float centre)
{
    const float at = fmaxf(scale * ((float)i + centre) - centre, 0);
    const int low = (int)at < in - 1 ? (int)at : in - 1;
    double *w = t->weight + (size_t)i * (size_t)t->most;
    t->first[i] = low;
    t->count[i] = low < in - 1 ? 2 : 1;
    w[1] = low < in - 1 ? (double)at - low : 0;
    w[0] = 1 - w[1];
    for (int k = 0; k < 2; k++)
        t->fixed[(size_t)i * (size_t)t->most + (size_t)k] = (int32_t)lrint(w[k] * (1 << FIXED));
}

static int taps_make(taps *t, int in, int out, resize_filter filter, m2m_error *err)
{
    const double scale = (double)in / out,
                 support = filters[filter].support * (scale < 1.0 ? 1.0 : scale);
    *t = (taps){.n = out, .most = (int)ceil(support) * 2 + 1};
    size_t all = (size_t)out * (size_t)t->most;
    t->first = malloc((size_t)out * sizeof *t->first);
    t->count = malloc((size_t)out * sizeof *t->count);
    t->weight = malloc(all * sizeof *t->weight);
    t->fixed = malloc(all * sizeof *t->fixed);
    if (!t->first || !t->count || !t->weight || !t->fixed) {
        taps_free(t);
        return fail(err, M2M_ENOMEM, "no memory to resize %d to %d", in, out);
    }
    for (int i = 0; i < out; i++) {
        if (filters[filter].at) fill_taps(t, i, in, scale, filter);
        else fill_two_taps(t, i, in, (float)in / (float)out, filter == RESIZE_TORCH ? 0.5f : 0.0f);
    }
    return 0;
}

/* ---- One pass: rows x n x inner -> rows x t->n x inner; inner is channels or a whole row ---- */

static uint8_t clip8(int32_t sum)
{
    int32_t v = sum >> FIXED;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void pass_u8(
    uint8_t *dst, const uint8_t *src, size_t rows, size_t n, size_t inner, const taps *t)
{
    for (size_t r = 0; r < rows; r++, src += n * inner) {
        for (int i = 0; i < t->n; i++, dst += inner) {
            const int32_t *w = t->fixed + (size_t)i * (size_t)t->most;
            const uint8_t *from = src + (size_t)t->first[i] * inner;
            for (size_t c = 0; c < inner; c++) {
                int32_t sum = 1 << (FIXED - 1);
                for (int k = 0; k < t->count[i]; k++) sum += from[(size_t)k * inner + c] * w[k];
                dst[c] = clip8(sum);
            }
        }
    }
}

static void pass_f32(
    float *dst, const float *src, size_t rows, size_t n, size_t inner, const taps *t)
{
    for (size_t r = 0; r < rows; r++, src += n * inner) {
        for (int i = 0; i < t->n; i++, dst += inner) {
            const double *w = t->weight + (size_t)i * (size_t)t->most;
            const float *from = src + (size_t)t->first[i] * inner;
            for (size_t c = 0; c < inner; c++) {
                double sum = 0;
                for (int k = 0; k < t->count[i]; k++)
                    sum += (double)from[(size_t)k * inner + c] * w[k];
                dst[c] = (float)sum;
            }
        }
    }
}

/* One pass over elements of bytes or floats; a side that stays as it is is copied. */
static void pass(void *dst, const void *src, size_t rows, size_t n, size_t inner, const taps *t, bool bytes)
{
    if ((size_t)t->n == n) memcpy(dst, src, rows * n * inner * (bytes ? 1 : sizeof(float)));
    else if (bytes) pass_u8(dst, src, rows, n, inner, t);
    else pass_f32(dst, src, rows, n, inner, t);
}

/* Pillow 13 begins along y where that shrinks the image by far more; in 8 bits the order shows in the last bit. */
static bool begins_down(int width, int height, int in_width, int in_height)
{
    return in_height > height && in_height - height > 2 * (in_width - width) && width != in_width;
}

static int two_passes(void *dst, int width, int height, const void *src, int in_width, int in_height, int channels,
                      bool bytes, resize_filter filter, m2m_error *err)
{
    const size_t size = bytes ? 1 : sizeof(float), c = (size_t)channels, w = (size_t)width, h = (size_t)height;
    const size_t iw = (size_t)in_width, ih = (size_t)in_height;
    const bool down_first = begins_down(width, height, in_width, in_height);
    taps across = {0}, down = {0};
    int rc = taps_make(&across, in_width, width, filter, err);
    if (rc) return rc;
    rc = taps_make(&down, in_height, height, filter, err);
    void *middle = rc ? NULL : malloc((down_first ? iw * h : w * ih) * c * size);
    if (!rc && !middle)
        rc = fail(err, M2M_ENOMEM, "no memory to resize %d x %d to %d x %d", in_width, in_height, width, height);
    if (!rc && down_first) {
        pass(middle, src, 1, ih, iw * c, &down, bytes);
        pass(dst, middle, h, iw, c, &across, bytes);
    } else if (!rc) {
        pass(middle, src, ih, iw, c, &across, bytes);
        pass(dst, middle, 1, ih, w * c, &down, bytes);
    }
    free(middle);
    taps_free(&across);
    if (down.first) taps_free(&down);
    return rc;
}

int resize_f32(float *dst, int width, int height, const float *src, int in_width, int in_height,
    int channels, resize_filter filter, m2m_error *err)
{
    check(filter != RESIZE_NEAREST && width > 0 && height > 0 && in_width > 0 && in_height > 0,
        "resize %d x %d to %d x %d", in_width, in_height, width, height);
    return two_passes(dst, width, height, src, in_width, in_height, channels, false, filter, err);
}

/* ---- Images ---- */

static int product255(int a, int b)
{
    int t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

static void premultiply(m2m_image *img)
{
    size_t n = (size_t)img->width * (size_t)img->height;
    for (uint8_t *p = img->data; n--; p += 4) {
        for (int c = 0; c < 3; c++) p[c] = (uint8_t)product255(p[c], p[3]);
    }
}

static void unpremultiply(m2m_image *img)
{
    size_t n = (size_t)img->width * (size_t)img->height;
    for (uint8_t *p = img->data; n--; p += 4) {
        if (p[3] == 0 || p[3] == 255) continue;
        for (int c = 0; c < 3; c++)
            p[c] = (uint8_t)(255 * p[c] / p[3] > 255 ? 255 : 255 * p[c] / p[3]);
    }
}

/* Positions are summed up, as Pillow does, so that ties fall the same way. */
static void nearest(m2m_image *out, const m2m_image *in)
{
    const size_t c = (size_t)in->channels;
    const double step_x = (double)in->width / out->width, step_y = (double)in->height / out->height;
    double at_y = step_y * 0.5;
    for (int y = 0; y < out->height; y++, at_y += step_y) {
        double at_x = step_x * 0.5;
        int sy = (int)at_y < in->height ? (int)at_y : in->height - 1;
        uint8_t *row = out->data + (size_t)y * (size_t)out->width * c;
        for (int x = 0; x < out->width; x++, at_x += step_x) {
            int sx = (int)at_x < in->width ? (int)at_x : in->width - 1;
            memcpy(row + (size_t)x * c,
                in->data + ((size_t)sy * (size_t)in->width + (size_t)sx) * c, c);
        }
    }
}

int image_resize(m2m_image *out, const m2m_image *in, int width, int height, resize_filter filter,
    m2m_error *err)
{
    if (width == in->width && height == in->height) return image_copy(out, in, err);
    m2m_image source = *in;
    int rc = m2m_image_new(out, width, height, in->channels, err);
    if (!rc && filter == RESIZE_NEAREST) {
        nearest(out, in);
        return 0;
    }
    if (!rc && in->channels == 4) {
        rc = image_copy(&source, in, err);
        if (!rc) premultiply(&source);
    }
    if (!rc)
        rc = two_passes(out->data, width, height, source.data, in->width, in->height, in->channels,
            true, filter, err);
    if (source.data != in->data) m2m_image_free(&source);
    if (rc)
        m2m_image_free(out);
    else if (in->channels == 4)
        unpremultiply(out);
    return rc;
}

/* ---- Fitting ---- */

/* a*b/c rounded, 1 at least. */
static int scaled(int a, int b, int c)
{
    int64_t v = ((int64_t)a * b * 2 + c) / ((int64_t)2 * c);
    return v < 1 ? 1 : (int)v;
}

/* CROP: the part of the input that is kept. PAD: the part of the output that is filled. */
static void fit_part(
    int in_width, int in_height, int width, int height, image_fit_mode mode, int *w, int *h)
{
    bool wide = (int64_t)in_width * height > (int64_t)width * in_height; /* than the wanted shape */
    if (mode == FIT_CROP) {
        *w = wide ? scaled(in_height, width, height) : in_width;
        *h = wide ? in_height : scaled(in_width, height, width);
        if (*w > in_width) *w = in_width;
        if (*h > in_height) *h = in_height;
    } else {
        *w = wide ? width : scaled(height, in_width, in_height);
        *h = wide ? scaled(width, in_height, in_width) : height;
        if (*w > width) *w = width;
        if (*h > height) *h = height;
    }
}

static int crop_to(m2m_image *out, const m2m_image *in, int width, int height, m2m_error *err)
{
    int w, h;
    m2m_image part;
    fit_part(in->width, in->height, width, height, FIT_CROP, &w, &h);
    int rc = image_crop(&part, in, (in->width - w) / 2, (in->height - h) / 2, w, h, err);
    if (!rc) rc = image_resize(out, &part, width, height, RESIZE_BICUBIC, err);
    m2m_image_free(&part);
    return rc;
}

static int pad_to(m2m_image *out, const m2m_image *in, int width, int height,
    const uint8_t background[3], m2m_error *err)
{
    int w, h;
    m2m_image part;
    fit_part(in->width, in->height, width, height, FIT_PAD, &w, &h);
    int rc = image_resize(&part, in, w, h, RESIZE_BICUBIC, err);
    if (!rc) rc = m2m_image_new(out, width, height, 3, err);
    if (!rc) {
        image_flatten(&part, background);
        image_fill(out, 0, 0, width, height, background);
        image_paste(out, &part, (width - w) / 2, (height - h) / 2);
    }
    m2m_image_free(&part);
    return rc;
}

int image_fit(m2m_image *out, const m2m_image *in, int width, int height, image_fit_mode mode,
    const uint8_t background[3], m2m_error *err)
{
    *out = (m2m_image){0};
    if (width < 1 || height < 1 || width > IMAGE_SIDE || height > IMAGE_SIDE)
        return fail(err, M2M_EINVAL, "size: %d x %d, wanted sides of 1..%d", width, height,
            (int)IMAGE_SIDE);
    int rc = mode == FIT_CROP  ? crop_to(out, in, width, height, err)
             : mode == FIT_PAD ? pad_to(out, in, width, height, background, err)
                               : image_resize(out, in, width, height, RESIZE_BICUBIC, err);
    if (!rc) image_flatten(out, background);
    return rc;
}

const char *image_fit_text(
    int in_width, int in_height, int width, int height, image_fit_mode mode, char *buf, size_t size)
{
    int w, h;
    fit_part(in_width, in_height, width, height, mode, &w, &h);
    if (in_width == width && in_height == height)
        snprintf(buf, size, "%d x %d, as it is", width, height);
    else if (mode == FIT_CROP && (w != in_width || h != in_height))
        snprintf(buf, size, "%d x %d, cropped to %d x %d, resized to %d x %d", in_width, in_height,
            w, h, width, height);
    else if (mode == FIT_PAD && (w != width || h != height))
        snprintf(buf, size, "%d x %d, resized to %d x %d, padded to %d x %d", in_width, in_height,
            w, h, width, height);
    else
        snprintf(buf, size, "%d x %d, resized to %d x %d", in_width, in_height, width, height);
    return buf;
}
