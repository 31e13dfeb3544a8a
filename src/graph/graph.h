/* A model is a static graph of ops, built once and run many times. From the one graph come inference, training
 * (graph_gradients adds nodes), the memory plan (exec.h) and every backend (backend.h).
 *
 * The builder is sticky: after the first error every call returns a harmless node and graph_error() tells the error
 * once. Nodes belong to the graph and are freed with it. Wrong use (a NULL input where none is allowed) is a bug:
 * check(). A graph is used by one thread. */
#ifndef GRAPH_GRAPH_H
#define GRAPH_GRAPH_H

#include "base/error.h"
#include "tensor/tensor.h"

enum { MAX_INPUTS = 8, MAX_PARTS = 2 };

typedef enum op_id {
    OP_INPUT, OP_PARAM, OP_FILL, OP_PART,   /* leaves; parts belong to the node that makes them */
#define OP(name, ...) OP_##name,
#include "graph/ops.def"
#undef OP
    OP_COUNT
} op_id;

/* A weight: declared by the layers under its checkpoint path, filled by a loader or an initializer. Data is row-major,
 * in `type`. */
typedef struct param {
    const char *name;
    shape shape;
    dtype type;
    void *data;          /* host memory; NULL until filled; owned by the store that filled it */
    bool mapped;         /* data lies in a file's map (tensor.mapped): a backend that has a copy may drop its pages */
    bool trainable;
    bool optional;       /* a file may lack it; fine-tuning then draws it */
    bool transient;      /* changes between runs: a backend keeps nothing made of it */
    bool compact;        /* a backend keeps nothing made of it that is larger than its data */
    int index;           /* position in its paramset */
    uint64_t version;    /* raised by whoever changes data: invalidates what backends packed */
    int init;            /* nn/param.h: how a fresh one is drawn */
    int64_t fan_in;
} param;

/* What an op needs to know besides its inputs; each op reads the fields its row in ops.def names. */
typedef struct attr {
    shape shape;
    int stride;
    int pad[4];          /* top, bottom, left, right */
    int groups, heads, axis, dim;
    int64_t start, count;
    int perm[MAX_RANK];
    bool silu, flip;
    float eps, alpha, beta;
} attr;

typedef struct node node;
struct node {
    op_id op;
    int id;              /* creation order, which is execution order */
    dtype type;          /* DT_F32, or DT_I32 for lens */
    shape shape;
    int n_in;
    node *in[MAX_INPUTS];  /* optional ones may be NULL */
    node *part[MAX_PARTS]; /* secondary outputs, nodes of op OP_PART */
    attr attr;
    param *param;        /* OP_PARAM */
    const char *name;    /* OP_INPUT and dumps */
    int segment;         /* recomputation segment, 0 = keep */
};

typedef struct graph graph;

graph *graph_new(void);
void graph_free(graph *g);
int graph_error(const graph *g, m2m_error *err);  /* 0, or the first error of the building */
int graph_size(const graph *g);
node *graph_node(const graph *g, int id);

/* Leaves. */
node *graph_input(graph *g, const char *name, dtype type, shape s);
node *graph_param(graph *g, param *p);
node *graph_fill(graph *g, shape s, float value);
/* Any op by table row; attr by value. The named helpers below are what models use. */
node *graph_op(graph *g, op_id op, int n_in, node *const *in, attr a);
node *graph_part(node *n, int k);

/* Nodes made between begin and end are forgotten after the forward pass and computed again when the gradient needs
 * them; what leaves the segment is kept. Segments do not nest. */
void graph_segment_begin(graph *g);
void graph_segment_end(graph *g);

/* Adds the nodes of d loss / d wrt[i] (loss: one element); out[i] is NULL where loss does not depend on wrt[i].
 * An op on the way without a gradient is an error that names it. Nodes with no use in the end cost nothing. */
int graph_gradients(graph *g, node *loss, node *const *wrt, int n, node **out, m2m_error *err);

/* The named ops: see ops.def for shapes. */
node *add(graph *g, node *a, node *b);
node *sub(graph *g, node *a, node *b);
node *mul(graph *g, node *a, node *b);
node *scale(graph *g, node *x, float alpha, float beta);
node *silu(graph *g, node *x);
node *gelu(graph *g, node *x);
node *exponential(graph *g, node *x);
node *absolute(graph *g, node *x);
node *clamp(graph *g, node *x, float lo, float hi);
node *geglu(graph *g, node *x);
node *linear_op(graph *g, node *x, node *w, node *b);
node *conv2d_op(graph *g, node *x, node *w, node *b, int stride, const int pad[4]);
node *group_norm_op(graph *g, node *x, node *w, node *b, int groups, float eps, bool with_silu);
/* In two steps, for an image that comes in parts: each part's statistics, and the norm by those of the whole. */
node *group_stats_op(graph *g, node *x, int groups);
node *group_norm_by_op(graph *g, node *x, node *w, node *b, node *stats, int groups, bool with_silu);
node *layer_norm_op(graph *g, node *x, node *w, node *b, float eps);
node *unit(graph *g, node *x); /* rows of length 1 */
node *log_softmax(graph *g, node *x);
node *attention_op(graph *g, node *q, node *k, node *v, node *lens, int heads, float scaling);
node *concat(graph *g, node *a, node *b, int axis);      /* negative axis counts from the end */
node *slice(graph *g, node *x, int axis, int64_t start, int64_t count);
node *repeat_rows(graph *g, node *x, int64_t rows);      /* x [B,...] again and again: [rows,...], a multiple of B */
/* Rows of table [V,D]; ids [...] of type i32. Whoever writes ids has checked them: 0..V-1. */
node *gather_rows(graph *g, node *table, node *ids);
node *reshape(graph *g, node *x, shape s);
node *permute(graph *g, node *x, const int *perm);
node *to_channels_last(graph *g, node *x);               /* [B,C,H,W] -> [B,H,W,C] */
node *to_channels_first(graph *g, node *x);
node *resize_nearest(graph *g, node *x, int64_t h, int64_t w);
node *avg_pool(graph *g, node *x, int k);
/* k x k windows; every one must touch x: pad < k. Only what is inside x counts. */
node *window_max(graph *g, node *x, int k, int stride, int pad);
node *window_mean(graph *g, node *x, int k, int stride, int pad);
node *sum_to(graph *g, node *x, shape s);
node *broadcast_to(graph *g, node *x, shape s);
node *mean(graph *g, node *x);                            /* -> [1] */
node *mse(graph *g, node *a, node *b);                    /* mean((a-b)^2) -> [1] */
node *timestep_embedding(graph *g, node *t, int dim, bool flip_sin_to_cos, float shift);

/* The op table's texts. */
const char *op_name(op_id op);
const char *op_meaning(op_id op);
int op_inputs(op_id op);
int op_parts(op_id op);
bool op_has_gradient(op_id op);

#endif
