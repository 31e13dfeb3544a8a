/* The only place that chooses a backend. */
#ifndef LIB_DEVICE_H
#define LIB_DEVICE_H

#include "graph/backend.h"

/* How to compute, from any options that have these three flags. */
typedef struct device_way {
    bool exact, fast, int8;
} device_way;

#define DEVICE_WAY(o) ((device_way){(o)->exact != 0, (o)->fast != 0, (o)->int8 != 0})

/* device: "cpu" (or NULL). threads 0: as many as affinity and quota allow. NULL with *err on failure; be->close(be)
 * ends it. exact: no Winograd convolutions; fast: products of 16-bit integers, int8: of linear layers in 8 bits,
 * of the others in 16, for which the processor must have instructions; one of them at most. */
backend *device_open(const char *device, int threads, device_way way, const char *isa, m2m_error *err);

#endif
