/* Ops that move or resample data: constructors, shape rules, gradient rules. */
#include "graph/graph.h"
#include "graph/rules.h"

#include <string.h>

static int axis_of(const node *x, int axis) { return axis < 0 ? axis + x->shape.rank : axis; }

node *concat(graph *g, node *a, node *b, int axis)
{
    return graph_op(g, OP_concat, 2, (node *[]){a, b}, (attr){.axis = axis_of(a, axis)});
}

node *slice(graph *g, node *x, int axis, int64_t start, int64_t count)
{
    axis = axis_of(x, axis);
    if (start == 0 && count == x->shape.dim[axis]) return x;
    return graph_op(g, OP_slice, 1, (node *[]){x}, (attr){.axis = axis, .start = start, .count = count});
}

node *repeat_rows(graph *g, node *x, int64_t rows)
{
    const int64_t own = x->shape.dim[0];
    check(own > 0 && rows % own == 0, "%lld rows of %lld", (long long)rows, (long long)own);
    node *all = x;
    for (int64_t have = own; have < rows; have += own) all = concat(g, all, x, 0);
    return all;
}

node *gather_rows(graph *g, node *table, node *ids)
{
    return graph_op(g, OP_gather_rows, 2, (node *[]){table, ids}, (attr){0});
}

node *reshape(graph *g, node *x, shape s)
{
    return shape_equal(x->shape, s) ? x : graph_op(g, OP_reshape, 1, (node *[]){x}, (attr){.shape = s});
}

node *permute(graph *g, node *x, const int *perm)
{
    attr a = {0};
    memcpy(a.perm, perm, (size_t)x->shape.rank * sizeof *perm);
    return graph_op(g, OP_permute, 1, (node *[]){x}, a);
}

node *to_channels_last(graph *g, node *x) { return permute(g, x, (int[MAX_RANK]){0, 2, 3, 1}); }
node *to_channels_first(graph *g, node *x) { return permute(g, x, (int[MAX_RANK]){0, 3, 1, 2}); }

static node *resample(graph *g, op_id op, node *x, int stride, shape s)
{
    return graph_op(g, op, 1, (node *[]){x}, (attr){.stride = stride, .shape = s});
}

node *resize_nearest(graph *g, node *x, int64_t h, int64_t w)
{
    return resample(g, OP_resize_nearest, x, 0, SHAPE(x->shape.dim[0], h, w, x->shape.dim[3]));
}

node *avg_pool(graph *g, node *x, int k) { return resample(g, OP_avg_pool, x, k, (shape){0}); }

/* ---- shapes ---- */

static node *window_op(graph *g, op_id op, node *x, int k, int stride, int pad)
{
    return graph_op(g, op, 1, (node *[]){x}, (attr){.dim = k, .stride = stride, .pad = {pad, pad, pad, pad}});
}

node *window_max(graph *g, node *x, int k, int stride, int pad)
{
    return window_op(g, OP_window_max, x, k, stride, pad);
}

node *window_mean(graph *g, node *x, int k, int stride, int pad)
{
    return window_op(g, OP_window_mean, x, k, stride, pad);
}

void sh_concat(graph *g, node *n, shape *parts)
{
    (void)parts;
    shape a = n->in[0]->shape, b = n->in[1]->shape;
    char ta[80], tb[80];
    int axis = n->attr.axis;
    bool fits = a.rank == b.rank && axis >= 0 && axis < a.rank;
    for (int i = 0; fits && i < a.rank; i++) fits = i == axis || a.dim[i] == b.dim[i];
    if (!fits)
        rule_fail(g, "concat: %s and %s differ outside axis %d", shape_text(a, ta, sizeof ta),
                  shape_text(b, tb, sizeof tb), axis);
    n->shape = a;
    if (fits) n->shape.dim[axis] += b.dim[axis];
}

void sh_slice(graph *g, node *n, shape *parts)
{
    (void)parts;
    const attr *a = &n->attr;
    n->shape = n->in[0]->shape;
    int64_t have = n->shape.dim[a->axis];
    if (a->axis < 0 || a->axis >= n->shape.rank || a->start < 0 || a->count < 1 || a->start > have - a->count)
        rule_fail(g, "slice: %lld from %lld of %lld", (long long)a->count, (long long)a->start, (long long)have);
    n->shape.dim[a->axis] = a->count;
}

void sh_reshape(graph *g, node *n, shape *parts)
{
    (void)parts;
    char a[80], b[80];
    n->shape = n->attr.shape;
    if (shape_count(n->shape) != shape_count(n->in[0]->shape))
        rule_fail(g, "reshape: %s has another size than %s", shape_text(n->in[0]->shape, a, sizeof a),
                  shape_text(n->shape, b, sizeof b));
}

