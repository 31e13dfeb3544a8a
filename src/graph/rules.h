/* Between graph.c and the ops_*.c files: the rules that a row of ops.def names. */
#ifndef GRAPH_RULES_H
#define GRAPH_RULES_H

#include "graph/graph.h"

/* Sets n->shape and parts[] from the inputs and attributes; calls rule_fail when they don't fit. */
typedef void shape_rule(graph *g, node *n, shape *parts);
/* Given g = d loss / d n, adds nodes for d loss / d n->in[i] into gin[i]; leaves NULL where there is none. */
typedef void grad_rule(graph *g, node *n, node *dn, node **gin);

/* Written in a row whose op is never differentiated. */
#define NO_GRADIENT ((grad_rule *)0)

typedef struct op_row {
    const char *name;
    int inputs, parts;
    shape_rule *shape;
    grad_rule *grad;
    const char *meaning;
} op_row;

const op_row *op_table_row(op_id op);

/* First error wins. */
void rule_fail(graph *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The copy of n that the recomputation of its segment makes (grad.c). */
node *graph_clone(graph *g, const node *n, node *const *in);

shape_rule sh_first, sh_attr, sh_geglu, sh_geglu_grad, sh_linear, sh_linear_dx, sh_conv2d, sh_group_norm,
    sh_group_norm_grad, sh_layer_norm, sh_layer_norm_grad, sh_unit, sh_attention, sh_attention_grad, sh_concat,
    sh_slice, sh_gather_rows, sh_reshape, sh_permute, sh_resize, sh_avg_pool, sh_window, sh_timestep,
    sh_group_stats, sh_group_norm_by;
grad_rule gr_add, gr_sub, gr_mul, gr_scale, gr_silu, gr_gelu, gr_exp, gr_abs, gr_clamp, gr_geglu, gr_linear, gr_conv2d,
    gr_group_norm, gr_layer_norm, gr_unit, gr_log_softmax, gr_attention, gr_concat, gr_slice, gr_gather_rows,
    gr_reshape, gr_permute, gr_resize, gr_avg_pool, gr_sum_to, gr_broadcast_to;

#endif
