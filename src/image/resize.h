/* Resizing, mostly with antialias, as Pillow 13 does it: two passes, filters widened when shrinking; along x
 * first, but along y first where in_height - height > max(0, 2 (in_width - width)). 8-bit results equal
 * Pillow's to the bit (12 and older always begin along x, which can change a byte by 1), 32-bit ones
 * those of its mode "F" (clean-fid's way) up to rounding. Any thread. */
#ifndef IMAGE_RESIZE_H
#define IMAGE_RESIZE_H

#include "m2m.h"

typedef enum resize_filter {
    RESIZE_NEAREST,
    RESIZE_BOX,                /* averages areas */
    RESIZE_BILINEAR,
    RESIZE_BICUBIC,            /* a = -0.5 */
    RESIZE_LANCZOS,            /* 3 lobes */
    /* Without antialias, each value from the two nearest in a direction, also where that skips pixels: */
    RESIZE_TORCH,              /* torch's interpolate, bilinear, align_corners=False */
    RESIZE_TENSORFLOW1,        /* TensorFlow 1's resize_bilinear: corners, not centres, of pixels lie on one another */
} resize_filter;

/* *out is made anew (zero on failure); RGBA is filtered with its colours multiplied by alpha.
 * Errors: M2M_EINVAL, M2M_ENOMEM. */
int image_resize(m2m_image *out, const m2m_image *in, int width, int height, resize_filter filter, m2m_error *err);
/* dst [height][width][channels] from src [in_height][in_width][channels], neither clamped nor
 * rounded. NEAREST is not offered. Errors: M2M_ENOMEM. */
int resize_f32(float *dst, int width, int height, const float *src, int in_width, int in_height, int channels,
               resize_filter filter, m2m_error *err);

/* How an image of one shape gets into another (P22). */
typedef enum image_fit_mode {
    FIT_CROP,                  /* covers it; what stands over is cut off evenly */
    FIT_PAD,                   /* fits into it; the rest is background */
    FIT_STRETCH
} image_fit_mode;

/* A new RGB image of width x height (bicubic), over the background where `in` is transparent or
 * does not reach. *out is zero on failure. Errors: M2M_EINVAL, M2M_ENOMEM. */
int image_fit(m2m_image *out, const m2m_image *in, int width, int height, image_fit_mode mode,
              const uint8_t background[3], m2m_error *err);
/* What image_fit does, for people: "640 x 480, cropped to 480 x 480, resized to 64 x 64"; into
 * buf, returns buf. */
const char *image_fit_text(int in_width, int in_height, int width, int height, image_fit_mode mode, char *buf,
                           size_t size);

#endif
