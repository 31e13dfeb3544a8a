/* Golden files of this folder's tests; whatever is missing fails the test that asks for it. */
#ifndef TESTS_DIFFUSION_GOLDEN_H
#define TESTS_DIFFUSION_GOLDEN_H

#include "diffusion/schedule.h"
#include "tensor/safetensors.h"

/* tests/golden/NAME; to be closed. */
safetensors *golden_open(const char *name);
cJSON *golden_json(const char *name);
/* A float32 tensor of count values (borrowed); count 0: any. */
const float *golden_floats(const safetensors *f, const char *name, int64_t count);
const int64_t *golden_ints(const safetensors *f, const char *name, int64_t count);
/* The schedule of a config of golden/sampler/cases.json; to be freed. */
schedule golden_schedule(const cJSON *cases, const char *config);

#endif
