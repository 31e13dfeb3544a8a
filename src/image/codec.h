/* Image files: PNG, JPEG and WebP, told by their content when read and by the name's ending when written.
 * m2m_image_load and m2m_image_save are in m2m.h.
 *
 * Reading takes hostile files: sides and pixels are limited (image.h) before memory is taken, and what is truncated or
 * damaged is refused. EXIF orientation is applied. The result has four channels when the file has transparency, else
 * three. Errors begin with `name`. Any thread. */
#ifndef IMAGE_CODEC_H
#define IMAGE_CODEC_H

#include "m2m.h"

typedef enum image_format { IMAGE_UNKNOWN, IMAGE_PNG, IMAGE_JPEG, IMAGE_WEBP } image_format;

image_format image_sniff(const void *data, size_t size);      /* by the first bytes */
image_format image_format_of(const char *path);               /* by the ending: .png, .jpg, .jpeg, .webp */

/* *img is zero on failure. Errors: M2M_EFORMAT, M2M_EUNSUPPORTED (CMYK, animations), M2M_ENOMEM. */
int image_decode(m2m_image *img, const void *data, size_t size, const char *name, m2m_error *err);

/* level: zlib's, 0..9. Texts are UTF-8 (other bytes become U+FFFD); they are stored as tEXt where Latin-1 can express
 * them, else as iTXt; empty ones are left out. *data is to be freed. Errors: M2M_EINVAL (keyword), M2M_ENOMEM. */
int image_encode_png(const m2m_image *img, const m2m_text *texts, int n_texts, int level, uint8_t **data, size_t *size,
                     m2m_error *err);

/* JPEG and WebP at quality 95, JPEG with colours in full resolution and over white; texts go into PNG only. *data is to
 * be freed. Errors: M2M_EINVAL (format, keyword), M2M_ENOMEM. */
int image_encode(const m2m_image *img, image_format format, const m2m_text *texts, int n_texts, uint8_t **data,
                 size_t *size, m2m_error *err);

/* The texts (tEXt, zTXt, iTXt) that stand before a PNG's pixels, as UTF-8; 0 for other formats. To be released with
 * image_texts_free. Errors: M2M_EIO, M2M_EFORMAT, M2M_ENOMEM. */
int image_read_texts(const char *path, m2m_text **texts, int *n, m2m_error *err);
int image_decode_texts(const void *data, size_t size, const char *name, m2m_text **texts, int *n, m2m_error *err);
void image_texts_free(m2m_text **texts, int n);
/* The text of a keyword; NULL when there is none. */
const char *image_text_find(const m2m_text *texts, int n, const char *keyword);

#endif
