#include "data/pool_group.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A drawing under one label. */
typedef struct row {
    group_kind kind;
    const char *style;         /* "" for subjects */
    const char *label;
    int label_len;
    const char *part;          /* subject, or style for subjects */
    int drawing;
} row;

typedef struct rows {
    row *at;
    int n, room;
} rows;

/* Words that say nothing about what is drawn. */
static bool is_filler(const char *word, int n)
{
    static const char *const fillers[] = {
        "with",  "and",   "of",   "the",   "in",   "on",   "for",   "from",  "at",     "to",     "no",     "not",
        "up",    "down",  "left", "right", "skin", "tone", "light", "dark",  "medium", "button", "symbol", "face",
        "small", "large", "big",  "new",   "old",  "one",  "two",   "three", "black",  "white",  "person", "selector"};
    for (size_t i = 0; i < sizeof fillers / sizeof *fillers; i++)
        if ((int)strlen(fillers[i]) == n && memcmp(fillers[i], word, (size_t)n) == 0) return true;
    return n < 3;
}

static bool add_row(rows *r, group_kind kind, const drawing *d, const char *label, int len, int number)
{
    if (!len) return true;
    if (r->n == r->room) {
        int wanted = r->room ? r->room * 2 : 1024;
        row *at = realloc(r->at, (size_t)wanted * sizeof *at);
        if (!at) return false;
        r->at = at;
        r->room = wanted;
    }
    bool subject = kind == GROUP_SUBJECT;
    r->at[r->n++] = (row){kind, subject ? "" : d->style, label, len, subject ? d->style : d->subject, number};
    return true;
}

static bool add_rows(rows *r, const drawing *d, int i)
{
    bool ok = add_row(r, GROUP_UNICODE, d, d->group, (int)strlen(d->group), i)
              && add_row(r, GROUP_CATEGORY, d, d->category, (int)strlen(d->category), i)
              && add_row(r, GROUP_SUBJECT, d, d->subject, (int)strlen(d->subject), i);
    for (const char *w = d->name; ok && *w;) {
        int len = (int)strcspn(w, "-_ ");
        if (!is_filler(w, len)) ok = add_row(r, GROUP_WORD, d, w, len, i);
        w += len;
        w += *w != 0;
    }
    return ok;
}

static int compare_group(const row *a, const row *b)
{
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    int by = strcmp(a->style, b->style);
    if (by) return by;
    int len = a->label_len < b->label_len ? a->label_len : b->label_len;
    by = memcmp(a->label, b->label, (size_t)len);
    return by ? by : a->label_len - b->label_len;
}

static int compare(const void *x, const void *y)
{
    const row *a = x, *b = y;
    int by = compare_group(a, b);
    if (!by) by = strcmp(a->part, b->part);
    return by ? by : a->drawing - b->drawing;
}

static void cut_groups(group_list *out, const rows *r)
{
    int groups = 0;
    group_kind kind = 0;
    for (int i = 0; i < r->n;) {
        for (; kind < r->at[i].kind; kind++) out->from[kind + 1] = groups;
        pool_group *g = &out->groups[groups++];
        snprintf(g->name, sizeof g->name, "%.*s", r->at[i].label_len, r->at[i].label);
        g->items = out->items + i;
        int from = i;
        for (; i < r->n && compare_group(&r->at[i], &r->at[from]) == 0; i++) {
            bool again = i > from && r->at[i].drawing == r->at[i - 1].drawing;      /* a word twice in a name */
            if (!again) out->items[from + g->n++] = r->at[i].drawing;
            if (i == from || strcmp(r->at[i].part, r->at[i - 1].part) != 0) g->kinds++;
        }
    }
    for (; kind < GROUP_KINDS; kind++) out->from[kind + 1] = groups;
}

int group_list_make(group_list *out, const drawing *drawings, int n, m2m_error *err)
{
    rows r = {0};
    bool ok = true;
    for (int i = 0; i < n && ok; i++) ok = add_rows(&r, &drawings[i], i);
    *out = (group_list){0};
    out->items = calloc((size_t)r.n + 1, sizeof *out->items);
    out->groups = calloc((size_t)r.n + 1, sizeof *out->groups);
    if (ok && out->items && out->groups) {
        if (r.n) qsort(r.at, (size_t)r.n, sizeof *r.at, compare);
        cut_groups(out, &r);
    } else {
        group_list_free(out);
        fail(err, M2M_ENOMEM, "no memory to group %d drawings", n);
        ok = false;
    }
    free(r.at);
    return ok ? 0 : M2M_ENOMEM;
}

void group_list_free(group_list *l)
{
    free(l->items);
    free(l->groups);
    *l = (group_list){0};
}

const pool_group *group_list_pick(const group_list *l, group_kind kind, int kinds, rng *r)
{
    double sum = 0, at = rng_real(r);
    for (int pass = 0; pass < 2; pass++) {
        const pool_group *last = NULL;
        double seen = 0;
        for (int i = l->from[kind]; i < l->from[kind + 1]; i++) {
            if (l->groups[i].kinds < kinds) continue;
            last = &l->groups[i];
            seen += sqrt((double)last->kinds);
            if (pass && seen > at * sum) return last;
        }
        if (!last || pass) return last;
        sum = seen;
    }
    return NULL;
}
