/* Task conditions (spec 6): where a camera stands, or which place an image has in its sequence. A condition is embedded
 * once per image; every set-attention layer adds a projection of that to the residual stream (models/cross.h), and
 * M2M-DINO adds another embedding to the features. */
#ifndef MODELS_CONDITION_H
#define MODELS_CONDITION_H

#include "nn/layers.h"

typedef enum set_condition { CONDITION_NONE, CONDITION_CAMERA, CONDITION_POSITION } set_condition;

enum { CONDITION_NUMBERS = 12 };       /* the most of any kind */

/* Numbers per image: 12 (the 3x4 world-to-camera extrinsic, row-major), 1 (an index), or 0. */
int condition_numbers(set_condition kind);
const char *condition_name(set_condition kind);        /* "none", "camera", "position" */

/* Inputs of a graph for `rows` images. */
typedef struct condition_inputs {
    set_condition kind;
    node *values;        /* [rows, numbers]; NULL: no condition */
    node *present;       /* [rows, 1]: 1, or 0 where it is dropped or absent: its embedding is then zero */
} condition_inputs;

condition_inputs condition_declare(graph *g, set_condition kind, int64_t rows, int64_t present_rows);

/* The embedder `name`: [present rows, out]; one row of values serves several of `present`. */
node *condition_embed(nn *n, const char *name, const condition_inputs *in, int64_t hidden, int64_t out);

#endif
