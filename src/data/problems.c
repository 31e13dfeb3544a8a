#include "data/problems.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct { const char *text, *key; } kinds[] = {
#define X(name, text, key) {text, key},
    PROBLEM_KINDS(X)
#undef X
};

static char *clean_copy(const char *text)
{
    char *copy = strndup(text, 500);
    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c < 32 || *c == 127) *c = '?';
    return copy;
}

static void tell(const problems *p, const problem *x)
{
    if (!p->calls || !p->calls->line || p->listed > PROBLEMS_TOLD + 1) return;
    char line[1100];
    snprintf(line, sizeof line, "%s: %s: %s", kinds[x->kind].text, x->where, x->why);
    p->calls->line(p->calls->user,
                   p->listed <= PROBLEMS_TOLD ? line : "further problems are only counted here; a report lists all");
}

/* *x is owned by the list, or released. */
static void keep(problems *p, problem x)
{
    p->counts[x.kind]++;
    bool full = p->listed >= PROBLEMS_LISTED;
    if (!full && p->listed == p->room) {
        int64_t room = p->room ? p->room * 2 : 16;
        problem *list = realloc(p->list, (size_t)room * sizeof *list);
        if (list) p->list = list;
        if (list) p->room = room;
    }
    if (full || p->listed == p->room || !x.where || !x.why) {
        p->failed = p->failed || !full;
        free(x.where);
        free(x.why);
        return;
    }
    p->list[p->listed++] = x;
    tell(p, &x);
}

void problems_add(problems *p, problem_kind kind, const char *where, const char *why)
{
    size_t n = strlen(where);
    if (n && strncmp(why, where, n) == 0 && why[n] == ':') why += n + 1 + (why[n + 1] == ' ');
    keep(p, (problem){kind, clean_copy(where), clean_copy(why)});
}

void problems_take(problems *p, problems *from)
{
    int64_t unlisted[PROBLEM_COUNT];
    memcpy(unlisted, from->counts, sizeof unlisted);
    for (int64_t i = 0; i < from->listed; i++) {
        unlisted[from->list[i].kind]--;
        keep(p, from->list[i]);
    }
    for (int k = 0; k < PROBLEM_COUNT; k++) p->counts[k] += unlisted[k];
    p->failed = p->failed || from->failed;
    free(from->list);
    *from = (problems){.calls = from->calls};
}

int64_t problems_total(const problems *p)
{
    int64_t n = 0;
    for (int k = 0; k < PROBLEM_COUNT; k++) n += p->counts[k];
    return n;
}

void problems_free(problems *p)
{
    for (int64_t i = 0; i < p->listed; i++) {
        free(p->list[i].where);
        free(p->list[i].why);
    }
    free(p->list);
    *p = (problems){.calls = p->calls};
}

/* ---- Reports ---- */

void problems_counts_json(const problems *p, str *s)
{
    for (int k = 0; k < PROBLEM_COUNT; k++) str_printf(s, ",\n  \"%s\": %lld", kinds[k].key, (long long)p->counts[k]);
}

void problems_list_json(const problems *p, str *s)
{
    str_add(s, ",\n  \"problems\": [");
    for (int64_t i = 0; i < p->listed; i++) {
        str_printf(s, "%s\n    {\"kind\": \"%s\", \"where\": ", i ? "," : "", kinds[p->list[i].kind].text);
        str_json(s, p->list[i].where);
        str_add(s, ", \"why\": ");
        str_json(s, p->list[i].why);
        str_char(s, '}');
    }
    str_char(s, ']');
    s->failed = s->failed || p->failed;
}

static int read_one(problems *p, const cJSON *o, m2m_error *err)
{
    const char *kind, *where, *why;
    int rc = json_text(o, "kind", &kind, err);
    if (!rc) rc = json_text(o, "where", &where, err);
    if (!rc) rc = json_text(o, "why", &why, err);
    if (rc) return rc;
    for (int k = 0; k < PROBLEM_COUNT; k++) {
        if (strcmp(kind, kinds[k].text) != 0) continue;
        problems_add(p, (problem_kind)k, where, why);
        return p->failed ? fail(err, M2M_ENOMEM, "no memory for a list of problems") : 0;
    }
    return fail(err, M2M_EFORMAT, "\"kind\" is \"%.80s\", which is no kind of problem", kind);
}

int problems_read(problems *p, const cJSON *object, m2m_error *err)
{
    problems found = {0};
    const cJSON *list = json_member(object, "problems");
    int rc = cJSON_IsArray(list) ? 0 : fail(err, M2M_EFORMAT, "\"problems\" is no list");
    for (const cJSON *o = rc ? NULL : list->child; o && !rc; o = o->next) rc = read_one(&found, o, err);
    for (int k = 0; k < PROBLEM_COUNT && !rc; k++)
        rc = json_int(object, kinds[k].key, found.counts[k], INT64_MAX, &found.counts[k], err);
    if (!rc) problems_take(p, &found);
    problems_free(&found);
    return rc;
}