void sh_permute(graph *g, node *n, shape *parts)
{
    (void)parts;
    shape x = n->in[0]->shape;
    n->shape = x;
    for (int i = 0; i < x.rank; i++) {
        int p = n->attr.perm[i];
        if (p < 0 || p >= x.rank) rule_fail(g, "permute: axis %d of rank %d", p, x.rank);
        else n->shape.dim[i] = x.dim[p];
    }
}

void sh_gather_rows(graph *g, node *n, shape *parts)
{
    (void)parts;
    shape table = n->in[0]->shape, ids = n->in[1]->shape;
    char a[80], b[80];
    if (table.rank != 2 || n->in[1]->type != DT_I32 || ids.rank >= MAX_RANK) {
        rule_fail(g, "gather_rows: %s by ids %s, wanted a table [V,D] and i32 ids", shape_text(table, a, sizeof a),
            shape_text(ids, b, sizeof b));
        return;
    }
    n->shape = ids;
    n->shape.dim[n->shape.rank++] = table.dim[1];
}

void sh_resize(graph *g, node *n, shape *parts)
{
    (void)parts;
    shape x = n->in[0]->shape;
    n->shape = n->attr.shape;
    if (x.rank != 4 || n->shape.dim[1] < 1 || n->shape.dim[2] < 1) rule_fail(g, "resize_nearest: wants [B,H,W,C]");
}

void sh_avg_pool(graph *g, node *n, shape *parts)
{
    (void)parts;
    shape x = n->in[0]->shape;
    int k = n->attr.stride;
    if (x.rank != 4 || k < 1 || x.dim[1] % k || x.dim[2] % k) {
        rule_fail(g, "avg_pool: [B,H,W,C] with H and W divisible by %d wanted", k);
        return;
    }
    n->shape = SHAPE(x.dim[0], x.dim[1] / k, x.dim[2] / k, x.dim[3]);
}

void sh_window(graph *g, node *n, shape *parts)
{
    (void)parts;
    shape x = n->in[0]->shape;
    const attr *a = &n->attr;
    char text[80];
    const bool fits = x.rank == 4 && a->dim >= 1 && a->stride >= 1 && a->pad[0] >= 0 && a->pad[0] < a->dim;
    if (!fits || x.dim[1] + 2 * a->pad[0] < a->dim || x.dim[2] + 2 * a->pad[0] < a->dim) {
        rule_fail(g, "%s: windows of %d with %d around do not fit %s", op_name(n->op), a->dim, a->pad[0],
                  shape_text(x, text, sizeof text));
        return;
    }
    n->shape = SHAPE(x.dim[0], (x.dim[1] + 2 * a->pad[0] - a->dim) / a->stride + 1,
                     (x.dim[2] + 2 * a->pad[0] - a->dim) / a->stride + 1, x.dim[3]);
}

/* ---- gradients ---- */

void gr_concat(graph *g, node *n, node *dn, node **gin)
{
    int axis = n->attr.axis;
    int64_t first = n->in[0]->shape.dim[axis];
    gin[0] = slice(g, dn, axis, 0, first);
    gin[1] = slice(g, dn, axis, first, n->in[1]->shape.dim[axis]);
}

void gr_slice(graph *g, node *n, node *dn, node **gin)
{
    attr a = n->attr;
    a.shape = n->in[0]->shape;
    gin[0] = graph_op(g, OP_slice_grad, 1, (node *[]){dn}, a);
}

void gr_gather_rows(graph *g, node *n, node *dn, node **gin)
{
    attr a = {.shape = n->in[0]->shape};
    gin[0] = graph_op(g, OP_gather_rows_grad, 2, (node *[]){dn, n->in[1]}, a);
}

void gr_reshape(graph *g, node *n, node *dn, node **gin) { gin[0] = reshape(g, dn, n->in[0]->shape); }

void gr_permute(graph *g, node *n, node *dn, node **gin)
{
    int back[MAX_RANK] = {0};
    for (int i = 0; i < n->shape.rank; i++) back[n->attr.perm[i]] = i;
    gin[0] = permute(g, dn, back);
}

void gr_resize(graph *g, node *n, node *dn, node **gin)
{
    gin[0] = resample(g, OP_resize_nearest_grad, dn, 0, n->in[0]->shape);
}

void gr_avg_pool(graph *g, node *n, node *dn, node **gin)
{
    gin[0] = resample(g, OP_avg_pool_grad, dn, n->attr.stride, n->in[0]->shape);
}
