/* From a case of cases.h to a graph and its inputs. Numbers are drawn in double and rounded to float, so that every
 * backend sees the same ones. */
#ifndef OP_HARNESS_H
#define OP_HARNESS_H

#include "cpu/cpu.h"
#include "graph/exec.h"
#include "op/cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>   /* after base/error.h: it makes fail a macro */

/* A case built: inputs as written, the node, the param that stands for input 1. */
typedef struct built {
    graph *g;
    node *n;
    node *in[MAX_INPUTS];     /* OP_INPUT or OP_PARAM; NULL where absent or computed */
    float *data[MAX_INPUTS];
    param weight;
    void *weight_data;
    uint64_t seed;
} built;

/* SplitMix64, then a sum of uniforms: normal enough. */
static inline double draw_normal(uint64_t *state)
{
    double sum = 0;
    for (int i = 0; i < 6; i++) {
        uint64_t z = *state += 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        sum += (double)((z ^ (z >> 31)) >> 11) * 0x1p-53 - 0.5;
    }
    return sum * 1.41421356;
}

static inline float *draw_values(uint64_t *seed, int64_t n, draw how)
{
    float *v = malloc((size_t)(n ? n : 1) * sizeof *v);
    assert_non_null(v);
    for (int64_t i = 0; i < n; i++) {
        const double x = draw_normal(seed);
        v[i] = (float)(how == BIG        ? 30 * x
                       : how == TINY     ? 1e-4 * x
                       : how == SHIFTED  ? 50 + x
                       : how == CONSTANT ? 1
                       : how == WHOLE    ? rint(3 * x)
                                         : x);
    }
    return v;
}

/* Weights and biases stay ordinary when the case draws its data otherwise. */
static inline draw draw_of(const op_case *c, int k)
{
    const bool elementwise = c->op < OP_linear;
    return elementwise || k == 0 || c->op == OP_attention ? c->draw : NORMAL;
}

static inline node *case_input(built *b, const op_case *c, int k)
{
    static const char *const names[MAX_INPUTS] = {"in0", "in1", "in2", "in3", "in4", "in5", "in6", "in7"};
    const shape s = c->in[k];
    b->data[k] = draw_values(&b->seed, shape_count(s), draw_of(c, k));
    if (c->op == OP_timestep_embedding)
        for (int64_t i = 0; i < shape_count(s); i++) b->data[k][i] = (float)(i * 333);
    if (k != 1 || c->weight == DT_BOOL) return b->in[k] = graph_input(b->g, names[k], DT_F32, s);
    const size_t bytes = (size_t)shape_count(s) * dtype_size(c->weight);
    b->weight_data = malloc(bytes);
    assert_non_null(b->weight_data);
    from_f32(b->weight_data, b->data[k], c->weight, shape_count(s));
    /* A version of its own: a backend knows packed weights by address and version, and addresses come back. */
    b->weight = (param){.name = "weight", .shape = s, .type = c->weight, .data = b->weight_data,
                        .version = (uint64_t)(uintptr_t)c};
    return b->in[k] = graph_param(b->g, &b->weight);
}

/* The inputs of a gradient op that a forward op makes. */
static inline void case_computed(built *b, const op_case *c, node **in)
{
    graph *g = b->g;
    const attr a = c->a;
    if (c->op == OP_group_norm_grad) in[3] = graph_part(graph_op(g, OP_group_norm, 3, in, a), 0);
    if (c->op == OP_layer_norm_grad) {
        node *norm_in[] = {in[0], in[1], graph_fill(g, c->in[1], 0)};
        in[2] = graph_part(graph_op(g, OP_layer_norm, 3, norm_in, a), 0);
    }
    if (c->op == OP_attention_grad) {
        node *attention_in[] = {in[0], in[1], in[2], in[6]};
        in[3] = graph_op(g, OP_attention, 4, attention_in, a);
        in[4] = graph_part(in[3], 0);
    }
}

/* The input that takes integers. */
static inline int ints_of(op_id op) { return op == OP_attention ? 3 : op == OP_attention_grad ? 6 : 1; }

static inline built *case_build(const op_case *c)
{
    built *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->g = graph_new();
    b->seed = 42;
    const int count = op_inputs(c->op);
    node *in[MAX_INPUTS] = {0};
    const int ints = c->ints ? ints_of(c->op) : -1;
    for (int k = 0; k < count; k++)
        if (k != ints && c->in[k].rank && c->in[k].dim[0]) in[k] = case_input(b, c, k);
    if (c->ints) {
        const shape s = c->in[ints].rank ? c->in[ints] : (shape)S(c->in[0].dim[0]);
        in[ints] = b->in[ints] = graph_input(b->g, "ints", DT_I32, s);
    }
    case_computed(b, c, in);
    b->n = graph_op(b->g, c->op, count, in, c->a);
    m2m_error err = {0};
    if (graph_error(b->g, &err)) fail_msg("%s: %s", op_name(c->op), err.msg);
    return b;
}

static inline void case_free(built *b)
{
    for (int k = 0; k < MAX_INPUTS; k++) free(b->data[k]);
    free(b->weight_data);
    graph_free(b->g);
    free(b);
}

static inline void case_write(const built *b, const op_case *c, exec *x)
{
    m2m_error err = {0};
    for (int k = 0; k < MAX_INPUTS; k++) {
        if (!b->in[k] || b->in[k]->op != OP_INPUT) continue;
        const int status = b->in[k]->type == DT_I32 ? exec_write_i32(x, b->in[k], c->ints, &err)
                                                    : exec_write(x, b->in[k], b->data[k], &err);
        if (status) fail_msg("%s: %s", op_name(c->op), err.msg);
    }
}

static inline void must(int status, const m2m_error *err)
{
    if (status) fail_msg("%s", err->msg);
}

/* "conv2d [1, 2, 3] [4]" */
static inline const char *case_text(const op_case *c, char *buf, size_t size)
{
    size_t used = (size_t)snprintf(buf, size, "%s", op_name(c->op));
    for (int k = 0; k < MAX_INPUTS && used < size; k++) {
        char t[96];
        if (!c->in[k].rank) continue;
        used += (size_t)snprintf(buf + used, size - used, " %s", shape_text(c->in[k], t, sizeof t));
    }
    return buf;
}

#endif
