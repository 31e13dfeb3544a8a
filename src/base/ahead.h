/* Work done ahead, in order, by threads of its own, while something else computes: a ring of slots, each filled with a
 * request, worked on by some thread, taken when it is done. What comes out does not depend on the number of threads.
 * Asked for and taken by one thread. */
#ifndef BASE_AHEAD_H
#define BASE_AHEAD_H

#include "m2m.h"

#include <stdbool.h>

typedef struct ahead ahead;

/* Done to a slot by any thread, several at a time on different slots. */
typedef void ahead_work(void *user, void *slot);

/* depth: slots of slot_size bytes; threads 0: the work is done when it is taken. */
int ahead_open(ahead **a, ahead_work *work, void *user, size_t slot_size, int depth, int threads, m2m_error *err);
void ahead_close(ahead **a);                    /* waits for work begun; nothing may be left to take. NULL is allowed */

int ahead_waiting(const ahead *a);              /* asked for and not taken yet */
/* A copy of slot[slot_size] gets into the ring. False, and nothing asked: `depth` of them wait already. */
bool ahead_ask(ahead *a, const void *slot);
/* The slot that was asked for first among those not taken (one waits at least), worked on; stays until the next ask. */
void *ahead_take(ahead *a);
/* Work that nobody has begun is dropped with its slots; what is begun remains to be taken. */
void ahead_forget(ahead *a);

#endif
