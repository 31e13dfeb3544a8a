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

/* ---- Pixels ---- */

/* How an image gets to 299 x 299 and into numbers. FID told by one is not comparable with FID told by another. */
#define INCEPTION_RESIZES(X)                                                                     \
    X(PYTORCH_FID, "pytorch-fid")          /* bilinear without antialias; 2 x - 1 of [0,1] */      \
    X(TORCH_FIDELITY, "torch-fidelity")    /* TensorFlow 1's bilinear; (x - 128) / 128 */          \
    X(CLEAN_FID, "clean-fid")              /* bicubic with antialias in floats; (x - 128) / 128 */

typedef enum inception_resize {
#define X(name, text) INCEPTION_##name,
    INCEPTION_RESIZES(X)
#undef X
    INCEPTION_RESIZE_COUNT
} inception_resize;

const char *inception_resize_name(inception_resize how);
/* Errors: M2M_EINVAL names what is offered. */
int inception_resize_find(inception_resize *how, const char *name, m2m_error *err);

/* pixels [3,299,299] of an image of any size, over white where it is transparent (the peers drop the alpha channel
 * instead). Errors: M2M_ENOMEM. Any thread. */
int inception_pixels(float *pixels, const m2m_image *image, inception_resize how, m2m_error *err);

#endif
