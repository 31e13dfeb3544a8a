/* The builder: nodes in creation order, a sticky first error, and the op table made from ops.def. */
#include "graph/graph.h"

#include "graph/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct graph {
    node **nodes;
    int count, capacity;
    m2m_error error;
    node harmless;      /* what calls return after an error: every dimension 1 */
    int segment, segments;
};

static const op_row table[OP_COUNT] = {
    [OP_INPUT] = {"input", 0, 0, NULL, NO_GRADIENT, "data of the caller"},
    [OP_PARAM] = {"param", 0, 0, NULL, NO_GRADIENT, "a weight"},
    [OP_FILL] = {"fill", 0, 0, NULL, NO_GRADIENT, "a constant"},
    [OP_PART] = {"part", 1, 0, NULL, NO_GRADIENT, "secondary output of a node"},
#define OP(name, inputs, parts, shape, grad, meaning) [OP_##name] = {#name, inputs, parts, shape, grad, meaning},
#include "graph/ops.def"
#undef OP
};

const op_row *op_table_row(op_id op) { return &table[op]; }
const char *op_name(op_id op) { return table[op].name; }
const char *op_meaning(op_id op) { return table[op].meaning; }
int op_inputs(op_id op) { return table[op].inputs; }
int op_parts(op_id op) { return table[op].parts; }
bool op_has_gradient(op_id op) { return table[op].grad != NO_GRADIENT; }

graph *graph_new(void)
{
    graph *g = calloc(1, sizeof *g);
    if (!g) return NULL;
    g->harmless.op = OP_FILL;
    g->harmless.type = DT_F32;
    g->harmless.shape = SHAPE(1, 1, 1, 1, 1, 1);
    for (int i = 0; i < MAX_PARTS; i++) g->harmless.part[i] = &g->harmless;
    return g;
}

void graph_free(graph *g)
{
    if (!g) return;
    for (int i = 0; i < g->count; i++) {
        free((char *)g->nodes[i]->name);
        free(g->nodes[i]);
    }
    free(g->nodes);
    free(g);
}

int graph_error(const graph *g, m2m_error *err)
{
    if (g->error.code && err) *err = g->error;
    return g->error.code;
}

int graph_size(const graph *g) { return g->count; }
node *graph_node(const graph *g, int id) { return g->nodes[id]; }

void rule_fail(graph *g, const char *fmt, ...)
{
    if (g->error.code) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(g->error.msg, sizeof g->error.msg, fmt, ap);
    va_end(ap);
    g->error.code = M2M_ESHAPE;
}

static node *out_of_memory(graph *g)
{
    if (!g->error.code) fail(&g->error, M2M_ENOMEM, "out of memory after %d graph nodes", g->count);
    return &g->harmless;
}

static node *node_new(graph *g, op_id op, shape s)
{
    if (g->error.code) return &g->harmless;
    if (g->count == g->capacity) {
        int capacity = g->capacity ? 2 * g->capacity : 256;
        node **nodes = realloc(g->nodes, (size_t)capacity * sizeof *nodes);
        if (!nodes) return out_of_memory(g);
        g->nodes = nodes;
        g->capacity = capacity;
    }
    node *n = calloc(1, sizeof *n);
    if (!n) return out_of_memory(g);
    n->op = op;
    n->id = g->count;
    n->type = DT_F32;
    n->shape = s;
    n->segment = g->segment;
    g->nodes[g->count++] = n;
    return n;
}

node *graph_input(graph *g, const char *name, dtype type, shape s)
{
    check(type == DT_F32 || type == DT_I32, "input %s has type %s", name, dtype_name(type));
    node *n = node_new(g, OP_INPUT, s);
    if (n == &g->harmless) return n;
    n->type = type;
    n->segment = 0;
    n->name = strdup(name);
    return n->name ? n : out_of_memory(g);
}

node *graph_param(graph *g, param *p)
{
    node *n = node_new(g, OP_PARAM, p->shape);
    if (n == &g->harmless) return n;
    n->segment = 0;
    n->param = p;
    return n;
}

node *graph_fill(graph *g, shape s, float value)
{
    node *n = node_new(g, OP_FILL, s);
    if (n == &g->harmless) return n;
    n->segment = 0;
    n->attr.alpha = value;
    return n;
}

static void make_parts(graph *g, node *n, const shape *parts)
{
    for (int k = 0; k < table[n->op].parts; k++) {
        node *p = node_new(g, OP_PART, parts[k]);
        n->part[k] = p;
        if (p == &g->harmless) continue;
        p->n_in = 1;
        p->in[0] = n;
        p->segment = n->segment;
    }
}

node *graph_op(graph *g, op_id op, int n_in, node *const *in, attr a)
{
    const op_row *row = &table[op];
    check(n_in == row->inputs, "%s takes %d inputs, got %d", row->name, row->inputs, n_in);
    check(in[0], "%s: first input is NULL", row->name);
    if (g->error.code) return &g->harmless;
    node *n = node_new(g, op, SHAPE(1));
    if (n == &g->harmless) return n;
    n->n_in = n_in;
    memcpy(n->in, in, (size_t)n_in * sizeof *in);
    n->attr = a;
    shape parts[MAX_PARTS] = {{0}};
    row->shape(g, n, parts);
    make_parts(g, n, parts);
    return g->error.code ? &g->harmless : n;
}

node *graph_clone(graph *g, const node *n, node *const *in)
{
    return graph_op(g, n->op, n->n_in, in, n->attr);
}

node *graph_part(node *n, int k)
{
    check(n->part[k], "%s has no part %d", op_name(n->op), k);
    return n->part[k];
}

void graph_segment_begin(graph *g)
{
    check(g->segment == 0, "recomputation segments do not nest");
    g->segment = ++g->segments;
}

void graph_segment_end(graph *g)
{
    g->segment = 0;
}
