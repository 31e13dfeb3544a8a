#include "image/plot_scale.h"

#include <math.h>

enum { LEFT = 64, RIGHT = 16, TOP = 28, BOTTOM = 36 };

const uint8_t plot_colours[PLOT_SERIES][3] = {{31, 119, 180}, {214, 90, 20}, {44, 140, 44},
    {190, 40, 50}, {130, 90, 180}, {120, 80, 70}, {200, 100, 170}, {20, 160, 175}};

bool plot_usable(const plot_frame *f, double x, double y)
{
    return isfinite(x) && isfinite(y) && (!f->log_y || y > 0);
}

double plot_height(const plot_frame *f, double y)
{
    return f->log_y ? log10(y) : y;
}

static void widen(double *low, double *high, double v)
{
    if (v < *low) *low = v;
    if (v > *high) *high = v;
}

static void settle(double *low, double *high)
{
    if (*low > *high) {
        *low = 0;
        *high = 1;
    }
    double least = 1e-9 * fmax(fabs(*low), fabs(*high));
    if (*high - *low <= least) {
        double pad = *low == 0 ? 0.5 : 0.05 * fabs(*low);
        *low -= pad;
        *high += pad;
    }
}

static void find_range(plot_frame *f, const plot *p)
{
    f->x0 = f->y0 = INFINITY;
    f->x1 = f->y1 = -INFINITY;
    for (int s = 0; s < p->n_series; s++) {
        for (int i = 0; i < p->series[s].n; i++) {
            double x = p->series[s].x[i], y = p->series[s].y[i];
            if (!plot_usable(f, x, y)) continue;
            widen(&f->x0, &f->x1, x);
            widen(&f->y0, &f->y1, plot_height(f, y));
        }
    }
    settle(&f->x0, &f->x1);
    settle(&f->y0, &f->y1);
    double margin = 0.03 * (f->y1 - f->y0);
    f->y0 -= margin;
    f->y1 += margin;
}

double plot_round_step(double range, int wanted)
{
    double rough = range / wanted, ten = pow(10, floor(log10(rough))), times = rough / ten;
    return ten * (times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10);
}

plot_frame plot_scale(const plot *p)
{
    plot_frame f = {.left = LEFT, .top = TOP, .width = p->width - LEFT - RIGHT, .height = p->height - TOP - BOTTOM,
                    .log_y = p->log_y};
    find_range(&f, p);
    return f;
}
