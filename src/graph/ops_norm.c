/* group_norm (with optional SiLU), layer_norm, and rows made comparable: constructors, shape rules, gradient rules. */
#include "graph/graph.h"
#include "graph/rules.h"

node *group_norm_op(graph *g, node *x, node *w, node *b, int groups, float eps, bool with_silu)
{
    attr a = {.groups = groups, .eps = eps, .silu = with_silu};
    return graph_op(g, OP_group_norm, 3, (node *[]){x, w, b}, a);
}

node *group_stats_op(graph *g, node *x, int groups)
{
    return graph_op(g, OP_group_stats, 1, (node *[]){x}, (attr){.groups = groups});
}

node *group_norm_by_op(graph *g, node *x, node *w, node *b, node *stats, int groups, bool with_silu)
{
    attr a = {.groups = groups, .silu = with_silu};
    return graph_op(g, OP_group_norm_by, 4, (node *[]){x, w, b, stats}, a);
}

node *layer_norm_op(graph *g, node *x, node *w, node *b, float eps)
{
    return graph_op(g, OP_layer_norm, 3, (node *[]){x, w, b}, (attr){.eps = eps});
}

static void affine_fits(graph *g, const node *n)
{
    int64_t c = shape_last(n->shape);
    for (int i = 1; i <= 2; i++)
        if (n->in[i]->shape.rank != 1 || n->in[i]->shape.dim[0] != c)
            rule_fail(g, "%s: weight or bias has %lld elements, x has %lld channels", op_name(n->op),
                      (long long)shape_count(n->in[i]->shape), (long long)c);
}

/* -> the shape of an image's statistics */
static shape groups_fit(graph *g, const node *n)
{
    const shape x = n->in[0]->shape;
    int64_t c = shape_last(x);
    if (x.rank < 2 || n->attr.groups < 1 || c % n->attr.groups)
        rule_fail(g, "%s: %lld channels do not divide into %d groups", op_name(n->op), (long long)c, n->attr.groups);
    return SHAPE(x.dim[0], n->attr.groups, 2);
}

void sh_group_norm(graph *g, node *n, shape *parts)
{
    n->shape = n->in[0]->shape;
    affine_fits(g, n);
    parts[0] = groups_fit(g, n);
}

void sh_group_stats(graph *g, node *n, shape *parts)
{
    (void)parts;
    n->shape = groups_fit(g, n);
}

void sh_group_norm_by(graph *g, node *n, shape *parts)
{
    (void)parts;
    n->shape = n->in[0]->shape;
    affine_fits(g, n);
    if (!shape_equal(n->in[3]->shape, groups_fit(g, n)))
        rule_fail(g, "group_norm_by: statistics of %lld numbers for %d groups of %lld images",
                  (long long)shape_count(n->in[3]->shape), n->attr.groups, (long long)n->shape.dim[0]);
}

void sh_layer_norm(graph *g, node *n, shape *parts)
{
    n->shape = n->in[0]->shape;
    affine_fits(g, n);
    parts[0] = SHAPE(shape_rows(n->shape), 2);
}

static void grad_shapes(node *n, shape *parts)
{
    n->shape = n->in[0]->shape;
    parts[0] = parts[1] = SHAPE(shape_last(n->shape));
}

void sh_group_norm_grad(graph *g, node *n, shape *parts) { (void)g, grad_shapes(n, parts); }
void sh_layer_norm_grad(graph *g, node *n, shape *parts) { (void)g, grad_shapes(n, parts); }

void gr_group_norm(graph *g, node *n, node *dn, node **gin)
{
    node *in[] = {n->in[0], n->in[1], n->in[2], graph_part(n, 0), dn};
    gin[0] = graph_op(g, OP_group_norm_grad, 5, in, n->attr);
    gin[1] = graph_part(gin[0], 0);
    gin[2] = graph_part(gin[0], 1);
}

void gr_layer_norm(graph *g, node *n, node *dn, node **gin)
{
    node *in[] = {n->in[0], n->in[1], graph_part(n, 0), dn};
    gin[0] = graph_op(g, OP_layer_norm_grad, 4, in, n->attr);
    gin[1] = graph_part(gin[0], 0);
    gin[2] = graph_part(gin[0], 1);
}

/* ---- rows ---- */

node *unit(graph *g, node *x) { return graph_op(g, OP_unit, 1, (node *[]){x}, (attr){0}); }
node *log_softmax(graph *g, node *x) { return graph_op(g, OP_log_softmax, 1, (node *[]){x}, (attr){0}); }

void sh_unit(graph *g, node *n, shape *parts)
{
    (void)g;
    n->shape = n->in[0]->shape;
    parts[0] = SHAPE(shape_rows(n->shape));
}

void gr_unit(graph *g, node *n, node *dn, node **gin)
{
    gin[0] = graph_op(g, OP_unit_grad, 3, (node *[]){n, dn, graph_part(n, 0)}, (attr){0});
}

void gr_log_softmax(graph *g, node *n, node *dn, node **gin)
{
    gin[0] = graph_op(g, OP_log_softmax_grad, 2, (node *[]){n, dn}, (attr){0});
}
