/* The VAE's graphs: encoding, decoding, training. Images and latents are [B,C,H,W] at this boundary. */
#ifndef MODELS_VAE_GRAPH_H
#define MODELS_VAE_GRAPH_H

#include "models/vae.h"

typedef struct vae_graph {
    graph *g;
    nn n;
    node *in;            /* encode: sample [B,3,H,W]; decode: latents [B,c,h,w], unscaled */
    node *out;           /* encode: moments [B,2c,h,w]; decode: sample [B,3,H,W] */
    /* training */
    node *noise;         /* input [B,c,h,w]: z = mean + std * noise (DiagonalGaussianDistribution.sample) */
    node *loss, *l1, *kl;        /* [1] */
    node **grads;        /* [paramset_count] */
} vae_graph;

typedef enum vae_part { VAE_ENCODE, VAE_DECODE } vae_part;

/* height, width of `in`. Release with vae_graph_free, also after a failure. */
int vae_graph_build(vae_graph *t, const vae_config *v, paramset *params, vae_part part, int batch, int height,
                    int width, m2m_error *err);

typedef struct vae_loss {
    float kl;            /* weight of KL: sum over a latent, mean over the batch */
    float gradient; /* weight of mean |difference of image gradients| at three scales: keeps edges sharp; 0: none */
} vae_loss;

/* loss = mean |x - decode(z)| + kl * KL(z, N(0,1)) + gradient * …; out is the reconstruction. */
int vae_train_build(vae_graph *t, const vae_config *v, paramset *params, int batch, int height, int width,
                    const vae_loss *loss, bool gradients, m2m_error *err);
void vae_graph_free(vae_graph *t);

#endif
