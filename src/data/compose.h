/* Composes image sets from a pool of drawings (pool.h) into shards.
 *
 * OUT/sets-00000.tar …: a sample a set, members .00.png … and .json (family, parameters, drawings) and .txt (caption).
 * OUT/compose.json says how they were made. Set i depends on the pool and on (seed, i, images, size, split, families)
 * alone, so threads and shards change nothing, and a run that was cut off goes on where it stopped. */
#ifndef DATA_COMPOSE_H
#define DATA_COMPOSE_H

#include "m2m_train.h"

/* calls may be NULL; its lines give the counts at the end, its progress counts sets. Errors: those of the pool;
 * M2M_EINVAL for options, for an OUT made with others, or when the split has no groups of that many subjects; M2M_EIO;
 * M2M_ECANCELLED (finished shards stay, and the same call goes on with the next). Blocks; uses options->threads
 * threads. */
int compose(const char *pool, const char *out, const m2m_compose_options *options, const m2m_calls *calls,
            m2m_error *err);

#endif
