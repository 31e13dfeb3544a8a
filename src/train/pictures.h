/* What contrastive training looks at: batches of training or validation images, varied (training) and normalized as the
 * model's own preprocessing has it. */
#ifndef TRAIN_PICTURES_H
#define TRAIN_PICTURES_H

#include "eval/scores.h"
#include "models/processor.h"
#include "train/stream.h"
#include "train/timesteps.h"
#include "train/vary.h"

/* Must not be moved while it is open. */
typedef struct pictures {
    stream train, val; /* val.data NULL: none */
    dataset_view view;
    variation variation;
    draw_plan plan;
    int rows, size;
    float scale[3], shift[3]; /* pixel_values = scale * (x in -1..1) + shift */
    float *shown;             /* [rows,3,size,size] of the batch read last, in -1..1 */
    float *values;            /* [rows,3,size,size]: pixel_values */
    float *draws;
    const loader_item *items; /* [rows]: which images they are */
} pictures;

/* dir: of the model, for its preprocessor_config.json. images: of a set. Closed also after a failure. */
int pictures_open(
    pictures *p, const m2m_train_options *o, const char *dir, int images, const m2m_calls *calls, m2m_error *err);
void pictures_close(pictures *p);
size_t pictures_bytes(const pictures *p);
/* validate: of the validation data (of the training data where there are none), not varied. */
int pictures_read(pictures *p, bool validate, int64_t batch, m2m_error *err);
const dataset *pictures_data(const pictures *p, bool validate);
/* A sheet of the batch's shown images, a row for each of up to 8 of them, every `step`-th: the image, then the seven
 * whose rows of `found` [rows,width] are nearest to its row of `asking` (by cosine); itself among them only if
 * `itself`. */
int pictures_nearest(
    const pictures *p, rows asking, rows found, int step, bool itself, m2m_image *sheet, m2m_error *err);

#endif
