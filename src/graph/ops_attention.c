/* One attention serves self-attention, text cross-attention and image-set attention (spec 4): the set's causal mask and
 * a cache's fill level are both "query row b sees its first lens[b] keys". */
#include "graph/graph.h"
#include "graph/rules.h"

node *attention_op(graph *g, node *q, node *k, node *v, node *lens, int heads, float scaling)
{
    attr a = {.heads = heads, .alpha = scaling};
    return graph_op(g, OP_attention, 4, (node *[]){q, k, v, lens}, a);
}

void sh_attention(graph *g, node *n, shape *parts)
{
    shape q = n->in[0]->shape, k = n->in[1]->shape, v = n->in[2]->shape;
    const node *lens = n->in[3];
    char tq[80], tk[80];
    if (q.rank != 3 || k.rank != 3 || !shape_equal(k, v) || q.dim[2] != k.dim[2] || k.dim[0] < 1 ||
        q.dim[0] % k.dim[0] || n->attr.heads < 1 || q.dim[2] % n->attr.heads)
        rule_fail(g, "attention: q %s does not fit k %s with %d heads", shape_text(q, tq, sizeof tq),
                  shape_text(k, tk, sizeof tk), n->attr.heads);
    if (lens && (lens->type != DT_I32 || lens->shape.rank != 1 || lens->shape.dim[0] != q.dim[0]))
        rule_fail(g, "attention: lens wants %lld integers", (long long)q.dim[0]);
    n->shape = q;
    parts[0] = SHAPE(q.dim[0], n->attr.heads, q.dim[1]);
}

void sh_attention_grad(graph *g, node *n, shape *parts)
{
    (void)g;
    n->shape = n->in[0]->shape;
    parts[0] = n->in[1]->shape;
    parts[1] = n->in[2]->shape;
}

void gr_attention(graph *g, node *n, node *dn, node **gin)
{
    node *in[] = {n->in[0], n->in[1], n->in[2], n, graph_part(n, 0), dn, n->in[3]};
    gin[0] = graph_op(g, OP_attention_grad, 7, in, n->attr);
    gin[1] = graph_part(gin[0], 0);
    gin[2] = graph_part(gin[0], 1);
}
