/* What attn2 of a transformer block attends to. The U-Net is described once; this says which of the uses it is for:
 * text cross-attention, or image-set attention (spec 4) in training, while encoding clean images, or while sampling
 * from their cached keys and values. */
#ifndef MODELS_CROSS_H
#define MODELS_CROSS_H

#include "nn/layers.h"

enum { MAX_CROSS_LAYERS = 64, MAX_CROSS_SIZES = 16, MAX_BRANCHES = 3 };

typedef enum cross_kind {
    CROSS_TEXT,      /* tokens [B,T,D] */
    CROSS_SET_TRAIN, /* rows: S*N clean images (M2M-Self only), then S*M*N noisy ones (M draws); noisy (s,m,i) sees
                        clean (s,j<i) */
    CROSS_SET_CLEAN, /* rows are clean images: keys and values of every layer are collected, nothing is added */
    CROSS_SET_CACHED, /* rows are noisy images, in equal branches; each reads keys and values given as inputs */
    CROSS_TEXT_CACHED /* the same with texts: branch 0 has the inputs of all, [branches,T,C] */
} cross_kind;

/* One branch of guidance: the context that its rows share. */
typedef struct cross_branch {
    int slots;                              /* images that fit; 0: this branch attends to nothing (spec 10.3) */
    node *key[MAX_CROSS_LAYERS];            /* inputs [1, slots*L, C] per layer (a text's: see cross_kind) */
    node *value[MAX_CROSS_LAYERS];
    node *lens[MAX_CROSS_SIZES];            /* inputs [rows] i32: filled keys, one per token count */
} cross_branch;

typedef struct cross {
    cross_kind kind;
    node *tokens;
    int sets, images, draws;                /* CROSS_SET_TRAIN: S, N, M */
    int64_t feature_tokens, feature_dim;    /* M2M-DINO: L, D of an image's features; a text's T, D; 0: M2M-Self */
    node *features;                         /* M2M-DINO, TRAIN and CLEAN: [images, L, D], the condition added */
    node *embedded;                         /* [rows, E] task conditions of the rows (spec 6), or NULL: none */
    int n_branches;
    int64_t branch_rows;                    /* of each branch. Branches have x in common until they read something:
                                             * up to the first layer x has the rows of one */
    cross_branch branch[MAX_BRANCHES];
    /* filled while the graph is built */
    int layers;                             /* attn2 layers, in order of execution */
    int64_t tokens_of[MAX_CROSS_LAYERS];    /* keys per image of each */
    int64_t width_of[MAX_CROSS_LAYERS];     /* C of each */
    node *key[MAX_CROSS_LAYERS], *value[MAX_CROSS_LAYERS]; /* CROSS_SET_CLEAN: [B,L,C] */
    int sizes;                              /* distinct token counts */
    int64_t size[MAX_CROSS_SIZES];
    node *lens[MAX_CROSS_SIZES];            /* CROSS_SET_TRAIN: input [S*M*N] i32 per size */
} cross;

/* x [B,L,C] -> x + attn2(norm2(x)), parameters norm2.*, attn2.* under the current path; attn2.cond_proj of the task
 * condition is added to x before. */
node *cross_attend(nn *n, cross *c, node *x, int heads);

/* Bytes of cached keys and values per context image in float32, known once a graph is built. */
size_t cross_bytes_per_image(const cross *c);

/* CROSS_SET_TRAIN: what lens[size] must hold: for noisy (s,m,i), i images of `tokens` keys. out: [S*M*N]. */
void cross_train_lens(const cross *c, int64_t tokens, int32_t *out);

#endif
