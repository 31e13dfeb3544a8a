/* Pixels in memory and in PNG, JPEG and WebP files. m2m_image and its basic functions are declared in m2m.h.
 *
 * Files may be hostile: sides and pixels are checked before memory is taken. All pixels are taken as sRGB; 16 bits a channel
 * become 8, gray becomes RGB, EXIF orientation is applied; an image has 4 channels when its file has alpha. Any thread. */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "m2m.h"

#include <stdbool.h>

enum { IMAGE_SIDE = 65535, IMAGE_PIXELS = 64000000 };
enum { IMAGE_FILE = 512 << 20 };                 /* most bytes of an image file */

typedef enum image_format { IMAGE_PNG, IMAGE_JPEG, IMAGE_WEBP } image_format;

/* Decodes a file's bytes; the format is told by content. On failure *img is zero. Errors, without a file's name: M2M_EFORMAT,
 * M2M_EUNSUPPORTED (CMYK, animation), M2M_ENOMEM. */
int image_decode(m2m_image *img, const void *data, size_t size, m2m_error *err);
/* Encodes to new memory, to be freed. quality 1..100 of JPEG and WebP (100: WebP without loss); JPEG has no alpha and gets
 * the image over white. texts go into a PNG only. Errors: M2M_EINVAL for a text that PNG can't hold, M2M_ENOMEM. */
int image_encode(const m2m_image *img, image_format format, int quality, const m2m_text *texts, int n_texts, uint8_t **data,
                 size_t *size, m2m_error *err);
/* By the ending of a name; false when it is none of .png .jpg .jpeg .webp. */
bool image_format_of(const char *name, image_format *format);

/* The texts of a PNG (tEXt, zTXt, iTXt) as UTF-8, in the file's order. *texts is to be released with image_texts_free. */
int image_texts(const void *data, size_t size, m2m_text **texts, int *n, m2m_error *err);
void image_texts_free(m2m_text **texts, int n);

/* ---- Pixels. Functions with an m2m_error make *out anew; on failure it is zero. Errors: M2M_ENOMEM, M2M_EINVAL. ---- */

int image_copy(m2m_image *out, const m2m_image *in, m2m_error *err);
/* A part; it must lie within. */
int image_crop(m2m_image *out, const m2m_image *in, int x, int y, int width, int height, m2m_error *err);
/* Lays the image over a colour, in place: 3 channels afterwards. */
void image_flatten(m2m_image *img, const uint8_t rgb[3]);
/* Turns and mirrors as EXIF orientation 1..8 says, so that it becomes 1; in place. Errors: M2M_ENOMEM (img as it was). */
int image_orient(m2m_image *img, int orientation, m2m_error *err);
void image_fill(m2m_image *img, int x, int y, int width, int height, const uint8_t rgb[3]);      /* clipped */
void image_paste(m2m_image *img, const m2m_image *from, int x, int y);      /* clipped; over what is there, by its alpha */

/* 3 channels, 0..255 -> planes dst[c][y][x] in [-1, 1], as diffusers' VaeImageProcessor; and back, clamped, rounded to
 * nearest (NaN: 0). dst and src: [3*height*width]. */
void image_to_chw(const m2m_image *img, float *dst);
int image_from_chw(m2m_image *out, const float *src, int width, int height, m2m_error *err);

#endif
