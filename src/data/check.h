/* Reads every record of a data set and says what is in it and what is wrong with it (`m2m data check`). */
#ifndef DATA_CHECK_H
#define DATA_CHECK_H

#include "m2m_train.h"

/* paths as in dataset_open, but a damaged shard or folder is listed and the others are read. Listed are: images that
 * can't be decoded, sets left with fewer than two, keys that occur twice, .json members that are no JSON. calls (may
 * be NULL) get a line for each (the first twenty) and a summary; `report` (may be NULL) gets all as JSON. Errors:
 * M2M_EFORMAT when no set of two images is left, M2M_EIO, M2M_ENOMEM, M2M_ECANCELLED. */
int data_check(const char *paths, const char *report, const m2m_calls *calls, m2m_error *err);

#endif
