/* Files by name, wherever their owner's layout has them: in folders, or as members of plain tars that lie beside
 * (archives of a layout, cut into pieces). */
#ifndef DATA_STORE_H
#define DATA_STORE_H

#include "data/problems.h"

typedef struct store store;

typedef struct blob {
    const uint8_t *data;
    size_t size;
    char *owned;               /* to be freed; NULL: data is borrowed */
} blob;

enum { STORE_NAME = 1024 };                /* most bytes of a name */
#define STORE_BYTES ((size_t)1 << 28)      /* most bytes of a file */

/* dir: the folder; its *.tar are indexed, damaged ones go to *p. folders: names below it under which a file is looked
 * for, "" the folder itself, NULL at the end; copied. Errors: M2M_EIO, M2M_ENOMEM. */
int store_open(store **s, const char *dir, const char *const *folders, problems *p, m2m_error *err);
void store_close(store **s);
int store_tars(const store *s);

/* An open store is immutable: any thread. Names with "..", absolute ones and such that are no plain text are no
 * names. */
bool store_is_name(const char *name);
bool store_has(const store *s, const char *name);
/* Errors begin with the name: M2M_EFORMAT for what is no name or too large, M2M_EIO when it is in none of the places
 * or can't be read. */
int store_read(const store *s, const char *name, blob *b, m2m_error *err);
void blob_free(blob *b);

#endif
