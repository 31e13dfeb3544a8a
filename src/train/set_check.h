/* Does the model use its context? Validation on held-out sets, at equal noise and timesteps: the loss with
 * the true context, and with that of another set; and sets made from held-out images, as a picture. */
#ifndef TRAIN_SET_CHECK_H
#define TRAIN_SET_CHECK_H

#include "diffusion/schedule.h"
#include "models/component.h"
#include "train/set_batch.h"
#include "train/task.h"

typedef struct set_check_source {
    const unet_model *unet;
    const vae_model *vae;
    const schedule *schedule;
    const dataset *data;
    const set_source *source;
    const vision *vision;    /* M2M-DINO; else NULL */
    int tokens;              /* L of its features */
    loader_order order;
    backend *be;
    int images;              /* N */
    int sets;                /* validation sets; as many as the data has if that is fewer */
    uint64_t seed;
    int side;                /* of the latent */
    const m2m_calls *calls;
} set_check_source;

typedef struct set_check set_check;

/* Borrows everything in *s. */
set_check *set_check_new(const set_check_source *s, m2m_error *err);
void set_check_free(set_check *c);

/* Fields: val_loss, val_loss_other over t in 0..999; ratio of both; ratio_high for t in 600..900, where what the image
 * is gets decided; ratio_1 … ratio_4: ratio_high by length of the context. */
int set_check_run(set_check *c, journal_field fields[TASK_FIELDS], int *n, m2m_error *err);
/* Rows of a set each: 4 given images, then 4 made. */
int set_check_sample(set_check *c, m2m_image *picture, m2m_error *err);

#endif
