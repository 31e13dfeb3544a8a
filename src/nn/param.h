/* The parameters of a model, by checkpoint path. Layers declare them while a graph is built; several graphs of one
 * model share one set. Filled by weights_load (models/), paramset_init or training. */
#ifndef NN_PARAM_H
#define NN_PARAM_H

#include "graph/graph.h"

/* How a fresh parameter is drawn: as PyTorch's modules do. */
enum { INIT_UNIFORM, INIT_ONES, INIT_ZEROS };

typedef struct paramset paramset;

paramset *paramset_new(void);
void paramset_free(paramset *s);           /* frees names and owned data; not data that belongs to a weights file */
int paramset_count(const paramset *s);
param *paramset_at(const paramset *s, int index);
param *paramset_find(const paramset *s, const char *name);   /* NULL: none */

/* Finds or makes. A second declaration with another shape is a bug. NULL: out of memory. */
param *paramset_declare(paramset *s, const char *name, shape sh, int init, int64_t fan_in);

/* Gives every parameter without data float32 data owned by the set, drawn from (seed, name): uniform in
 * +-1/sqrt(fan_in) as torch.nn.Linear and Conv2d reset theirs. The same name gets the same numbers in any order. */
int paramset_init(paramset *s, uint64_t seed, m2m_error *err);

/* Makes p own its data as float32 (training changes it); converts what a file mapped. */
int param_own_f32(param *p, m2m_error *err);

/* Makes p own new float32 data, not filled yet, and returns it; NULL: out of memory. */
float *param_new_f32(param *p, m2m_error *err);

size_t paramset_bytes(const paramset *s);  /* of all data, as stored */
int64_t paramset_elements(const paramset *s);

#endif
