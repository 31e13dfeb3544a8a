#include "image/resize.h"

#include "base/error.h"
#include "image/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PRECISION = 32 - 8 - 2 };    /* bits behind the point of a weight: 8 bits of pixel, 2 of overshoot, in an int */

/* What an output pixel is made of along one axis: `n` weights for the inputs from `first`. */
typedef struct span {
    int first, n;
} span;

typedef struct axis {
    span *spans;                /* one per output pixel */
    int *weights;               /* `most` per output pixel */
    int most;
} axis;

static double box_filter(double x)
{
    return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double bilinear_filter(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double bicubic_filter(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double sinc(double x)
{
    const double pi = 3.14159265358979323846;
    return x == 0 ? 1 : sin(x * pi) / (x * pi);
}

static double lanczos_filter(double x)
{
    return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static double (*const filter_of[])(double) = {
    [FILTER_BOX] = box_filter, [FILTER_BILINEAR] = bilinear_filter, [FILTER_BICUBIC] = bicubic_filter,
    [FILTER_LANCZOS] = lanczos_filter};
static const double support_of[] = {
    [FILTER_BOX] = 0.5, [FILTER_BILINEAR] = 1, [FILTER_BICUBIC] = 2, [FILTER_LANCZOS] = 3};

static void axis_free(axis *a)
{
    free(a->spans);
    free(a->weights);
    *a = (axis){0};
}

/* Scales [from, to) of `in` pixels to `out` pixels; the arithmetic is Pillow's (precompute_coeffs). 0 or M2M_ENOMEM. */
static int axis_make(axis *a, int in, double from, double to, int out, image_filter f)
{
    double scale = (to - from) / out, stretch = scale < 1 ? 1 : scale, support = support_of[f] * stretch;
    *a = (axis){.most = (int)ceil(support) * 2 + 1};
    a->spans = calloc((size_t)out, sizeof *a->spans);
    a->weights = calloc((size_t)out, (size_t)a->most * sizeof *a->weights);
    double *w = calloc((size_t)a->most, sizeof *w);
    for (int i = 0; i < out && a->spans && a->weights && w; i++) {
        double centre = from + (i + 0.5) * scale, sum = 0;
        int first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
        if (first < 0) first = 0;
        if (end > in) end = in;
        for (int k = 0; k < end - first; k++) sum += w[k] = filter_of[f]((k + first - centre + 0.5) * (1 / stretch));
        for (int k = 0; k < end - first; k++) {
            double x = (sum != 0 ? w[k] / sum : w[k]) * (1 << PRECISION);
            a->weights[(size_t)i * (size_t)a->most + (size_t)k] = (int)(x < 0 ? x - 0.5 : x + 0.5);
        }
        a->spans[i] = (span){first, end - first};
    }
    int rc = a->spans && a->weights && w ? 0 : M2M_ENOMEM;
    free(w);
    if (rc) axis_free(a);
    return rc;
}

static uint8_t to_byte(int sum)
{
    sum >>= PRECISION;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* Rows [y0, y0 + dst->height) of src, each scaled along x. */
static void pass_x(m2m_image *dst, const m2m_image *src, int y0, const axis *a)
{
    size_t channels = (size_t)src->channels;
    for (int y = 0; y < dst->height; y++) {
        const uint8_t *row = src->data + (size_t)(y0 + y) * (size_t)src->width * channels;
        uint8_t *to = dst->data + (size_t)y * (size_t)dst->width * channels;
        for (int x = 0; x < dst->width; x++) {
            const uint8_t *from = row + (size_t)a->spans[x].first * channels;
            const int *w = a->weights + (size_t)x * (size_t)a->most;
            int sum[4] = {1 << (PRECISION - 1), 1 << (PRECISION - 1), 1 << (PRECISION - 1), 1 << (PRECISION - 1)};
            for (int k = 0; k < a->spans[x].n; k++, from += channels) {
                for (size_t c = 0; c < channels; c++) sum[c] += from[c] * w[k];
            }
            for (size_t c = 0; c < channels; c++) *to++ = to_byte(sum[c]);
        }
    }
}

/* src, whose first row is row y0 of what `a` counts, scaled along y. sums: room for a row. */
static void pass_y(m2m_image *dst, const m2m_image *src, int y0, const axis *a, int *sums)
{
    size_t n = (size_t)dst->width * (size_t)dst->channels;
    for (int y = 0; y < dst->height; y++) {
        const uint8_t *from = src->data + (size_t)(a->spans[y].first - y0) * n;
        const int *w = a->weights + (size_t)y * (size_t)a->most;
        for (size_t i = 0; i < n; i++) sums[i] = 1 << (PRECISION - 1);
        for (int k = 0; k < a->spans[y].n; k++, from += n) {
            for (size_t i = 0; i < n; i++) sums[i] += from[i] * w[k];
        }
        for (size_t i = 0; i < n; i++) dst->data[(size_t)y * n + i] = to_byte(sums[i]);
    }
}

/* Colours times alpha and back, rounded as Pillow does. */
static void premultiply(m2m_image *img)
{
    uint8_t *p = img->data, *end = p + image_bytes(img);
    for (; p < end; p += 4) {
        for (int c = 0; c < 3; c++) {
            unsigned x = (unsigned)p[c] * p[3] + 128;
            p[c] = (uint8_t)(((x >> 8) + x) >> 8);
        }
    }
}

static void divide_by_alpha(m2m_image *img)
{
    uint8_t *p = img->data, *end = p + image_bytes(img);
    for (; p < end; p += 4) {
        for (int c = 0; c < 3 && p[3] != 0 && p[3] != 255; c++) {
            unsigned x = 255u * p[c] / p[3];
            p[c] = (uint8_t)(x > 255 ? 255 : x);
        }
    }
}

/* Both passes; a pass that would change nothing is left out. */
static int resize(m2m_image *dst, const m2m_image *src, image_box b, image_filter f, m2m_error *err)
{
    axis x = {0}, y = {0};
    m2m_image middle = {0};
    int *sums = NULL;
    bool along_x = dst->width != src->width || b.x0 != 0 || b.x1 != src->width;
    bool along_y = dst->height != src->height || b.y0 != 0 || b.y1 != src->height;
    int rc = axis_make(&x, src->width, b.x0, b.x1, dst->width, f);
    if (!rc) rc = axis_make(&y, src->height, b.y0, b.y1, dst->height, f);
    if (rc) {
        fail(err, rc, "resize: no memory for %d x %d pixels", dst->width, dst->height);
    } else if (along_x && along_y) {
        span last = y.spans[dst->height - 1];
        int first = y.spans[0].first, rows = last.first + last.n - first;
        sums = malloc((size_t)dst->width * (size_t)src->channels * sizeof *sums);
        if (!sums) rc = fail(err, M2M_ENOMEM, "resize: no memory");
        if (!rc) rc = image_new(&middle, dst->width, rows, src->channels, err);
        if (!rc) pass_x(&middle, src, first, &x);
        if (!rc) pass_y(dst, &middle, first, &y, sums);
    } else if (along_x) {
        pass_x(dst, src, 0, &x);
    } else if (along_y) {
        sums = malloc((size_t)dst->width * (size_t)src->channels * sizeof *sums);
        rc = sums ? 0 : fail(err, M2M_ENOMEM, "resize: no memory");
        if (!rc) pass_y(dst, src, 0, &y, sums);
    } else {
        memcpy(dst->data, src->data, image_bytes(src));
    }
    free(sums);
    image_free(&middle);
    axis_free(&x);
    axis_free(&y);
    return rc;
}

int image_resize(m2m_image *dst, const m2m_image *src, const image_box *box, int width, int height, image_filter filter,
                 m2m_error *err)
{
    image_box b = box ? *box : (image_box){0, 0, src->width, src->height};
    m2m_image weighted = {0};
    *dst = (m2m_image){0};
    if (!(b.x0 >= 0 && b.y0 >= 0 && b.x1 > b.x0 && b.y1 > b.y0 && b.x1 <= src->width && b.y1 <= src->height))
        return fail(err, M2M_EINVAL, "resize: box %g,%g to %g,%g, a part of %d x %d pixels was wanted", b.x0, b.y0, b.x1,
                    b.y1, src->width, src->height);
    int rc = image_new(dst, width, height, src->channels, err);
    bool scaled = width != src->width || height != src->height || box;
    if (!rc && src->channels == 4 && scaled) {
        rc = image_copy(&weighted, src, err);
        if (!rc) {
            premultiply(&weighted);
            rc = resize(dst, &weighted, b, filter, err);
        }
        if (!rc) divide_by_alpha(dst);
    } else if (!rc) {
        rc = resize(dst, src, b, filter, err);
    }
    image_free(&weighted);
    if (rc) image_free(dst);
    return rc;
}

image_box image_crop_box(int width, int height, int to_width, int to_height)
{
    double scale = fmin((double)width / to_width, (double)height / to_height);
    double w = fmin(to_width * scale, width), h = fmin(to_height * scale, height);
    double x = (width - w) / 2, y = (height - h) / 2;
    return (image_box){x, y, fmin(x + w, width), fmin(y + h, height)};
}

/* Copies src into dst with its upper left corner at (x, y); both RGB, src inside. */
static void paste(m2m_image *dst, const m2m_image *src, int x, int y)
{
    size_t n = (size_t)src->width * 3;
    for (int row = 0; row < src->height; row++) {
        size_t at = (size_t)(y + row) * (size_t)dst->width + (size_t)x;
        memcpy(dst->data + at * 3, src->data + (size_t)row * n, n);
    }
}

static int fit_pad(m2m_image *dst, const m2m_image *src, int width, int height, const uint8_t background[3],
                   m2m_error *err)
{
    double scale = fmin((double)width / src->width, (double)height / src->height);
    int w = (int)fmin(fmax(round(src->width * scale), 1), width), h = (int)fmin(fmax(round(src->height * scale), 1), height);
    m2m_image part;
    int rc = image_resize(&part, src, NULL, w, h, FILTER_BICUBIC, err);
    if (rc) return rc;
    image_flatten(&part, background);
    rc = image_new(dst, width, height, 3, err);
    if (!rc) {
        size_t n = (size_t)width * (size_t)height;
        for (size_t i = 0; i < n; i++) memcpy(dst->data + 3 * i, background, 3);
        paste(dst, &part, (width - w) / 2, (height - h) / 2);
    }
    image_free(&part);
    return rc;
}

int image_fit(m2m_image *dst, const m2m_image *src, int width, int height, image_fit_mode mode,
              const uint8_t background[3], m2m_error *err)
{
    *dst = (m2m_image){0};
    if (width < 1 || height < 1 || width > IMAGE_SIDE || height > IMAGE_SIDE)
        return fail(err, M2M_EINVAL, "resize: to %d x %d pixels, sides of 1..%d were wanted", width, height, IMAGE_SIDE);
    if (mode == FIT_PAD) return fit_pad(dst, src, width, height, background, err);
    image_box box = image_crop_box(src->width, src->height, width, height);
    bool whole = mode == FIT_STRETCH || (box.x0 == 0 && box.y0 == 0 && box.x1 == src->width && box.y1 == src->height);
    int rc = image_resize(dst, src, whole ? NULL : &box, width, height, FILTER_BICUBIC, err);
    if (!rc) image_flatten(dst, background);
    return rc;
}
