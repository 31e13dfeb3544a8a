/* Captions of images by their names, from a text file with a line NAME<TAB>CAPTION for each: NAME with or without an
 * image's ending. Immutable when open: any thread. */
#ifndef DATA_CAPTION_TABLE_H
#define DATA_CAPTION_TABLE_H

#include "base/error.h"

typedef struct caption_table caption_table;

/* Errors: M2M_EIO; M2M_EFORMAT names the line that has no tab, an empty caption, one that is no UTF-8, or a name that
 * occurred before; M2M_ENOMEM. */
int caption_table_open(caption_table **t, const char *path, m2m_error *err);
void caption_table_close(caption_table **t);
/* Of the image with that stem (its name without ending), or NULL. */
const char *caption_table_find(const caption_table *t, const char *stem, size_t n);

#endif
