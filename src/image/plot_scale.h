/* Where a chart's axes lie and what they span: shared by its forms, pixels (plot.c) and SVG (plot_svg.c). */
#ifndef IMAGE_PLOT_SCALE_H
#define IMAGE_PLOT_SCALE_H

#include "image/plot.h"

typedef struct plot_frame {
    double x0, x1, y0, y1; /* of the axes; y after the logarithm */
    int left, top, width, height;
    bool log_y;
} plot_frame;

extern const uint8_t plot_colours[PLOT_SERIES][3];

plot_frame plot_scale(const plot *p);
/* A point that can be shown; its y as the frame has it. */
bool plot_usable(const plot_frame *f, double x, double y);
double plot_height(const plot_frame *f, double y);
/* 1, 2 or 5 times a power of ten, so that about `wanted` steps fit. */
double plot_round_step(double range, int wanted);

#endif
