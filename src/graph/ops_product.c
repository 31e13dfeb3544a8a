/* linear and conv2d: constructors, shape rules, gradient rules. Weights keep their checkpoint's shapes. */
#include "graph/graph.h"
#include "graph/rules.h"

#include <string.h>

node *linear_op(graph *g, node *x, node *w, node *b)
{
    return graph_op(g, OP_linear, 3, (node *[]){x, w, b}, (attr){0});
}

node *conv2d_op(graph *g, node *x, node *w, node *b, int stride, const int pad[4])
{
    attr a = {.stride = stride};
    memcpy(a.pad, pad, sizeof a.pad);
    return graph_op(g, OP_conv2d, 3, (node *[]){x, w, b}, a);
}

static void bias_fits(graph *g, const node *n, int64_t width)
{
    const node *b = n->in[2];
    if (b && (b->shape.rank != 1 || b->shape.dim[0] != width))
        rule_fail(g, "%s: bias has %lld elements, wants %lld", op_name(n->op), (long long)shape_count(b->shape),
                  (long long)width);
}

void sh_linear(graph *g, node *n, shape *parts)
{
    (void)parts;
    shape x = n->in[0]->shape, w = n->in[1]->shape;
    char a[80], b[80];
    if (w.rank != 2 || w.dim[1] != shape_last(x))
        rule_fail(g, "linear: x %s does not fit w %s", shape_text(x, a, sizeof a), shape_text(w, b, sizeof b));
    bias_fits(g, n, w.dim[0]);
    n->shape = x;
    n->shape.dim[x.rank - 1] = w.dim[0];
}

void sh_linear_dx(graph *g, node *n, shape *parts)
{
    (void)g, (void)parts;
    n->shape = n->in[0]->shape;
    n->shape.dim[n->shape.rank - 1] = n->in[1]->shape.dim[1];
}

void sh_conv2d(graph *g, node *n, shape *parts)
{
    (void)parts;
    shape x = n->in[0]->shape, w = n->in[1]->shape;
    const attr *a = &n->attr;
    char tx[80], tw[80];
    if (x.rank != 4 || w.rank != 4 || w.dim[1] != x.dim[3] || a->stride < 1) {
        rule_fail(g, "conv2d: x %s does not fit w %s", shape_text(x, tx, sizeof tx), shape_text(w, tw, sizeof tw));
        return;
    }
    bias_fits(g, n, w.dim[0]);
    int64_t h = (x.dim[1] + a->pad[0] + a->pad[1] - w.dim[2]) / a->stride + 1;
    int64_t v = (x.dim[2] + a->pad[2] + a->pad[3] - w.dim[3]) / a->stride + 1;
    if (x.dim[1] + a->pad[0] + a->pad[1] < w.dim[2] || x.dim[2] + a->pad[2] + a->pad[3] < w.dim[3])
        rule_fail(g, "conv2d: x %s is smaller than the kernel %s", shape_text(x, tx, sizeof tx),
                  shape_text(w, tw, sizeof tw));
    n->shape = SHAPE(x.dim[0], h, v, w.dim[0]);
}

void gr_linear(graph *g, node *n, node *dn, node **gin)
{
    gin[0] = graph_op(g, OP_linear_dx, 2, (node *[]){dn, n->in[1]}, (attr){0});
    gin[1] = graph_op(g, OP_linear_dw, 2, (node *[]){dn, n->in[0]}, (attr){.shape = n->in[1]->shape});
    if (n->in[2]) gin[2] = sum_to(g, dn, n->in[2]->shape);
}

void gr_conv2d(graph *g, node *n, node *dn, node **gin)
{
    attr a = n->attr;
    a.shape = n->in[0]->shape;
    gin[0] = graph_op(g, OP_conv2d_dx, 2, (node *[]){dn, n->in[1]}, a);
    a.shape = n->in[1]->shape;
    gin[1] = graph_op(g, OP_conv2d_dw, 2, (node *[]){dn, n->in[0]}, a);
    if (n->in[2]) gin[2] = sum_to(g, dn, n->in[2]->shape);
}
