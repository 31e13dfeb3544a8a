/* Resizing with antialiasing, equal to Pillow's Image.resize to the bit (8-bit path: fixed-point weights, two passes, colours
 * weighted by alpha), so that images are prepared exactly as in the papers' code. Any thread. */
#ifndef IMAGE_RESIZE_H
#define IMAGE_RESIZE_H

#include "m2m.h"

typedef enum image_filter { FILTER_BOX, FILTER_BILINEAR, FILTER_BICUBIC, FILTER_LANCZOS } image_filter;

/* A part of an image in pixels from its upper left corner; corners may lie inside pixels. */
typedef struct image_box {
    double x0, y0, x1, y1;
} image_box;

/* A new image of the part of src, or of all of it (box NULL), scaled to width x height. dst is another image than src and
 * zero on failure. Errors: M2M_EINVAL (sides, a box that is empty or not inside), M2M_ENOMEM. */
int image_resize(m2m_image *dst, const m2m_image *src, const image_box *box, int width, int height, image_filter filter,
                 m2m_error *err);

/* How an image of another aspect ratio gets to a size. */
typedef enum image_fit_mode {
    FIT_CROP,       /* covers it; what stands over is cut off evenly */
    FIT_PAD,        /* fits into it; the rest is background */
    FIT_STRETCH
} image_fit_mode;

/* The part of an image of width x height that FIT_CROP keeps for a size of to_width x to_height. */
image_box image_crop_box(int width, int height, int to_width, int to_height);

/* A new RGB image of width x height (bicubic), over the background where src is transparent or doesn't reach. Errors:
 * M2M_EINVAL, M2M_ENOMEM. */
int image_fit(m2m_image *dst, const m2m_image *src, int width, int height, image_fit_mode mode,
              const uint8_t background[3], m2m_error *err);

#endif
