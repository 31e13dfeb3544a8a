#include "graph/plan.h"

#include <stdlib.h>

static size_t aligned(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

static int larger_first(const void *a, const void *b)
{
    const block *x = *(block *const *)a, *y = *(block *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->first != y->first ? (x->first > y->first ? 1 : -1) : (x > y) - (x < y);
}

/* Lowest offset for b among placed[0..n), which is sorted by offset. */
static size_t lowest_gap(const block *b, block *const *placed, int n)
{
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        const block *p = placed[i];
        if (p->last < b->first || b->last < p->first) continue;
        if (at + b->bytes <= p->offset) break;
        size_t end = aligned(p->offset + p->bytes);
        if (end > at) at = end;
    }
    return at;
}

size_t plan_blocks(block *blocks, int n)
{
    if (n == 0) return 0;
    block **order = malloc(2 * (size_t)n * sizeof *order);
    if (!order) return (size_t)-1;
    block **placed = order + n;
    size_t total = 0;
    for (int i = 0; i < n; i++) order[i] = &blocks[i];
    qsort(order, (size_t)n, sizeof *order, larger_first);
    for (int i = 0; i < n; i++) {
        block *b = order[i];
        b->offset = lowest_gap(b, placed, i);
        int at = i;
        for (; at > 0 && placed[at - 1]->offset > b->offset; at--) placed[at] = placed[at - 1];
        placed[at] = b;
        size_t end = aligned(b->offset + b->bytes);
        if (end > total) total = end;
    }
    free(order);
    return total;
}

size_t plan_bound(const block *blocks, int n)
{
    int steps = 0;
    for (int i = 0; i < n; i++)
        if (blocks[i].last >= steps) steps = blocks[i].last + 1;
    size_t most = 0, now = 0;
    size_t *change = calloc(2 * (size_t)steps + 2, sizeof *change);
    if (!change) return 0;
    size_t *born = change, *gone = change + steps + 1;
    for (int i = 0; i < n; i++) {
        born[blocks[i].first] += aligned(blocks[i].bytes);
        gone[blocks[i].last + 1] += aligned(blocks[i].bytes);
    }
    for (int t = 0; t < steps; t++) {
        now = now + born[t] - gone[t];
        if (now > most) most = now;
    }
    free(change);
    return most;
}
