/* Which way up a photograph is. Hostile bytes are fine: what makes no sense gives 1, upright. Any thread. */
#ifndef IMAGE_EXIF_H
#define IMAGE_EXIF_H

#include <stddef.h>
#include <stdint.h>

/* The orientation 1..8 in EXIF data (a TIFF header, with or without "Exif\0\0" before it). */
int exif_orientation(const uint8_t *data, size_t size);
/* The same, found in a whole JPEG or WebP file. */
int exif_of_jpeg(const uint8_t *data, size_t size);
int exif_of_webp(const uint8_t *data, size_t size);

#endif
