#ifndef APP_RECOMMENDED_H
#define APP_RECOMMENDED_H

#include "args.h"
#include "m2m.h"

/* Fills options with what the model recommends (m2m_model_defaults) and over it what was given for rows of c->table,
 * which is "generate". A recommended number of anchors is meant for the recommended window: --window without --anchors
 * has none. */
void recommended_take(const command *c, const args *a, const m2m_model *model, m2m_generate_options *options);

#endif
