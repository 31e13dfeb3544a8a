/* One composed set: chosen, drawn, encoded (compose.c's inner part). */
#ifndef DATA_COMPOSE_SET_H
#define DATA_COMPOSE_SET_H

#include "data/family.h"
#include "data/pool.h"
#include "data/shard.h"

enum { COMPOSE_IMAGES = 100, COMPOSE_KEY = 24 };

typedef struct composed {
    char key[COMPOSE_KEY];
    family family;
    shard_field fields[COMPOSE_IMAGES + 2];
    char suffixes[COMPOSE_IMAGES][16];
    int n;                     /* fields in use */
} composed;

typedef struct composer {
    const pool *pool;
    double weights[FAMILY_COUNT];
    uint64_t seed;
    int images, size;
    const char *split;
} composer;

/* Takes families away that the pool's split can't give. Errors: M2M_EINVAL when none is left. */
int composer_check(composer *c, m2m_error *err);
/* Makes set `index` into *s, which owns its fields then. Errors: M2M_ENOMEM; *s is then empty. Any thread. */
int composed_make(composed *s, const composer *c, int64_t index, m2m_error *err);
void composed_free(composed *s);

#endif
