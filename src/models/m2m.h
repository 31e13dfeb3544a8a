/* The graphs of M2M-Self and M2M-DINO, assembled from the one U-Net: training, encoding of clean images, and a
 * sampling step. All take and give latents as [.., C,H,W], channels first, as diffusers and safetensors files have
 * them. What the network is told of a clean image is its `context`: for M2M-Self its latent [C,H,W], for M2M-DINO its
 * features [L,D]. */
#ifndef MODELS_M2M_H
#define MODELS_M2M_H

#include "graph/exec.h"
#include "models/unet.h"

/* Else M2M_EUNSUPPORTED: the U-Net has no image-set attention. */
int wants_image_set(const unet_config *u, m2m_error *err);

/* S sets of N images, M noise draws per set and step (spec 7). */
typedef struct train_shape {
    int sets, images, draws;
    int height, width;       /* of the latent */
    int tokens;              /* M2M-DINO: L of an image's features */
    bool recompute;
} train_shape;

typedef struct train_graph {
    graph *g;
    nn n;
    cross c;
    train_shape shape;
    node *context;     /* input [S*N, C,H,W] or [S*N, L,D], already zeroed where the context is dropped */
    node *noisy;       /* input [S*M*N, C,H,W] */
    node *timesteps;   /* input: of the clean images [S*N] (M2M-Self only), then of the noisy ones [S*M*N] */
    condition_inputs condition;   /* of the images, [S*N] rows; M2M-DINO and M2M-Self alike */
    node *target;      /* input [S*M*N, C,H,W]: the noise; only if with_loss */
    node *prediction;  /* [S*M*N, C,H,W] */
    node *loss;        /* [1], or NULL */
    node **grads;      /* [paramset_count], or NULL; entries may be NULL */
} train_graph;

/* Builds into *t (owned by the caller, released with train_graph_free also after a failure). gradients implies loss. */
int train_graph_build(train_graph *t, const unet_config *u, paramset *params, const train_shape *s, bool with_loss,
                      bool gradients, m2m_error *err);
void train_graph_free(train_graph *t);

/* Fills every lens input of t (the causal mask of the set) on x, a plan of t. */
int train_graph_write_lens(const train_graph *t, exec *x, m2m_error *err);
/* times: of the clean images [S*N], then of the noisy ones [S*M*N], whatever of that t wants. */
int train_graph_write_times(const train_graph *t, exec *x, const float *times, m2m_error *err);
/* values [S*N, numbers] (NULL: all absent), present [S*N] (NULL: all are there). Does nothing if t has no condition. */
int train_graph_write_condition(const train_graph *t, exec *x, const float *values, const float *present,
                                m2m_error *err);

/* Clean timesteps [S*N] for noisy ones [S*M*N]: the integer of the configuration, or those of the noisy twins. */
void clean_timesteps(const unet_config *u, const train_shape *s, const float *noisy, float *clean);

/* Whether clean images may be noised and told so by their timestep (spec 11, context noise): M2M-Self with an integer
 * clean_timestep. Else M2M_EINVAL. */
int context_noise_fits(const unet_config *u, m2m_error *err);

/* Floats of one image's context, or of a text's states. */
int64_t context_floats(const unet_config *u, int height, int width, int tokens);

/* One clean image in, keys and values of every set-attention layer out. A plain U-Net's text takes an image's place:
 * its states [T,D] are the context. */
typedef struct clean_graph {
    graph *g;
    nn n;
    cross c;
    node *context;     /* input [1, C,H,W] or [1, L,D] */
    node *timestep;    /* input [1]; M2M-Self only */
    condition_inputs condition;
} clean_graph;

/* height, width of the latent; tokens: L of M2M-DINO's features, T of a text. */
int clean_graph_build(clean_graph *t, const unet_config *u, paramset *params, int height, int width, int tokens,
                      m2m_error *err);
void clean_graph_free(clean_graph *t);

typedef struct step_shape {
    int height, width;       /* of the latent */
    int tokens;              /* as above */
    int branches;            /* MAX_BRANCHES at most */
    int rows;                /* latents of each branch, side by side */
    int slots[MAX_BRANCHES]; /* images that fit into each branch's context; 0: none, and no attention */
    bool shallow;            /* deep.feature is an input */
} step_shape;

/* One denoising step for all guidance branches at once: the same latents and timestep, another context each; of a plain
 * U-Net, another text each, whose keys and values are those of a clean_graph. What comes before the first such layer is
 * the same in all branches and computed once. */
typedef struct step_graph {
    graph *g;
    nn n;
    cross c;           /* branches' inputs are in c.branch[] */
    node *latent;      /* input [rows, C,H,W] */
    node *timestep;    /* input [1] */
    condition_inputs condition;   /* values [1, numbers], present [branches, 1]; only with one row */
    unet_deep deep;    /* feature [branches*rows, H,W, width] */
    node *prediction;  /* [branches*rows, C,H,W] */
} step_graph;

int step_graph_build(step_graph *t, const unet_config *u, paramset *params, const step_shape *s, m2m_error *err);
void step_graph_free(step_graph *t);

/* A plain U-Net with text tokens: sample [B,C,H,W], timestep [B], tokens [B,T,D]; gradients adds mse to a target
 * input. */
typedef struct text_graph {
    graph *g;
    nn n;
    cross c;
    node *sample, *timestep, *tokens, *target;
    node *prediction, *loss;
    node **grads;
} text_graph;

enum { TEXT_GRADIENTS = 1, TEXT_RECOMPUTE = 2 /* as unet's */ };
int text_graph_build(text_graph *t, const unet_config *u, paramset *params, int batch, int height, int width,
                     int n_tokens, int flags, m2m_error *err);
void text_graph_free(text_graph *t);

#endif
