/* What a model directory recommends for m2m_generate. */
#ifndef LIB_DEFAULTS_H
#define LIB_DEFAULTS_H

#include "lib/model.h"

/* generation_config.json of a model directory, checked against the table of generate; *config is NULL where there is no
 * such file, else to be released with cJSON_Delete. Errors begin with the path. */
int defaults_load(cJSON **config, const char *dir, m2m_error *err);

/* The sampler that scheduler_config.json names by its class; NULL: none, or one that is not ours. Static text. */
const char *defaults_sampler(const char *dir);

#endif
