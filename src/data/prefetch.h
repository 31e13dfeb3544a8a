/* Images decoded ahead by threads of their own, while something else computes. What comes out does not depend on their
 * number. Asked for and taken by one thread. */
#ifndef DATA_PREFETCH_H
#define DATA_PREFETCH_H

#include "data/loader.h"

typedef struct prefetch prefetch;

/* d and v are borrowed and outlive it. depth: images that may be on the way. threads 0: decoded when taken. */
int prefetch_open(prefetch **p, const dataset *d, const dataset_view *v, int depth, int threads, m2m_error *err);
void prefetch_close(prefetch **p);              /* waits for images in work; NULL is allowed */

int prefetch_waiting(const prefetch *p);        /* images asked for and not taken yet */
/* False, and nothing asked: `depth` of them wait already. */
bool prefetch_ask(prefetch *p, loader_item item);
/* The image that was asked for first among those not taken (one waits at least): as dataset_read. out is the
 * caller's. */
int prefetch_take(prefetch *p, m2m_image *out, m2m_error *err);
void prefetch_forget(prefetch *p);              /* all that wait */

#endif
