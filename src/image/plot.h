/* A line chart as a picture: several series over a common x, axes with round numbers, a legend. */
#ifndef IMAGE_PLOT_H
#define IMAGE_PLOT_H

#include "base/str.h"
#include "m2m.h"

enum { PLOT_SERIES = 8 };

typedef struct plot_series {
    const char *name;
    const double *x, *y;       /* [n], borrowed; points that are not finite (with log_y: not positive) break the line */
    int n;
} plot_series;

typedef struct plot {
    const char *title, *x_label;         /* NULL: none */
    int width, height;                   /* pixels, each at least 160 */
    bool log_y;
    plot_series series[PLOT_SERIES];
    int n_series;
} plot;

/* *out is made anew (zero on failure). A plot without points shows its empty axes. Errors:
 * M2M_EINVAL, M2M_ENOMEM. */
int plot_draw(m2m_image *out, const plot *p, m2m_error *err);
/* The same chart as an <svg> element, appended to *s; for a few points, which it marks. */
void plot_svg(str *s, const plot *p);

#endif
