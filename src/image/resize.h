/* Resizing with antialias, as Pillow does it: separable, horizontal pass first, the filter widened when shrinking. 8-bit results equal
 * Pillow's to the bit, 32-bit ones equal its mode "F" (clean-fid's way) up to rounding. Any thread. */
#ifndef IMAGE_RESIZE_H
#define IMAGE_RESIZE_H

#include "m2m.h"

#include <stdbool.h>

typedef enum resize_filter {
    RESIZE_NEAREST,
    RESIZE_BOX,                /* averages areas */
    RESIZE_BILINEAR,
    RESIZE_BICUBIC,            /* a = -0.5 */
    RESIZE_LANCZOS,            /* 3 lobes */
} resize_filter;

/* *out is made anew (zero on failure); RGBA is filtered with its colours multiplied by alpha. Errors: M2M_EINVAL, M2M_ENOMEM. */
int image_resize(m2m_image *out, const m2m_image *in, int width, int height, resize_filter filter, m2m_error *err);
/* dst [height][width][channels] from src [in_height][in_width][channels], neither clamped nor rounded. NEAREST is not
 * offered. Errors: M2M_ENOMEM. */
int resize_f32(float *dst, int width, int height, const float *src, int in_width, int in_height, int channels,
               resize_filter filter, m2m_error *err);

/* How an image of one shape gets into another (P22). */
typedef enum image_fit { FIT_CROP, FIT_PAD, FIT_STRETCH } image_fit;

bool image_fit_parse(const char *name, image_fit *fit);    /* "crop", "pad", "stretch" */
/* CROP keeps the centre, PAD adds bars of the colour `pad`. *out is made anew with the channels of `in`. */
int image_fitted(m2m_image *out, const m2m_image *in, int width, int height, image_fit fit, const uint8_t pad[3],
                 resize_filter filter, m2m_error *err);
/* What image_fitted does, for people: "640 x 480, cropped to 480 x 480, resized to 64 x 64"; into buf, returns buf. */
const char *image_fit_text(int in_width, int in_height, int width, int height, image_fit fit, char *buf, size_t size);

#endif
