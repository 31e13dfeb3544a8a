/* Finds the groups of a pool (pool.c's other half). */
#ifndef DATA_POOL_GROUP_H
#define DATA_POOL_GROUP_H

#include "data/pool.h"

/* What makes drawings a group, in the order in which groups are sorted. */
typedef enum group_kind { GROUP_UNICODE, GROUP_CATEGORY, GROUP_WORD, GROUP_SUBJECT, GROUP_KINDS } group_kind;

typedef struct group_list {
    int *items;                /* owned; the groups point into it */
    pool_group *groups;        /* owned; those of a kind are adjacent */
    int from[GROUP_KINDS + 1];
} group_list;

/* Errors: M2M_ENOMEM; *out is then zero. */
int group_list_make(group_list *out, const drawing *drawings, int n, m2m_error *err);
void group_list_free(group_list *l);
/* A random group of that kind with at least `kinds` kinds, larger ones somewhat more often; NULL: none. */
const pool_group *group_list_pick(const group_list *l, group_kind kind, int kinds, rng *r);

#endif
