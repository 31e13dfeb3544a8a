#include "image/plot_scale.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>

static double at_x(const plot_frame *f, double x)
{
    return f->left + (x - f->x0) / (f->x1 - f->x0) * f->width;
}

static double at_y(const plot_frame *f, double y)
{
    return f->top + f->height - (plot_height(f, y) - f->y0) / (f->y1 - f->y0) * f->height;
}

static void text(str *s, double x, double y, const char *anchor, const char *words)
{
    str_printf(s, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    str_markup(s, words);
    str_add(s, "</text>\n");
}

static void line(str *s, double x0, double y0, double x1, double y1, const char *colour)
{
    str_printf(s, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", x0, y0, x1, y1, colour);
}

static void axes(str *s, const plot_frame *f)
{
    const double right = f->left + f->width, bottom = f->top + f->height;
    double low = f->log_y ? pow(10, f->y0) : f->y0, high = f->log_y ? pow(10, f->y1) : f->y1;
    double step = plot_round_step(high - low, f->height / 40 > 2 ? f->height / 40 : 2);
    char number[32];
    for (double k = ceil(low / step); k * step <= high; k++) {
        const double y = at_y(f, k * step);
        snprintf(number, sizeof number, "%.5g", fabs(k) < 0.5 ? 0 : k * step);
        line(s, f->left, y, right, y, "#e1e1e1");
        text(s, f->left - 6, y + 4, "end", number);
    }
    step = fmax(1, plot_round_step(f->x1 - f->x0, f->width / 80 > 2 ? f->width / 80 : 2));
    for (double k = ceil(f->x0 / step); k * step <= f->x1; k++) {
        snprintf(number, sizeof number, "%.6g", fabs(k) < 0.5 ? 0 : k * step);
        line(s, at_x(f, k * step), f->top, at_x(f, k * step), bottom, "#e1e1e1");
        text(s, at_x(f, k * step), bottom + 16, "middle", number);
    }
    line(s, f->left, f->top, f->left, bottom, "#323232");
    line(s, f->left, bottom, right, bottom, "#323232");
}

static void series(str *s, const plot_frame *f, const plot_series *p, const uint8_t rgb[3])
{
    str_printf(s, "<g stroke=\"#%02x%02x%02x\" fill=\"#%02x%02x%02x\">\n", rgb[0], rgb[1], rgb[2], rgb[0], rgb[1],
               rgb[2]);
    bool open = false;
    for (int i = 0; i < p->n; i++) {
        const bool good = plot_usable(f, p->x[i], p->y[i]);
        if (good) str_printf(s, "%s%.1f,%.1f", open ? " " : "<polyline fill=\"none\" stroke-width=\"2\" points=\"",
                             at_x(f, p->x[i]), at_y(f, p->y[i]));
        else if (open) str_add(s, "\"/>\n");
        open = good;
    }
    if (open) str_add(s, "\"/>\n");
    for (int i = 0; i < p->n; i++) {
        if (!plot_usable(f, p->x[i], p->y[i])) continue;
        str_printf(s, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"><title>%.6g: %.6g</title></circle>\n",
                   at_x(f, p->x[i]), at_y(f, p->y[i]), p->x[i], p->y[i]);
    }
    str_add(s, "</g>\n");
}

void plot_svg(str *s, const plot *p)
{
    check(p->n_series >= 0 && p->n_series <= PLOT_SERIES, "%d series", p->n_series);
    const plot_frame f = plot_scale(p);
    const int legend = p->n_series > 1 ? 18 * p->n_series : 0;
    str_printf(s, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
               "font-family=\"sans-serif\" font-size=\"12\" fill=\"#323232\">\n",
               p->width, p->height + legend, p->width, p->height + legend);
    axes(s, &f);
    for (int i = 0; i < p->n_series; i++) series(s, &f, &p->series[i], plot_colours[i]);
    for (int i = 0; i < p->n_series && legend; i++) {
        const uint8_t *c = plot_colours[i];
        str_printf(s, "<rect x=\"%d\" y=\"%d\" width=\"14\" height=\"3\" fill=\"#%02x%02x%02x\"/>\n", f.left,
                   p->height + 18 * i + 4, c[0], c[1], c[2]);
        text(s, f.left + 20, p->height + 18 * i + 10, "start", p->series[i].name);
    }
    if (p->title) text(s, f.left, 16, "start", p->title);
    if (p->x_label) text(s, f.left + f.width / 2.0, p->height - 4, "middle", p->x_label);
    str_add(s, "</svg>\n");
}
