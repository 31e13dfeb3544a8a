/* A model that looks at images, by name, so that scores need not know which: 8-bit images in, features out.
 *
 *     "inception"   Inception-v3 (models/inception.h): pool3 and logits
 *     "clip"        CLIPModel: image_embeds, and text_embeds of captions; unit vectors
 *     "dino"        Dinov2Model: pooler_output (the class token)
 *
 * An extractor belongs to one thread, but for extractor_see. */
#ifndef LIB_EXTRACTOR_H
#define LIB_EXTRACTOR_H

#include "base/sha256.h"
#include "graph/backend.h"
#include "m2m.h"

#include <stdbool.h>

typedef struct extractor extractor;

/* Borrows be. dir: the model's folder; clip and dino need its preprocessor_config.json. Errors: those of the model;
 * M2M_EINVAL for an unknown kind. */
int extractor_open(extractor **x, const char *kind, const char *dir, backend *be, m2m_error *err);
void extractor_close(extractor **x);

/* Images that go through the model at a time, 1..1024, before the first one does: memory and speed. */
void extractor_batch(extractor *x, int n);

int extractor_dim(const extractor *x);               /* D */
int extractor_classes(const extractor *x);           /* C; 0: it has no logits */
const char *extractor_name(const extractor *x);      /* its folder's: "clip" of "models/clip/" */
const char *extractor_sha256(const extractor *x);    /* of its weights (weights_identity) */
/* Everything that decides what it makes of an image or a text, as a SHA-256: all weights, configuration, preprocessor,
 * tokenizer, the way of resizing. Features that are kept belong to it. */
void extractor_id(const extractor *x, char id[SHA256_HEX]);
/* What scores on its features are called: as `inception` says on Inception's alone, else "OTHER (kind name)". */
void extractor_label(const extractor *x, const char *inception, const char *other, char *label, size_t size);
const char *extractor_frechet_key(const extractor *x);       /* likewise in JSON: "fid" or "frechet_distance" */
/* Has it a text tower and a tokenizer beside it? */
bool extractor_has_text(const extractor *x);

/* How Inception's images get to 299 x 299 (models/inception.h); "pytorch-fid" unless this is called. Others see images
 * as their preprocessor says, and take no heed. Errors: M2M_EINVAL for an unknown name. */
int extractor_resize(extractor *x, const char *name, m2m_error *err);
const char *extractor_resize_name(const extractor *x);       /* for reports */

/* The same in two steps, so that threads can do the first ahead: an image of any size becomes `extractor_pixels` floats
 * (any thread, when the way of resizing has been set), and those of n images [n,extractor_pixels] features. */
size_t extractor_pixels(const extractor *x);
int extractor_see(const extractor *x, const m2m_image *image, float *pixels, m2m_error *err);
int extractor_run(extractor *x, const float *pixels, int n, float *features, float *logits, m2m_error *err);

/* features [n,D], logits [n,C] (NULL: not wanted; without fc.bias) of n images of any sizes. */
int extractor_images(extractor *x, const m2m_image *images, int n, float *features, float *logits, m2m_error *err);
/* out [D] of a text in UTF-8, cut to the tokens that the tower takes. */
int extractor_text(extractor *x, const char *text, float *out, m2m_error *err);

#endif
