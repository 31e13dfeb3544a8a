/* The only place that chooses a backend. */
#ifndef LIB_DEVICE_H
#define LIB_DEVICE_H

#include "graph/backend.h"

/* device: "cpu" (or NULL). threads 0: as many as affinity and quota allow. NULL with *err on failure; be->close(be)
 * ends it. exact: no Winograd convolutions; fast: products of 16-bit integers, for which the processor must have an
 * instruction; not both. */
backend *device_open(const char *device, int threads, bool exact, bool fast, const char *isa, m2m_error *err);

#endif
