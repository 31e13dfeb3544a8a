#include "data/augment.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>


/* A square of premultiplied RGBA floats. */
typedef struct canvas {
    int side;
    float (*px)[4];
} canvas;

static float clamp01(float x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static float smooth(float lo, float hi, float x)
{
    float t = clamp01((x - lo) / (hi - lo));
    return t * t * (3 - 2 * t);
}

/* ---- Colours ---- */

float colour_luma(colour c)
{
    return 0.299f * c.c[0] + 0.587f * c.c[1] + 0.114f * c.c[2];
}

colour colour_mix(colour a, colour b, float t)
{
    colour m;
    for (int i = 0; i < 3; i++) m.c[i] = a.c[i] + (b.c[i] - a.c[i]) * t;
    return m;
}

colour colour_hsv(float h, float s, float v)
{
    colour out;
    for (int i = 0; i < 3; i++) {
        float k = fmodf((float)(5 - 2 * i) + (h - floorf(h)) * 6, 6);
        float f = k < 4 - k ? k : 4 - k;
        out.c[i] = v - v * s * clamp01(f);
    }
    return out;
}

float colour_distance(colour a, colour b)
{
    float dr = a.c[0] - b.c[0], dg = a.c[1] - b.c[1], db = a.c[2] - b.c[2];
    return sqrtf(0.299f * dr * dr + 0.587f * dg * dg + 0.114f * db * db);
}

/* ---- The drawing, placed ---- */

static void sample(const m2m_image *src, float x, float y, float out[4])
{
    float fx = floorf(x - 0.5f), fy = floorf(y - 0.5f);
    float wx = x - 0.5f - fx, wy = y - 0.5f - fy;
    memset(out, 0, 4 * sizeof(float));
    for (int k = 0; k < 4; k++) {
        int sx = (int)fx + (k & 1), sy = (int)fy + (k >> 1);
        if (sx < 0 || sy < 0 || sx >= src->width || sy >= src->height) continue;
        const uint8_t *p = src->data + ((size_t)sy * (size_t)src->width + (size_t)sx) * 4;
        float w = ((k & 1) ? wx : 1 - wx) * ((k >> 1) ? wy : 1 - wy) * (float)p[3] / 255;
        for (int c = 0; c < 3; c++) out[c] += w * (float)p[c] / 255;
        out[3] += w;
    }
}

/* Sources are at most twice as large as they appear, so bilinear sampling of a canvas of twice the final size is
 * enough. */
static void place(canvas *to, const m2m_image *src, const look *l, const placement *p)
{
    float scale = l->scale * p->scale, angle = l->angle + p->angle;
    float longer = (float)(src->width > src->height ? src->width : src->height);
    float step = longer / ((float)to->side * scale);
    float co = cosf(angle) * step, si = sinf(angle) * step;
    for (int y = 0; y < to->side; y++) {
        for (int x = 0; x < to->side; x++) {
            float u = (float)x + 0.5f - (float)to->side * (0.5f + p->dx);
            float v = (float)y + 0.5f - (float)to->side * (0.5f + p->dy);
            float sx = u * co + v * si, sy = v * co - u * si;
            sample(src, (float)src->width / 2 + (p->mirror ? -sx : sx), (float)src->height / 2 + sy,
                to->px[y * to->side + x]);
        }
    }
}

/* ---- Tone ---- */

static colour tone_of(const look *l, colour c)
{
    if (l->tone == TONE_INVERT) {
        for (int i = 0; i < 3; i++) c.c[i] = 1 - c.c[i];
        return c;
    }
    float at = clamp01(colour_luma(c)) * (float)(l->n_colours - (l->tone == TONE_RAMP));
    int k = (int)at;
    if (l->tone == TONE_STEPS) return l->colours[k >= l->n_colours ? l->n_colours - 1 : k];
    if (k >= l->n_colours - 1) return l->colours[l->n_colours - 1];
    return colour_mix(l->colours[k], l->colours[k + 1], at - (float)k);
}

static void step_figure(canvas *a, const look *l)
{
    for (int i = 0; i < a->side * a->side; i++) {
        float *p = a->px[i];
        if (p[3] <= 0) continue;
        colour c = tone_of(l, (colour){{p[0] / p[3], p[1] / p[3], p[2] / p[3]}});
        for (int k = 0; k < 3; k++) p[k] = c.c[k] * p[3];
    }
}

/* ---- Figures ---- */

static void turn_hue(canvas *a, float angle)
{
    float co = cosf(angle), si = sinf(angle) * 0.57735f, k = (1 - co) / 3;
    for (int i = 0; i < a->side * a->side; i++) {
        float *p = a->px[i], r = p[0], g = p[1], b = p[2], mean = k * (r + g + b);
        p[0] = co * r + mean + si * (b - g);
        p[1] = co * g + mean + si * (r - b);
        p[2] = co * b + mean + si * (g - r);
        for (int c = 0; c < 3; c++) p[c] = p[c] < 0 ? 0 : p[c] > p[3] ? p[3] : p[c];
    }
}

static void silhouette(canvas *a, colour ink)
{
    for (int i = 0; i < a->side * a->side; i++)
        for (int c = 0; c < 3; c++) a->px[i][c] = ink.c[c] * a->px[i][3];
}

/* The largest alpha within `radius` of each pixel, its border softened over one pixel. */
static void grow_alpha(float *to, const canvas *a, float radius)
{
    int r = (int)ceilf(radius), n = a->side;
    for (int y = 0; y < n; y++) {
        for (int x = 0; x < n; x++) {
            float best = 0;
            for (int dy = -r; dy <= r; dy++) {
                for (int dx = -r; dx <= r; dx++) {
                    if (y + dy < 0 || y + dy >= n || x + dx < 0 || x + dx >= n) continue;
                    float alpha = a->px[(y + dy) * n + x + dx][3];
                    if (alpha <= best) continue;
                    float reach = clamp01(radius + 0.5f - sqrtf((float)(dx * dx + dy * dy)));
                    if (alpha * reach > best) best = alpha * reach;
                }
            }
            to[y * n + x] = best;
        }
    }
}

static void sticker(canvas *a, float *spare, colour rim, float width)
{
    grow_alpha(spare, a, width * (float)a->side);
    for (int i = 0; i < a->side * a->side; i++) {
        float *p = a->px[i], rest = spare[i] * (1 - p[3]);
        for (int c = 0; c < 3; c++) p[c] += rim.c[c] * rest;
        p[3] += rest;
    }
}

/* Where colour or alpha change from one side of a pixel to the other, over a distance of `width`. */
static float edge(const canvas *a, int x, int y, int reach)
{
    int n = a->side, x0 = x - reach, x1 = x + reach, y0 = y - reach, y1 = y + reach;
    float sum = 0;
    static const float nothing[4] = {0};
    const float *w = x0 < 0 ? nothing : a->px[y * n + x0], *e = x1 >= n ? nothing : a->px[y * n + x1];
    const float *u = y0 < 0 ? nothing : a->px[y0 * n + x], *d = y1 >= n ? nothing : a->px[y1 * n + x];
    for (int c = 0; c < 4; c++) {
        float gx = e[c] - w[c], gy = d[c] - u[c], weight = c == 3 ? 2.f : 1.f;
        sum += weight * (gx * gx + gy * gy);
    }
    return sqrtf(sum);
}

static void line_art(canvas *a, float *spare, colour ink, float width)
{
    int n = a->side, reach = (int)lroundf(width * (float)n / 2);
    if (reach < 1) reach = 1;
    for (int i = 0; i < n * n; i++) spare[i] = smooth(0.22f, 0.5f, edge(a, i % n, i / n, reach));
    for (int i = 0; i < n * n; i++) {
        for (int c = 0; c < 3; c++) a->px[i][c] = ink.c[c] * spare[i];
        a->px[i][3] = spare[i];
    }
}

/* Averages each cell, drops those that are mostly empty, rounds colours, and fills the cell with the result. */
static void pixelate(canvas *a, int cells, int levels)
{
    int n = a->side;
    for (int cy = 0; cy < cells; cy++) {
        for (int cx = 0; cx < cells; cx++) {
            int x0 = cx * n / cells, x1 = (cx + 1) * n / cells, y0 = cy * n / cells, y1 = (cy + 1) * n / cells;
            float sum[4] = {0};
            for (int y = y0; y < y1; y++)
                for (int x = x0; x < x1; x++)
                    for (int c = 0; c < 4; c++) sum[c] += a->px[y * n + x][c];
            bool full = sum[3] > 0.5f * (float)((x1 - x0) * (y1 - y0));
            for (int c = 0; c < 3; c++) {
                float v = full ? clamp01(sum[c] / sum[3]) : 0;
                sum[c] = levels ? roundf(v * (float)(levels - 1)) / (float)(levels - 1) : v;
                if (!full) sum[c] = 0;
            }
            sum[3] = full;
            for (int y = y0; y < y1; y++)
                for (int x = x0; x < x1; x++) memcpy(a->px[y * n + x], sum, sizeof sum);
        }
    }
}

static void draw_figure(canvas *a, float *spare, const look *l)
{
    if (l->tone == TONE_HUE) turn_hue(a, l->hue);
    if (l->tone == TONE_STEPS) step_figure(a, l);
    switch (l->figure) {
    case FIGURE_PLAIN: break;
    case FIGURE_LINE: line_art(a, spare, l->ink, l->width); break;
    case FIGURE_PIXEL: pixelate(a, l->cells, l->levels); break;
    case FIGURE_SILHOUETTE: silhouette(a, l->ink); break;
    case FIGURE_STICKER: sticker(a, spare, l->ink, l->width); break;
    }
}

/* ---- The ground under it ---- */

/* How much of the pattern's colour shows at (x, y), in 0..1 of the side; `soft` is a pixel's size there. */
static float pattern_at(const look *l, float x, float y, float soft)
{
    float co = cosf(l->slant), si = sinf(l->slant);
    float u = ((x - 0.5f) * co + (y - 0.5f) * si), v = ((y - 0.5f) * co - (x - 0.5f) * si);
    float pu = u / l->period - floorf(u / l->period), pv = v / l->period - floorf(v / l->period);
    float s = soft / l->period;
    switch (l->ground) {
    case GROUND_SOLID: return 0;
    case GROUND_GRADIENT: return clamp01(u / (fabsf(co) + fabsf(si)) + 0.5f);
    case GROUND_STRIPES: return smooth(-s, s, 0.25f - fabsf(pu - 0.5f));
    case GROUND_CHECKS: return (pu < 0.5f) != (pv < 0.5f) ? 1.f : 0.f;
    case GROUND_DOTS: return smooth(-s, s, 0.24f - hypotf(pu - 0.5f, pv - 0.5f));
    }
    return 0;
}

static void lay_on_ground(canvas *a, const look *l)
{
    int n = a->side, cells = l->figure == FIGURE_PIXEL ? l->cells : 0;
    for (int i = 0; i < n * n; i++) {
        float x = ((float)(i % n) + 0.5f) / (float)n, y = ((float)(i / n) + 0.5f) / (float)n;
        if (cells) {
            x = (floorf(x * (float)cells) + 0.5f) / (float)cells;
            y = (floorf(y * (float)cells) + 0.5f) / (float)cells;
        }
        colour g = colour_mix(l->paper, l->pattern, pattern_at(l, x, y, 1 / (float)n));
        for (int c = 0; c < 3; c++) a->px[i][c] += g.c[c] * (1 - a->px[i][3]);
        a->px[i][3] = 1;
    }
}

static void apply_tone(canvas *a, const look *l)
{
    if (l->tone != TONE_RAMP && l->tone != TONE_INVERT) return;
    for (int i = 0; i < a->side * a->side; i++) {
        colour c = {{a->px[i][0], a->px[i][1], a->px[i][2]}};
        c = tone_of(l, c);
        memcpy(a->px[i], c.c, sizeof c.c);
    }
}

static void shrink(m2m_image *out, const canvas *a, int times)
{
    int n = out->width;
    for (int i = 0; i < n * n; i++) {
        float sum[3] = {0};
        for (int y = i / n * times; y < (i / n + 1) * times; y++)
            for (int x = i % n * times; x < (i % n + 1) * times; x++)
                for (int c = 0; c < 3; c++) sum[c] += a->px[y * a->side + x][c];
        for (int c = 0; c < 3; c++)
            out->data[i * 3 + c] = (uint8_t)lroundf(clamp01(sum[c] / (float)(times * times)) * 255);
    }
}

int augment_draw(m2m_image *out, const m2m_image *src, const look *l, const placement *p, int size, m2m_error *err)
{
    check(src->channels == 4 && size > 0 && size <= 4096, "drawing with %d channels to size %d", src->channels, size);
    int times = 2;
    canvas a = {size * times, NULL};
    size_t pixels = (size_t)a.side * (size_t)a.side;
    a.px = malloc(pixels * sizeof *a.px);
    float *spare = malloc(pixels * sizeof *spare);
    int rc = a.px && spare ? m2m_image_new(out, size, size, 3, err) : fail(err, M2M_ENOMEM, "no memory for a picture");
    if (!rc) {
        place(&a, src, l, p);
        draw_figure(&a, spare, l);
        lay_on_ground(&a, l);
        apply_tone(&a, l);
        shrink(out, &a, times);
    }
    free(a.px);
    free(spare);
    return rc;
}
