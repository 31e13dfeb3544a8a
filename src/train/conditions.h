/* The task conditions of every image of a data set: cameras from the files beside the images, or places in the
 * sequence. Images whose camera can't be read are counted and listed, and are never used with zeros in its place. */
#ifndef TRAIN_CONDITIONS_H
#define TRAIN_CONDITIONS_H

#include "data/set.h"
#include "m2m_train.h"
#include "models/condition.h"

typedef struct conditions {
    int numbers;             /* of an image; 0: no condition, and the rest is NULL */
    float *values;           /* [images, numbers] */
    bool *good;              /* [images] */
} conditions;

/* Errors: M2M_EFORMAT when no image has a camera; M2M_ENOMEM. */
int conditions_open(conditions *c, const dataset *d, set_condition kind, const m2m_calls *calls, m2m_error *err);
void conditions_close(conditions *c);

#endif
