/* Token ids to the states that a text-to-image U-Net attends to. */
#ifndef MODELS_TEXT_STATES_H
#define MODELS_TEXT_STATES_H

#include "models/component.h"

typedef struct text_states text_states;

/* At one batch and length. Borrows the model and the backend. NULL with *err on failure. */
text_states *text_states_new(const text_model *m, backend *be, int batch, int length, m2m_error *err);
void text_states_free(text_states *t);
size_t text_states_bytes(const text_states *t);

/* ids [batch, length] -> out [batch, length, D]. */
int text_states_run(text_states *t, const int32_t *ids, float *out, m2m_error *err);

#endif
