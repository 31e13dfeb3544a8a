/* Drawing with whole rectangles: fill, paste, cut out. Any thread. */
#ifndef IMAGE_DRAW_H
#define IMAGE_DRAW_H

#include "m2m.h"

/* A rectangle of one colour, opaque; what lies outside the image is left out. */
void image_fill(m2m_image *img, int x, int y, int width, int height, const uint8_t rgb[3]);
/* `from` with its top left corner at (x, y), over what is there by its alpha; what lies outside
 * is left out. */
void image_paste(m2m_image *img, const m2m_image *from, int x, int y);
/* *out becomes a new image of a part, which must lie within; zero on failure. Errors:
 * M2M_ENOMEM, M2M_EINVAL. */
int image_crop(m2m_image *out, const m2m_image *in, int x, int y, int width, int height, m2m_error *err);

#endif
