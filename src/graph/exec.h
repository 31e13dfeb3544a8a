/* Plans the nodes that some outputs need into one block of backend memory (lifetimes computed) and runs them. */
#ifndef GRAPH_EXEC_H
#define GRAPH_EXEC_H

#include "graph/backend.h"
#include "graph/graph.h"

typedef struct exec exec;

/* Borrow g and be; outputs stay readable until the next run. Nothing is allocated for tensors before exec_alloc, so
 * exec_bytes can be printed or checked first. Errors: an op this backend lacks. */
exec *exec_new(graph *g, backend *be, node *const *outputs, int n, m2m_error *err);
void exec_free(exec *x);

size_t exec_bytes(const exec *x);        /* activations + scratch, one block */
size_t exec_bytes_bound(const exec *x);  /* the most that is alive at one time: no plan can need less */
int exec_alloc(exec *x, m2m_error *err);

/* Inputs are backend memory of the caller, [node shape] in the backend's floats; bound once, read at every run. */
void exec_bind(exec *x, const node *input, const void *memory);
/* An output may be written straight to the caller's backend memory instead of the plan's. Told before the plan is made,
 * with memory or NULL: then memory is given before the first run. False: this output has no memory of its own (it is a
 * view or a part of another), and stays in the plan. */
bool exec_bind_output(exec *x, const node *output, void *memory);

int exec_run(exec *x, m2m_error *err);   /* every input must be bound, every parameter filled */
/* Backend memory of an output after exec_run. */
const void *exec_output(const exec *x, const node *output);

/* Convenience for tests and small data: host floats in and out whatever the backend's float is. Inputs written this way
 * live in memory of x. */
int exec_write(exec *x, const node *input, const float *host, m2m_error *err);
int exec_write_i32(exec *x, const node *input, const int32_t *host, m2m_error *err);
void exec_read(const exec *x, const node *output, float *host);

/* Turns the timing of nodes on, from zero, or off. */
void exec_profile(exec *x, bool on);
/* Of each node since then, indexed by its id; NULL before the first exec_profile. */
typedef struct node_time { double seconds; int64_t calls; } node_time;
const node_time *exec_times(const exec *x);
const graph *exec_graph(const exec *x);
/* Multiply-adds times two of one run of n (products and attention; 0 for the rest). */
double node_flops(const node *n);
double graph_flops(const graph *g);      /* of all its nodes, needed or not */
/* The same as be computes them: less where an algorithm saves arithmetic. */
double node_work(const backend *be, const node *n);
/* Operations of tile instructions that be does for it. */
double node_tiles(const backend *be, const node *n);

#endif
