/* transformers' CLIPModel: an image tower and a text tower into one space. Any sizes its config.json gives. */
#ifndef MODELS_CLIP_H
#define MODELS_CLIP_H

#include "models/component.h"

typedef struct clip_config {
    clip_text_config text, vision;   /* of vision: width, layers, heads, hidden, eps, quick */
    int image_size, patch_size, channels;
    int projection;                  /* P: projection_dim */
} clip_config;

typedef struct clip_model {
    clip_config config;
    paramset *params;
    weights *weights;
    char *dir;
} clip_model;

/* dir: CLIPModel's folder, or a pipeline with one named clip. On failure *m is zero. */
int clip_model_open(clip_model *m, const char *dir, m2m_error *err);
/* Its configuration alone: parameters are declared and empty. */
int clip_model_declare(clip_model *m, const char *dir, m2m_error *err);
void clip_model_close(clip_model *m);

typedef struct clip_graph {
    graph *g;
    nn n;
    node *pixels;            /* input [B,3,image_size,image_size]: pixel_values; NULL in a text's graph */
    node *embedded, *lens;   /* inputs of a text's graph, as clip_text_graph's; NULL in an image's */
    node *out;               /* image's: [B,P] before it is made a unit vector; text's: states [B,L,D] */
} clip_graph;

/* Both build into *t (to be released with clip_graph_free also after a failure). Errors: M2M_ESHAPE. */
int clip_image_build(clip_graph *t, const clip_config *c, paramset *params, int batch, m2m_error *err);
int clip_texts_build(clip_graph *t, const clip_config *c, paramset *params, int batch, int length, m2m_error *err);
void clip_graph_free(clip_graph *t);

/* image_embeds [batch,P] of pixel_values [batch,3,image_size,image_size], text_embeds [batch,P] of ids [batch,length]:
 * unit vectors, as CLIPModel's forward gives them. */
int clip_images(const clip_model *m, backend *be, const float *pixels, int batch, float *out, m2m_error *err);
int clip_texts(const clip_model *m, backend *be, const int32_t *ids, int batch, int length, float *out,
               m2m_error *err);
/* The same again and again: t of m, x for t->out of it. */
int clip_images_run(const clip_model *m, const clip_graph *t, exec *x, const float *pixels, float *out, m2m_error *err);
int clip_texts_run(const clip_model *m, const clip_graph *t, exec *x, const int32_t *ids, float *out, m2m_error *err);

#endif
