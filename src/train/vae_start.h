/* Where the training of a VAE from fresh weights begins. */
#ifndef TRAIN_VAE_START_H
#define TRAIN_VAE_START_H

#include "models/vae.h"
#include "nn/param.h"

/* Turns freshly drawn parameters (PyTorch's defaults) into a nearly linear autoencoder that keeps colour and contrast:
 * docs/training.md says what each change is worth. For weights that were not loaded from a file. */
void vae_start(const vae_config *v, paramset *params);

#endif
