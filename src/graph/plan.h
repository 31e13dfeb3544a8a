/* Where blocks of known size and lifetime go in one buffer. Knows nothing of graphs. */
#ifndef GRAPH_PLAN_H
#define GRAPH_PLAN_H

#include <stddef.h>

typedef struct block {
    size_t bytes;
    int first, last;     /* steps at which it is alive, inclusive */
    size_t offset;       /* the answer */
} block;

/* Sets every offset (64-byte aligned) so that blocks alive at one step never overlap; largest first, lowest gap that
 * fits. Returns the buffer's size, or (size_t)-1 when memory for the planning itself runs out. */
size_t plan_blocks(block *blocks, int n);
/* The most that is alive at one step: a lower bound of any plan. */
size_t plan_bound(const block *blocks, int n);

#endif
