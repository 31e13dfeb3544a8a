/* What is known of every image of a data set before training begins: its latent, and of M2M its features and its task
 * condition. */
#ifndef TRAIN_SET_SOURCE_H
#define TRAIN_SET_SOURCE_H

#include "data/loader.h"
#include "train/conditions.h"
#include "train/latents.h"

typedef struct set_source {
    latents latents;
    latents features;        /* M2M-DINO; else zero */
    conditions conditions;   /* numbers 0: none */
} set_source;

typedef struct set_source_plan {
    const char *output;      /* latents in its folder latents/ */
    const char *what;        /* "train" or "val": latents in WHAT.safetensors, features in WHAT_features.safetensors */
    const dataset *data;
    const dataset_view *view;
    const vae_model *vae;
    const vision *vision;    /* M2M-DINO; else NULL */
    set_condition condition;
    bool stored, flips;      /* the sets' own latents; mirrored images, too */
    backend *be;
    const m2m_calls *calls;
} set_source_plan;

/* Closed with set_source_close also after a failure. Errors: those of latents_open and conditions_open. */
int set_source_open(set_source *s, const set_source_plan *plan, m2m_error *err);
void set_source_close(set_source *s);
size_t set_source_bytes(const set_source *s);

/* Number over all sets of an image that is known in full: this one, or the next of its set that is. Errors: M2M_EFORMAT
 * when the set has none. */
int set_source_image(const set_source *s, const dataset *d, loader_item it, int64_t *image, m2m_error *err);

/* How images become what is trained on: size, fit and background. */
int train_view(dataset_view *v, const m2m_train_options *o, m2m_error *err);

#endif
