/* A run of a graph on tensors from a file: what m2m_forward and m2m_optimize share. */
#ifndef LIB_JOB_H
#define LIB_JOB_H

#include "graph/exec.h"
#include "nn/param.h"
#include "tensor/safetensors.h"

/* An input tensor as float32, of any numeric type in the file; a new buffer (free). lead: the wanted number of
 * dimensions; its shape goes to *s. Errors: M2M_ESHAPE names the file and the tensor. */
float *job_floats(const safetensors *in, const char *name, int rank, shape *s, m2m_error *err);
/* Likewise an I32 or I64 tensor; what is negative or does not fit 31 bits becomes -1. */
int32_t *job_integers(const safetensors *in, const char *name, int rank, shape *s, m2m_error *err);
bool job_has(const safetensors *in, const char *name);

/* Results collected for one safetensors file. */
typedef struct results {
    safetensors_item *items;
    int n, capacity;
    bool failed;             /* out of memory */
} results;

/* Copies count floats; name is copied too. */
void results_add(results *r, const char *prefix, const char *name, shape s, const float *data);
/* Reads an output of x. */
void results_add_output(results *r, const exec *x, const char *prefix, const char *name, const node *output, shape s);
/* "grad.<name>" for every parameter with a gradient; zeros for one that the loss does not depend on. */
void results_add_grads(results *r, const exec *x, const paramset *params, node *const *grads);
int results_save(const results *r, const char *path, m2m_error *err);
void results_free(results *r);

#endif
