/* Contrastive training of CLIPModel (images against their texts) and of a Dinov2Model (images against images that are
 * alike): graphs with a loss and the gradients of all parameters.
 *
 * Who belongs together is given as `targets` [B,B], weights that sum to 1 over the whole matrix: the loss of one
 * direction is the cross entropy -sum(targets * log_softmax(similarities)). One row may have several positives (equal
 * captions, images of one subject; Khosla et al. 2020, L_out) or none; with 1/B on the diagonal it is CLIP's. */
#ifndef MODELS_CONTRAST_H
#define MODELS_CONTRAST_H

#include "models/clip.h"
#include "models/dinov2.h"

typedef struct clip_train {
    clip_graph towers;       /* its pixels [B,3,S,S] are an input of this graph, too */
    node *ids, *lens, *ends; /* inputs, i32: [B,L], [B*L] (clip_text_lens), [B]: each text's end token as b*L + l */
    node *targets;           /* input [B,B]: text by image; symmetric where equal captions are positives */
    node *images, *texts;    /* unit vectors [B,P] */
    node *loss;              /* [1]: mean of both directions, as transformers' clip_loss */
    node **grads;            /* [paramset_count] */
} clip_train;

/* Builds into *t (released with clip_train_free also after a failure). Errors: M2M_ESHAPE. */
int clip_train_build(clip_train *t, const clip_config *c, paramset *params, int batch, int length, bool gradients,
                     m2m_error *err);
void clip_train_free(clip_train *t);
/* Writes ids [B,L] and what follows from them. Errors: M2M_EINVAL for an id outside the vocabulary. */
int clip_train_write_ids(const clip_train *t, const clip_text_config *c, exec *x, const int32_t *ids, m2m_error *err);

enum { CONTRAST_HEADS = 4 };

typedef struct contrast_shape {
    int batch, height, width;
    int heads;               /* ways to be alike, each with a projection head of its own; 0: one, without a head */
    int projection;          /* width of a head's output */
    float temperature;       /* similarities are divided by it */
} contrast_shape;

/* Head h is the parameters contrast.h.linear_1 and linear_2: 2D -> 2D, GELU, -> projection. They are no part of
 * Dinov2Model. */
#define CONTRAST_HEAD_PREFIX "contrast."

typedef struct encoder_train {
    dinov2_graph tower;
    int ways;                          /* 1, or the number of heads */
    node *others;                      /* input [B,B]: 0, on the diagonal -1e9: no image is compared with itself */
    node *targets[CONTRAST_HEADS];     /* inputs [B,B] */
    node *embeds;                      /* [B,2D]: CLS and the mean of all other tokens, before the heads */
    node *losses[CONTRAST_HEADS];      /* [1] */
    node *loss;                        /* [1]: their mean */
    node **grads;
} encoder_train;

int encoder_train_build(encoder_train *t, const dinov2_config *d, paramset *params, const contrast_shape *s,
                        bool gradients, m2m_error *err);
void encoder_train_free(encoder_train *t);
/* Writes what depends on no batch. Once is enough. */
int encoder_train_write(const encoder_train *t, exec *x, m2m_error *err);

/* targets [n,n] of labels [n]: rows of equal labels are positives of each other, those of a row sharing 1/m, where m
 * rows have any. Negative labels have no positives. self: a row is a positive of itself (texts against images). */
void contrast_targets(const int32_t *labels, int n, bool self, float *targets);

#endif
