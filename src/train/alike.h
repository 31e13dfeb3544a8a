/* Which images of a data set are alike, in one way or in several: of one set, or with the same word in an array of
 * their sets' .json ("styles", "subjects": one text for each image, as m2m data compose writes them). */
#ifndef TRAIN_ALIKE_H
#define TRAIN_ALIKE_H

#include "data/set.h"
#include "models/contrast.h"

typedef struct alike {
    int ways;
    char *names[CONTRAST_HEADS];
    int32_t *labels[CONTRAST_HEADS]; /* [images of the data]: equal where alike, -1: nothing is known */
} alike;

/* words: "set,styles,subjects": "set" and names of arrays. A text's label is a 31-bit hash. Errors: M2M_EINVAL for
 * too many words, M2M_EFORMAT when no set has an array of that name and length, or for broken .json; M2M_ENOMEM.
 * On failure *a is zero. */
int alike_open(alike *a, const dataset *d, const char *words, m2m_error *err);
void alike_close(alike *a);

/* FNV-1a of n bytes, 31 bits: a label that nobody needs to look up. */
int32_t label_of(const void *data, size_t n);

#endif
