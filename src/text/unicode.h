/* What CLIP's tokenizer needs of Unicode (utf8proc has the tables). Pure functions. */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include "base/str.h"
#include "m2m.h"

/* SPACE: White_Space; LETTER: general category L*; NUMBER: N*; OTHER: the rest, marks and controls too. */
typedef enum char_class { CHAR_SPACE, CHAR_LETTER, CHAR_NUMBER, CHAR_OTHER } char_class;

char_class unicode_class(uint32_t code);

/* Appends text[0..n-1], which must be UTF-8, in NFC, each run of white space as one blank, in lower case: the
 * normalizer of transformers' CLIPTokenizer. Errors: M2M_ENOMEM. */
int unicode_normalize(str *out, const char *text, size_t n, m2m_error *err);

/* Appends one character. */
void unicode_add(str *out, uint32_t code);

#endif
