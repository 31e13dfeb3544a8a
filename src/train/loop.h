/* The training loop: steps, accumulation, EMA, checkpoints, validation, samples, logs. Files in the output directory:
 *
 *   config.json                what was asked for, all keys
 *   log.jsonl, events.out.*    figures over steps; loss.png their curves
 *   checkpoint.safetensors     everything to go on from, replaced whole
 *   model/                     a model directory with the averaged weights
 *   samples/step-N.png         what the averaged weights make */
#ifndef TRAIN_LOOP_H
#define TRAIN_LOOP_H

#include "train/task.h"

/* resume: go on from the checkpoint. A run that was stopped and resumed ends in the same bits as one that was not. */
int train_loop(task *t, const m2m_train_options *o, backend *be, int resume, const m2m_calls *calls, m2m_error *err);

#endif
