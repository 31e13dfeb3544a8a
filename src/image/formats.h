/* What codec.c calls: one file per format. As codec.h says, but without orientation: *orientation tells it (1..8). */
#ifndef IMAGE_FORMATS_H
#define IMAGE_FORMATS_H

#include "m2m.h"

int png_decode(m2m_image *img, int *orientation, const uint8_t *data, size_t size, const char *name, m2m_error *err);
int png_encode(const m2m_image *img, const m2m_text *texts, int n_texts, int level, uint8_t **data, size_t *size,
               m2m_error *err);
int png_texts(const uint8_t *data, size_t size, const char *name, m2m_text **texts, int *n, m2m_error *err);

int jpeg_decode(m2m_image *img, int *orientation, const uint8_t *data, size_t size, const char *name, m2m_error *err);
/* img: three channels; quality 1..100. *data is to be freed. */
int jpeg_encode(const m2m_image *img, int quality, uint8_t **data, size_t *size, m2m_error *err);

int webp_decode(m2m_image *img, int *orientation, const uint8_t *data, size_t size, const char *name, m2m_error *err);
int webp_encode(const m2m_image *img, int quality, uint8_t **data, size_t *size, m2m_error *err);

#endif
