#include "image/plot.h"

#include "base/error.h"
#include "image/draw.h"
#include "image/font.h"
#include "image/image.h"
#include "image/plot_scale.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST = 160 };

static const uint8_t paper[3] = {255, 255, 255}, ink[3] = {50, 50, 50}, grid[3] = {225, 225, 225};
static int pixel_x(const plot_frame *f, double x)
{
    return f->left + (int)lround((x - f->x0) / (f->x1 - f->x0) * (f->width - 1));
}

/* y after the logarithm. */
static int pixel_y(const plot_frame *f, double y)
{
    return f->top + f->height - 1 - (int)lround((y - f->y0) / (f->y1 - f->y0) * (f->height - 1));
}

static void tick_y(m2m_image *img, const plot_frame *f, double y, double shown)
{
    char text[32];
    int row = pixel_y(f, y);
    if (row < f->top || row >= f->top + f->height) return;
    snprintf(text, sizeof text, "%.5g", shown);
    image_fill(img, f->left, row, f->width, 1, grid);
    font_draw(img, f->left - 6 - font_text_width(text, 1), row - FONT_HEIGHT / 2, 1, text, ink);
}

static void draw_y_axis(m2m_image *img, const plot_frame *f)
{
    if (f->log_y && f->y1 - f->y0 >= 1.0) { /* a decade or more: 1, 2, 5 of each */
        static const double parts[3] = {1, 2, 5};
        int every = f->y1 - f->y0 > 4 ? 1 : 3;
        for (double e = floor(f->y0); e <= f->y1; e++) {
            for (int k = 0; k < every; k++)
                tick_y(img, f, e + log10(parts[k]), parts[k] * pow(10, e));
        }
        return;
    }
    double low = f->log_y ? pow(10, f->y0) : f->y0, high = f->log_y ? pow(10, f->y1) : f->y1;
    double step = plot_round_step(high - low, f->height / 40 > 2 ? f->height / 40 : 2),
           first = ceil(low / step);
    for (double k = first; k * step <= high; k++)
        tick_y(img, f, plot_height(f, k * step), fabs(k) < 0.5 ? 0 : k * step);
}

static void draw_x_axis(m2m_image *img, const plot_frame *f)
{
    double step = plot_round_step(f->x1 - f->x0, f->width / 80 > 2 ? f->width / 80 : 2),
           first = ceil(f->x0 / step);
    for (double k = first; k * step <= f->x1; k++) {
        char text[32];
        int column = pixel_x(f, k * step);
        snprintf(text, sizeof text, "%.6g", fabs(k) < 0.5 ? 0 : k * step);
        image_fill(img, column, f->top, 1, f->height, grid);
        font_draw(img, column - font_text_width(text, 1) / 2, f->top + f->height + 6, 1, text, ink);
    }
}

/* Two pixels wide. */
static void draw_line(m2m_image *img, int x0, int y0, int x1, int y1, const uint8_t rgb[3])
{
    int dx = abs(x1 - x0), dy = abs(y1 - y0), steps = dx > dy ? dx : dy;
    for (int i = 0; i <= steps; i++) {
        double t = steps ? (double)i / steps : 0;
        image_fill(
            img, (int)lround(x0 + t * (x1 - x0)), (int)lround(y0 + t * (y1 - y0)), 2, 2, rgb);
    }
}

static void draw_series(m2m_image *img, const plot_frame *f, const plot_series *s, const uint8_t rgb[3])
{
    bool joined = false;
    int before_x = 0, before_y = 0;
    for (int i = 0; i < s->n; i++) {
        if (!plot_usable(f, s->x[i], s->y[i])) {
            joined = false;
            continue;
        }
        int x = pixel_x(f, s->x[i]), y = pixel_y(f, plot_height(f, s->y[i]));
        draw_line(img, joined ? before_x : x, joined ? before_y : y, x, y, rgb);
        before_x = x;
        before_y = y;
        joined = true;
    }
}

static void draw_legend(m2m_image *img, const plot_frame *f, const plot *p)
{
    int widest = 0, line = FONT_HEIGHT + 4;
    for (int s = 0; s < p->n_series; s++) {
        int w = font_text_width(p->series[s].name, 1);
        if (w > widest) widest = w;
    }
    if (p->n_series == 0) return;
    int x = f->left + f->width - widest - 30, y = f->top + 6;
    image_fill(img, x - 4, y - 4, widest + 32, p->n_series * line + 4, paper);
    for (int s = 0; s < p->n_series; s++, y += line) {
        image_fill(img, x, y + 3, 14, 2, plot_colours[s]);
        font_draw(img, x + 20, y, 1, p->series[s].name, ink);
    }
}

int plot_draw(m2m_image *out, const plot *p, m2m_error *err)
{
    *out = (m2m_image){0};
    check(p->n_series >= 0 && p->n_series <= PLOT_SERIES, "%d series", p->n_series);
    if (p->width < SMALLEST || p->height < SMALLEST)
        return fail(err, M2M_EINVAL, "plot of %d x %d pixels, at least %d wanted", p->width,
            p->height, (int)SMALLEST);
    int rc = m2m_image_new(out, p->width, p->height, 3, err);
    if (rc) return rc;
    plot_frame f = plot_scale(p);
    image_fill(out, 0, 0, out->width, out->height, paper);
    draw_x_axis(out, &f);
    draw_y_axis(out, &f);
    image_fill(out, f.left, f.top, 1, f.height, ink);
    image_fill(out, f.left, f.top + f.height - 1, f.width, 1, ink);
    for (int s = 0; s < p->n_series; s++) draw_series(out, &f, &p->series[s], plot_colours[s]);
    draw_legend(out, &f, p);
    if (p->title) font_draw(out, f.left, 10, 1, p->title, ink);
    if (p->x_label)
        font_draw(out, f.left + (f.width - font_text_width(p->x_label, 1)) / 2,
            out->height - FONT_HEIGHT - 6, 1, p->x_label, ink);
    return 0;
}
