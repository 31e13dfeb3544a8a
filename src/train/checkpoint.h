/* Everything that a run needs to go on as if it had never stopped, in one safetensors file: param.*, ema.*, exp_avg.*,
 * exp_avg_sq.* and counters as metadata. Random numbers and the order of the data are functions of (seed, step), so the
 * step is their whole state. Written beside and renamed: the last good one survives any crash. */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include "train/optimizer.h"

typedef struct checkpoint_state {
    int64_t step;            /* optimizer steps asked for so far, skipped ones included */
    int64_t updates, skipped;
    uint64_t fingerprint;    /* of what must not change between runs: model, data, seed, batch */
    double seconds;          /* spent training so far */
} checkpoint_state;

int checkpoint_save(const char *path, const paramset *params, const optimizer *o, const checkpoint_state *s,
                    m2m_error *err);
/* Fills parameters (which own their data) and optimizer. Errors: M2M_ESHAPE for a tensor that is missing or misshapen,
 * M2M_EFORMAT for absent counters, M2M_EINVAL when the fingerprint differs; the state is then half filled and
 * unusable. */
int checkpoint_load(const char *path, paramset *params, optimizer *o, uint64_t fingerprint, checkpoint_state *s,
                    m2m_error *err);

#endif
