/* Every gradient by finite differences, in double on the reference backend: loss = sum(result * fixed numbers), its
 * gradient from graph_gradients against (loss(x+h) - loss(x-h)) / 2h at up to PROBES elements of every input. */
#include "op/harness.h"

enum { PROBES = 24, LARGEST = 12000 };

typedef struct probe {
    built *b;
    backend *be;
    exec *x;
    node *loss;
    node *wrt[MAX_INPUTS], *grad[MAX_INPUTS];
    int count;
    double *data[MAX_INPUTS];     /* of wrt[] */
    double *weights;              /* the fixed numbers */
} probe;

static double *doubles(uint64_t *seed, int64_t n)
{
    double *v = malloc((size_t)n * sizeof *v);
    assert_non_null(v);
    for (int64_t i = 0; i < n; i++) v[i] = draw_normal(seed);
    return v;
}

static void probe_open(probe *p, const op_case *c, backend *be)
{
    m2m_error err = {0};
    uint64_t seed = 5;
    *p = (probe){.b = case_build(c), .be = be};
    graph *g = p->b->g;
    node *weights = graph_input(g, "weights", DT_F32, p->b->n->shape);
    p->loss = sum_to(g, mul(g, p->b->n, weights), SHAPE(1));
    for (int k = 0; k < MAX_INPUTS; k++)
        if (p->b->in[k] && p->b->in[k]->type == DT_F32) p->wrt[p->count++] = p->b->in[k];
    must(graph_gradients(g, p->loss, p->wrt, p->count, p->grad, &err), &err);
    node *outputs[1 + MAX_INPUTS] = {p->loss};
    int n = 1;
    for (int k = 0; k < p->count; k++) {
        if (!p->grad[k]) fail_msg("%s: no gradient for input %d", op_name(c->op), k);
        outputs[n++] = p->grad[k];
    }
    p->x = exec_new(g, be, outputs, n, &err);
    if (!p->x) fail_msg("%s", err.msg);
    case_write(p->b, c, p->x);
    p->weights = doubles(&seed, shape_count(weights->shape));
    exec_bind(p->x, weights, p->weights);
    for (int k = 0; k < p->count; k++) {
        p->data[k] = doubles(&seed, shape_count(p->wrt[k]->shape));
        exec_bind(p->x, p->wrt[k], p->data[k]);
    }
    must(exec_run(p->x, &err), &err);
}

static void probe_close(probe *p)
{
    exec_free(p->x);
    for (int k = 0; k < p->count; k++) free(p->data[k]);
    free(p->weights);
    case_free(p->b);
}

static double probe_loss(probe *p, int k, int64_t i, double value)
{
    m2m_error err = {0};
    const double kept = p->data[k][i];
    p->data[k][i] = value;
    must(exec_run(p->x, &err), &err);
    p->data[k][i] = kept;
    return *(const double *)exec_output(p->x, p->loss);
}

static void probe_case(const op_case *c, backend *be)
{
    const double h = 1e-5;
    probe p;
    probe_open(&p, c, be);
    for (int k = 0; k < p.count; k++) {
        const int64_t n = shape_count(p.wrt[k]->shape), step = n / PROBES + 1;
        double *grad = malloc((size_t)n * sizeof *grad), scale = 0;
        assert_non_null(grad);
        probe_loss(&p, k, 0, p.data[k][0]);   /* where no input is moved */
        memcpy(grad, exec_output(p.x, p.grad[k]), (size_t)n * sizeof *grad);
        for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs(grad[i]));
        for (int64_t i = 0; i < n; i += step) {
            const double x = p.data[k][i];
            const double want = (probe_loss(&p, k, i, x + h) - probe_loss(&p, k, i, x - h)) / (2 * h);
            char text[256];
            if (fabs(want - grad[i]) > 1e-6 * (1 + scale))
                fail_msg("%s: d/d input %d [%lld] is %.9g, finite difference %.9g", case_text(c, text, sizeof text), k,
                         (long long)i, grad[i], want);
        }
        free(grad);
    }
    probe_close(&p);
}

static int64_t case_size(const op_case *c)
{
    int64_t n = 0;
    for (int k = 0; k < MAX_INPUTS; k++)
        if (c->in[k].rank) n += shape_count(c->in[k]);
    return n;
}

static void test_gradients(void **state)
{
    (void)state;
    backend *be = backend_reference_open(true);
    bool probed[OP_COUNT] = {false};
    for (int i = 0; i < CASES; i++) {
        op_case c = cases[i];
        if (!op_has_gradient(c.op) || case_size(&c) > LARGEST || c.draw != NORMAL) continue;
        c.weight = DT_BOOL;
        probe_case(&c, be);
        probed[c.op] = true;
    }
    for (int op = OP_PART + 1; op < OP_COUNT; op++)
        if (op_has_gradient(op) && !probed[op]) fail_msg("op %s: its gradient was not probed", op_name(op));
    be->close(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gradients)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
