/* Images of 8 bits a channel in memory: copied, flattened, turned, to and from floats. m2m_image, m2m_image_new and
 * m2m_image_free are in m2m.h.
 *
 * Functions that fill an m2m_image leave it zero on failure. Any thread. */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "m2m.h"

#include <stdbool.h>

enum { IMAGE_SIDE = 65535, IMAGE_PIXELS = 64000000 };    /* the most that is read from a file */

int image_copy(m2m_image *dst, const m2m_image *src, m2m_error *err);
size_t image_bytes(const m2m_image *img);

/* Sides and number of pixels are within the limits of files? Errors: M2M_EFORMAT; name begins the message. */
int image_check_sides(int64_t width, int64_t height, const char *name, m2m_error *err);

/* Puts the image over a background, in place, so that it has three channels; one that has three stays as it is. */
void image_flatten(m2m_image *img, const uint8_t background[3]);

/* Turns and mirrors as an EXIF orientation (1..8; others: nothing to do) asks, so that the image is upright. Errors:
 * M2M_ENOMEM; the image is then as it was. */
int image_orient(m2m_image *img, int orientation, m2m_error *err);

/* The three colours as planes [3, height, width] of values x / 127.5 - 1. Alpha is not looked at. */
void image_to_chw(const m2m_image *img, float *dst);
/* A new RGB image of round(x * 127.5 + 127.5), clamped to 0..255; not-a-number gives 0. src: [3, height, width]. */
int image_from_chw(m2m_image *img, const float *src, int width, int height, m2m_error *err);

/* Mirrors left and right, in place: rows of width floats (planes [3, height, width] have 3 * height of them). */
void image_mirror_chw(float *planes, int rows, int width);

#endif
