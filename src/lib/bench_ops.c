#include "lib/bench_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES = 60 };

static bool same_shapes(const node *a, const node *b)
{
    if (a->op != b->op || !shape_equal(a->shape, b->shape)) return false;
    for (int k = 0; k < a->n_in; k++) {
        if (!a->in[k] != !b->in[k]) return false;
        if (a->in[k] && !shape_equal(a->in[k]->shape, b->in[k]->shape)) return false;
    }
    return true;
}

static void name_shapes(bench_row *r, const node *n)
{
    size_t at = (size_t)snprintf(r->name, sizeof r->name, "%s", op_name(n->op));
    for (int k = 0; k < n->n_in && k < 3 && at < sizeof r->name; k++) {
        char text[80];
        if (n->in[k] && !(k == 2 && n->in[k]->shape.rank == 1))   /* a bias says nothing new */
            at += (size_t)snprintf(r->name + at, sizeof r->name - at, " %s",
                                   shape_text(n->in[k]->shape, text, sizeof text));
    }
}

static void row_add(bench_row *r, const node *n, const node_time *t, const backend *be)
{
    r->seconds += t->seconds;
    r->calls += t->calls;
    r->flops += node_flops(n) * (double)t->calls;
    r->work += node_work(be, n) * (double)t->calls;
    r->tiles += node_tiles(be, n) * (double)t->calls;
}

static int slower_first(const void *a, const void *b)
{
    const double x = ((const bench_row *)a)->seconds, y = ((const bench_row *)b)->seconds;
    return (x < y) - (x > y);
}

static void sort_rows(bench_row *rows, int n) { qsort(rows, (size_t)n, sizeof *rows, slower_first); }

int bench_ops_sum(bench_ops *t, const exec *x, backend *be, m2m_error *err)
{
    const graph *g = exec_graph(x);
    const node_time *times = exec_times(x);
    const int count = graph_size(g);
    memset(t, 0, sizeof *t);
    const node **first = calloc((size_t)count, sizeof *first);   /* of each row */
    t->shape = calloc((size_t)count, sizeof *t->shape);
    if (!t->shape || !first || !times) {
        free(first);
        return fail(err, M2M_ENOMEM, "no memory for the times of %d nodes", count);
    }
    for (int id = 0; id < count; id++) {
        const node *n = graph_node(g, id);
        int at = 0;
        if (!times[id].calls) continue;
        while (at < t->shapes && !same_shapes(first[at], n)) at++;
        if (at == t->shapes) {
            first[t->shapes++] = n;
            name_shapes(&t->shape[at], n);
        }
        snprintf(t->op[n->op].name, sizeof t->op[n->op].name, "%s", op_name(n->op));
        row_add(&t->shape[at], n, &times[id], be);
        row_add(&t->op[n->op], n, &times[id], be);
        t->seconds += times[id].seconds;
    }
    free(first);
    sort_rows(t->shape, t->shapes);
    sort_rows(t->op, OP_COUNT);
    t->peak = be->peak ? be->peak(be) : 0;
    t->tiles_peak = be->tiles_peak ? be->tiles_peak(be) : 0;
    return 0;
}

void bench_ops_free(bench_ops *t)
{
    free(t->shape);
    t->shape = NULL;
}

/* Shares of the run that are spent in rows that compute at more than 60 % of the peaks. */
typedef struct shares {
    double work, tiles;
} shares;

static shares shares_above(const bench_ops *t)
{
    shares s = {0, 0};
    for (int i = 0; i < t->shapes; i++) {
        const bench_row *r = &t->shape[i];
        if (r->work > 0.6 * t->peak * r->seconds) s.work += r->seconds;
        if (r->tiles > 0.6 * t->tiles_peak * r->seconds) s.tiles += r->seconds;
    }
    return t->seconds > 0 ? (shares){s.work / t->seconds, s.tiles / t->seconds} : (shares){0, 0};
}

/* A column with a row's share of a peak, where that is known. */
static int print_share(char *to, size_t size, double operations, double seconds, double peak)
{
    return peak > 0 ? snprintf(to, size, " %8.0f%%", 100 * operations / seconds / peak) : 0;
}

void bench_ops_tell(const bench_ops *t, bool by_shape, const m2m_calls *calls)
{
    char line[512];
    const bench_row *rows = by_shape ? t->shape : t->op;
    const int count = by_shape ? t->shapes : OP_COUNT, wide = by_shape ? 64 : 22;
    if (!calls || !calls->line) return;
    snprintf(line, sizeof line, "%-*s %8s %7s %6s %10s%s%s", wide, by_shape ? "op, inputs" : "op", "seconds", "share",
             "calls", "GFLOP/s", t->peak > 0 ? "   of peak" : "", t->tiles_peak > 0 ? "  of tiles" : "");
    calls->line(calls->user, line);
    for (int i = 0; i < count && i < LINES && rows[i].calls; i++) {
        const bench_row *r = &rows[i];
        size_t at = (size_t)snprintf(line, sizeof line, "%-*s %8.4f %6.1f%% %6lld", wide, r->name, r->seconds,
                                     100 * r->seconds / t->seconds, (long long)r->calls);
        if (r->flops > 0) {
            at += (size_t)snprintf(line + at, sizeof line - at, " %10.1f", 1e-9 * r->flops / r->seconds);
            at += (size_t)print_share(line + at, sizeof line - at, r->work, r->seconds, t->peak);
            print_share(line + at, sizeof line - at, r->tiles, r->seconds, t->tiles_peak);
        }
        calls->line(calls->user, line);
    }
    if (by_shape || t->peak <= 0) return;
    const shares above = shares_above(t);
    snprintf(line, sizeof line,
             "peak %.1f GFLOP/s; %.0f%% of the time in kernels above 60%% of it (Winograd's own arithmetic counted)",
             1e-9 * t->peak, 100 * above.work);
    calls->line(calls->user, line);
    if (t->tiles_peak <= 0) return;
    snprintf(line, sizeof line,
             "tile instructions alone, in 8 bits: %.1f GFLOP/s; %.0f%% of the time in kernels above 60%% of it "
             "(all products of digits counted)", 1e-9 * t->tiles_peak, 100 * above.tiles);
    calls->line(calls->user, line);
}
