/* The Inception-v3 that FID and the inception score are told by: pytorch-fid's fid_inception_v3 (its
 * pt_inception-2015-12-05 weights), which is torchvision's Inception3 with average pools that do not count padding and
 * a maximum pool in Mixed_7c.
 *
 * Weights: a folder with model.safetensors (or its sub-folder inception) that holds the state_dict under its own names,
 * as tools/convert_inception.py writes it. Batch norms are folded into the convolutions when they are opened. */
#ifndef MODELS_INCEPTION_H
#define MODELS_INCEPTION_H

#include "graph/exec.h"
#include "nn/layers.h"

enum { INCEPTION_SIDE = 299, INCEPTION_LEAST = 75, INCEPTION_FEATURES = 2048 };

typedef struct inception_model {
    paramset *params;        /* X.conv.weight and X.conv.bias with X.bn folded in, fc */
    int classes;             /* 1008 */
} inception_model;

/* Every tensor is accounted for; num_batches_tracked and AuxLogits, which have no say here, are passed over. On failure
 * *m is zero. Errors: as weights_open's; M2M_ESHAPE names the tensor. */
int inception_open(inception_model *m, const char *dir, m2m_error *err);
void inception_close(inception_model *m);

typedef struct inception_graph {
    graph *g;
    nn n;
    node *pixels;            /* input [B,3,H,W] in [-1,1], 299 x 299 as the peers use it, 75 x 75 or more */
    node *features;          /* [B,2048]: pool3 */
    node *logits;            /* [B,classes] */
    node *logits_unbiased;   /* without fc.bias: what torch-fidelity's inception score takes */
} inception_graph;

/* Builds into *t (to be released with inception_graph_free also after a failure). */
int inception_graph_build(inception_graph *t, const inception_model *m, int batch, int height, int width,
                          m2m_error *err);
void inception_graph_free(inception_graph *t);

#endif
