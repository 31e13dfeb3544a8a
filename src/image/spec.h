/* How people write sizes, colours and fits: "640x480", "ffffff", "crop|pad|stretch". Errors: M2M_EINVAL. Any thread. */
#ifndef IMAGE_SPEC_H
#define IMAGE_SPEC_H

#include "image/resize.h"

int parse_size(const char *text, int *width, int *height, m2m_error *err);    /* sides 1..65535 */
int parse_colour(const char *text, uint8_t rgb[3], m2m_error *err);           /* RRGGBB, also with # */
int parse_fit(const char *text, image_fit_mode *mode, m2m_error *err);

#endif
