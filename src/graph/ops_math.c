/* Elementwise ops, reductions and the timestep embedding: constructors, shape rules, gradient rules. */
#include "graph/graph.h"
#include "graph/rules.h"

static node *unary(graph *g, op_id op, node *x, attr a) { return graph_op(g, op, 1, (node *[]){x}, a); }
static node *binary(graph *g, op_id op, node *a, node *b) { return graph_op(g, op, 2, (node *[]){a, b}, (attr){0}); }

node *add(graph *g, node *a, node *b) { return binary(g, OP_add, a, b); }
node *sub(graph *g, node *a, node *b) { return binary(g, OP_sub, a, b); }
node *mul(graph *g, node *a, node *b) { return binary(g, OP_mul, a, b); }
node *scale(graph *g, node *x, float alpha, float beta)
{
    return unary(g, OP_scale, x, (attr){.alpha = alpha, .beta = beta});
}
node *silu(graph *g, node *x) { return unary(g, OP_silu, x, (attr){0}); }
node *gelu(graph *g, node *x) { return unary(g, OP_gelu, x, (attr){0}); }
node *exponential(graph *g, node *x) { return unary(g, OP_exp, x, (attr){0}); }
node *absolute(graph *g, node *x) { return unary(g, OP_abs, x, (attr){0}); }
node *clamp(graph *g, node *x, float lo, float hi) { return unary(g, OP_clamp, x, (attr){.alpha = lo, .beta = hi}); }
node *geglu(graph *g, node *x) { return unary(g, OP_geglu, x, (attr){0}); }
node *sum_to(graph *g, node *x, shape s)
{
    return shape_equal(x->shape, s) ? x : unary(g, OP_sum_to, x, (attr){.shape = s});
}
node *broadcast_to(graph *g, node *x, shape s)
{
    return shape_equal(x->shape, s) ? x : unary(g, OP_broadcast_to, x, (attr){.shape = s});
}
node *mean(graph *g, node *x)
{
    return scale(g, sum_to(g, x, SHAPE(1)), 1.0f / (float)shape_count(x->shape), 0.0f);
}
node *mse(graph *g, node *a, node *b)
{
    node *d = sub(g, a, b);
    return mean(g, mul(g, d, d));
}
node *timestep_embedding(graph *g, node *t, int dim, bool flip_sin_to_cos, float shift)
{
    return unary(g, OP_timestep_embedding, t, (attr){.dim = dim, .flip = flip_sin_to_cos, .alpha = shift});
}

/* ---- shapes ---- */

static bool broadcasts(shape from, shape to)
{
    if (from.rank > to.rank) return false;
    for (int i = 1; i <= from.rank; i++) {
        int64_t d = from.dim[from.rank - i];
        if (d != 1 && d != to.dim[to.rank - i]) return false;
    }
    return true;
}

void sh_first(graph *g, node *n, shape *parts)
{
    (void)parts;
    char a[80], b[80];
    n->shape = n->in[0]->shape;
    if (n->n_in > 1 && !broadcasts(n->in[1]->shape, n->shape))
        rule_fail(g, "%s: %s does not broadcast to %s", op_name(n->op), shape_text(n->in[1]->shape, b, sizeof b),
                  shape_text(n->shape, a, sizeof a));
}

void sh_attr(graph *g, node *n, shape *parts)
{
    (void)g, (void)parts;
    n->shape = n->attr.shape;
}

void sh_geglu(graph *g, node *n, shape *parts)
{
    (void)parts;
    n->shape = n->in[0]->shape;
    int64_t *last = &n->shape.dim[n->shape.rank - 1];
    if (*last % 2) rule_fail(g, "geglu: width %lld is odd", (long long)*last);
    *last /= 2;
}

void sh_geglu_grad(graph *g, node *n, shape *parts)
{
    (void)parts;
    n->shape = n->in[0]->shape;
    if (2 * shape_last(n->in[1]->shape) != shape_last(n->shape)) rule_fail(g, "geglu_grad: widths do not fit");
}

void sh_timestep(graph *g, node *n, shape *parts)
{
    (void)parts;
    if (n->in[0]->shape.rank != 1 || n->attr.dim < 2) rule_fail(g, "timestep_embedding: wants t [B] and a width >= 2");
    n->shape = SHAPE(n->in[0]->shape.dim[0], n->attr.dim);
}

/* ---- gradients ---- */

void gr_add(graph *g, node *n, node *dn, node **gin)
{
    gin[0] = dn;
    gin[1] = sum_to(g, dn, n->in[1]->shape);
}

void gr_sub(graph *g, node *n, node *dn, node **gin)
{
    gin[0] = dn;
    gin[1] = scale(g, sum_to(g, dn, n->in[1]->shape), -1.0f, 0.0f);
}

void gr_mul(graph *g, node *n, node *dn, node **gin)
{
    gin[0] = mul(g, dn, n->in[1]);
    gin[1] = sum_to(g, mul(g, dn, n->in[0]), n->in[1]->shape);
}

void gr_scale(graph *g, node *n, node *dn, node **gin) { gin[0] = scale(g, dn, n->attr.alpha, 0.0f); }
void gr_silu(graph *g, node *n, node *dn, node **gin) { gin[0] = binary(g, OP_silu_grad, n->in[0], dn); }
void gr_gelu(graph *g, node *n, node *dn, node **gin) { gin[0] = binary(g, OP_gelu_grad, n->in[0], dn); }
void gr_exp(graph *g, node *n, node *dn, node **gin) { gin[0] = mul(g, dn, n); }
void gr_geglu(graph *g, node *n, node *dn, node **gin) { gin[0] = binary(g, OP_geglu_grad, n->in[0], dn); }

void gr_abs(graph *g, node *n, node *dn, node **gin)
{
    gin[0] = mul(g, dn, unary(g, OP_sign, n->in[0], (attr){0}));
}

void gr_clamp(graph *g, node *n, node *dn, node **gin)
{
    gin[0] = graph_op(g, OP_clamp_grad, 2, (node *[]){n->in[0], dn}, n->attr);
}

void gr_sum_to(graph *g, node *n, node *dn, node **gin) { gin[0] = broadcast_to(g, dn, n->in[0]->shape); }
void gr_broadcast_to(graph *g, node *n, node *dn, node **gin) { gin[0] = sum_to(g, dn, n->in[0]->shape); }
