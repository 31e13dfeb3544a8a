/* The contrastive training graphs on given batches (m2m_forward --component clip or image_encoder with gradients,
 * m2m_optimize). */
#ifndef LIB_CONTRAST_JOB_H
#define LIB_CONTRAST_JOB_H

#include "lib/job.h"
#include "models/contrast.h"

typedef enum contrast_kind { CONTRAST_CLIP, CONTRAST_ENCODER } contrast_kind;

typedef struct contrast_job {
    contrast_kind kind;
    int steps;               /* leading dimension T of the inputs; 1 where they have none */
    int batch;
    paramset *params;        /* of the model that is open */
    exec *x;
    node *loss;
    node **grads;
    node *out[2];            /* CLIP: image_embeds and text_embeds; else embeds before they are unit vectors */
    clip_model clip;
    encoder_model encoder;
    clip_train pairs;
    encoder_train alike;
    float *pixels;           /* [T,B,3,H,W] */
    int32_t *ids;            /* CLIP: input_ids [T,B,L]; else labels [T,B] */
    int length;              /* L */
    float *targets;          /* [B,B] */
} contrast_job;

/* lead: 1 if the tensors have a leading T, else 0. CLIP: pixel_values and input_ids; row i of one belongs to row i of
 * the other, as in CLIPModel(return_loss=True). The encoder: pixel_values and `labels` [B] (negative: no positives);
 * loss of the unit vectors of CLS and mean token, temperature 0.1. On failure *j must still be closed. */
int contrast_job_open(contrast_job *j, const char *dir, contrast_kind kind, const safetensors *in, backend *be,
                      int lead, m2m_error *err);
int contrast_job_run(contrast_job *j, int step, m2m_error *err);
void contrast_job_close(contrast_job *j);

#endif
