/* A built-in font of 5 x 7 dots for labels in pictures; printable ASCII, all else becomes a box.
 * Cells are 6 x 8 dots. */
#ifndef IMAGE_FONT_H
#define IMAGE_FONT_H

#include "m2m.h"

enum { FONT_WIDTH = 6, FONT_HEIGHT = 8 };        /* of a cell at scale 1 */

/* Draws one line with its top left corner at (x, y), each dot scale x scale pixels; clipped.
 * UTF-8 text. */
void font_draw(m2m_image *img, int x, int y, int scale, const char *text, const uint8_t rgb[3]);
int font_text_width(const char *text, int scale);      /* in pixels */

#endif
