/* A model that looks at images, by name, so that scores need not know which: 8-bit images in, features out.
 *
 *     "inception"   Inception-v3 (models/inception.h): pool3 and logits
 *     "clip"        CLIPModel: image_embeds, and text_embeds of captions; unit vectors
 *     "dino"        Dinov2Model: pooler_output (the class token)
 *
 * An extractor belongs to one thread. */
#ifndef LIB_EXTRACTOR_H
#define LIB_EXTRACTOR_H

#include "graph/backend.h"
#include "m2m.h"

#include <stdbool.h>

typedef struct extractor extractor;

/* Borrows be. dir: the model's folder; clip and dino need its preprocessor_config.json. Errors: those of the model;
 * M2M_EINVAL for an unknown kind. */
int extractor_open(extractor **x, const char *kind, const char *dir, backend *be, m2m_error *err);
void extractor_close(extractor **x);

int extractor_dim(const extractor *x);               /* D */
int extractor_classes(const extractor *x);           /* C; 0: it has no logits */
const char *extractor_sha256(const extractor *x);    /* of its weights, of the first file if there are several */
/* Has it a text tower and a tokenizer beside it? */
bool extractor_has_text(const extractor *x);

/* features [n,D], logits [n,C] (NULL: not wanted) of n images of any sizes. Inception sees them bilinearly resized to
 * 299 x 299 in floats, as pytorch-fid does (for images no larger than that; larger ones with antialias, which it
 * lacks), the others as their preprocessor says. */
int extractor_images(extractor *x, const m2m_image *images, int n, float *features, float *logits, m2m_error *err);
/* out [D] of a text in UTF-8, cut to the tokens that the tower takes. */
int extractor_text(extractor *x, const char *text, float *out, m2m_error *err);

#endif
