/* Reverse-mode differentiation as a transformation of the graph: the gradient is more nodes of the same op table.
 *
 * A node of a recomputation segment is replaced, before its rule sees it, by a copy whose ancestors inside the segment
 * are copies too; so the forward values of the segment die after the forward pass, and no rule knows of it. */
#include "graph/graph.h"
#include "graph/rules.h"

#include <stdlib.h>
#include <string.h>

typedef struct gradient {
    graph *g;
    int forward;      /* nodes that existed before */
    node **d;         /* [forward] d loss / d node, summed so far */
    node **copy;      /* [forward] recomputed twin */
    bool *wanted;     /* [forward] depends on some wrt */
    bool *leaves;     /* [forward] used outside its segment, hence kept */
} gradient;

static void mark(gradient *s, node *const *wrt, int n)
{
    for (int i = 0; i < n; i++) s->wanted[wrt[i]->id] = true;
    for (int id = 0; id < s->forward; id++) {
        const node *x = graph_node(s->g, id);
        for (int i = 0; i < x->n_in; i++) {
            const node *in = x->in[i];
            if (!in) continue;
            if (s->wanted[in->id]) s->wanted[id] = true;
            if (in->segment && in->segment != x->segment) s->leaves[in->id] = true;
        }
    }
}

static node *recomputed(gradient *s, node *n)
{
    if (!n || n->segment == 0 || s->leaves[n->id]) return n;
    if (s->copy[n->id]) return s->copy[n->id];
    if (n->op == OP_PART) {
        node *whole = n->in[0], *twin = recomputed(s, whole);
        for (int k = 0; k < MAX_PARTS; k++)
            if (whole->part[k] == n) s->copy[n->id] = twin->part[k];
        return s->copy[n->id];
    }
    node *in[MAX_INPUTS] = {NULL};
    for (int i = 0; i < n->n_in; i++) in[i] = recomputed(s, n->in[i]);
    return s->copy[n->id] = graph_clone(s->g, n, in);
}

/* What the rule of n is shown: n itself, or a copy of n reading recomputed inputs. Unused copies cost nothing. */
static node *shown(gradient *s, node *n)
{
    if (n->segment == 0) return n;
    if (!s->leaves[n->id]) return recomputed(s, n);
    node *in[MAX_INPUTS] = {NULL};
    bool same = true;
    for (int i = 0; i < n->n_in; i++) {
        in[i] = recomputed(s, n->in[i]);
        same = same && in[i] == n->in[i];
    }
    return same ? n : graph_clone(s->g, n, in);
}

static int back_through(gradient *s, node *n, m2m_error *err)
{
    const op_row *row = op_table_row(n->op);
    if (row->grad == NO_GRADIENT)
        return fail(err, M2M_EUNSUPPORTED, "op %s has no gradient, but the loss depends on weights through it",
                    row->name);
    node *gin[MAX_INPUTS] = {NULL};
    row->grad(s->g, shown(s, n), s->d[n->id], gin);
    for (int i = 0; i < n->n_in; i++) {
        node *in = n->in[i];
        if (!in || !gin[i] || !s->wanted[in->id]) continue;
        check(graph_error(s->g, NULL) || shape_equal(gin[i]->shape, in->shape), "gradient of %s, input %d: wrong shape",
              row->name, i);
        s->d[in->id] = s->d[in->id] ? add(s->g, s->d[in->id], gin[i]) : gin[i];
    }
    return graph_error(s->g, err);
}

int graph_gradients(graph *g, node *loss, node *const *wrt, int n, node **out, m2m_error *err)
{
    int status = graph_error(g, err);
    if (status) return status;
    check(shape_count(loss->shape) == 1, "the loss has %lld elements", (long long)shape_count(loss->shape));
    gradient s = {.g = g, .forward = graph_size(g)};
    size_t count = (size_t)s.forward;
    s.d = calloc(count, sizeof *s.d);
    s.copy = calloc(count, sizeof *s.copy);
    s.wanted = calloc(count, sizeof *s.wanted);
    s.leaves = calloc(count, sizeof *s.leaves);
    if (!s.d || !s.copy || !s.wanted || !s.leaves) {
        status = fail(err, M2M_ENOMEM, "no memory for the gradient of %d nodes", s.forward);
        goto done;
    }
    mark(&s, wrt, n);
    s.d[loss->id] = graph_fill(g, loss->shape, 1.0f);
    for (int id = loss->id; id >= 0 && !status; id--) {
        node *x = graph_node(g, id);
        if (s.d[id] && s.wanted[id] && x->n_in > 0) status = back_through(&s, x, err);
    }
    for (int i = 0; i < n && !status; i++) out[i] = s.d[wrt[i]->id];
done:
    free(s.d);
    free(s.copy);
    free(s.wanted);
    free(s.leaves);
    return status;
}
