/* TensorBoard event files: scalars and pictures over steps, each record written whole and at once.
 *
 * The format is TFRecord (length, masked CRC-32C of it, data, masked CRC-32C of that; little-
 * endian) around TensorFlow's protocol buffer `Event`, of which the few fields below are encoded by
 * hand (tensorflow/core/util/event.proto, framework/summary.proto). */
#ifndef TRAIN_TFEVENTS_H
#define TRAIN_TFEVENTS_H

#include "base/error.h"

#include <stddef.h>

typedef struct tfevents tfevents;

/* Starts a new file events.out.tfevents.SECONDS.m2m in the directory (which must exist); readers
 * take all of them together. seconds: since 1970. keep: the step that the run goes on from; readers
 * forget what earlier files say of later steps. -1: a new run, they forget all. Released with
 * tfevents_close. Errors (they name the path): M2M_EIO, M2M_ENOMEM. */
int tfevents_open(tfevents **t, const char *dir, double seconds, int64_t keep, m2m_error *err);
void tfevents_close(tfevents **t);
const char *tfevents_path(const tfevents *t);

/* Tags with slashes are grouped by their first part ("loss/train"). Errors: M2M_EIO, M2M_ENOMEM. */
int tfevents_scalar(tfevents *t, double seconds, int64_t step, const char *tag, double value, m2m_error *err);
/* An encoded picture of that size: a PNG file's bytes. */
int tfevents_image(tfevents *t, double seconds, int64_t step, const char *tag, const void *png, size_t size, int width,
                   int height, m2m_error *err);

/* CRC-32C (Castagnoli) of n bytes. For tests. */
uint32_t tfevents_crc32c(const void *data, size_t n);

#endif
