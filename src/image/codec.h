/* What a file format is to the rest of src/image: one row of functions; codec.c lists them. */
#ifndef IMAGE_CODEC_H
#define IMAGE_CODEC_H

#include "image/image.h"

#include <stddef.h>

typedef struct codec {
    const char *name;
    const char *ends[3];                         /* of file names; NULL after the last */
    bool (*knows)(const uint8_t *data, size_t size);
    /* Makes *img; sets *orientation (1..8) when the file says so. Errors leave *img zero. */
    int (*decode)(m2m_image *img, int *orientation, const uint8_t *data, size_t size, m2m_error *err);
    int (*encode)(const m2m_image *img, int quality, const m2m_text *texts, int n_texts, uint8_t **data, size_t *size,
                  m2m_error *err);
} codec;

extern const codec codec_png, codec_jpeg, codec_webp;

/* m2m_image_new with the limits of image.h, for sizes that a file claims. Errors: M2M_EFORMAT, M2M_ENOMEM. */
int codec_new(m2m_image *img, int64_t width, int64_t height, int channels, m2m_error *err);
/* The orientation in EXIF data (a TIFF header, "Exif\0\0" before it or not): 1..8; 1 when it holds none. */
int exif_orientation(const uint8_t *data, size_t size);

#endif
