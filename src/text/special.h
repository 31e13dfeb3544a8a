/* The tokens that are looked for in a text before it is split into words, and which of them start, end and fill a text:
 * read from a tokenizer's files as transformers' from_pretrained does. */
#ifndef TEXT_SPECIAL_H
#define TEXT_SPECIAL_H

#include "text/vocabulary.h"

typedef struct special {
    char *text;              /* owned */
    int32_t id;
    bool normalized;         /* looked for after normalization, itself normalized; otherwise before */
} special;

typedef struct specials {
    special *items;
    int count;
    int32_t start, end, pad, unknown;
    int64_t max_length;      /* model_max_length; 0: none is told */
} specials;

/* dir: the tokenizer's folder. Errors: M2M_EFORMAT, M2M_EUNSUPPORTED name file and token. On failure *s is still to be
 * freed. */
int specials_read(specials *s, const char *dir, const vocabulary *v, m2m_error *err);
void specials_free(specials *s);

/* The longest special token of that kind that text[0..n-1] starts with; NULL: none. */
const special *specials_match(const specials *s, bool normalized, const char *text, size_t n);

#endif
