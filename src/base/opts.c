#include "base/opts.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_NAME = 63 };

static char folded(char c)
{
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        if ((*a == '-' ? '_' : *a) != (*b == '-' ? '_' : *b)) return false;
    }
    return *a == *b;
}

const m2m_option *opts_find(const m2m_option_table *t, const char *name)
{
    for (int i = 0; i < t->count; i++) {
        if (same_name(t->rows[i].name, name)) return &t->rows[i];
    }
    return NULL;
}

int opts_distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    if (na > LONGEST_NAME || nb > LONGEST_NAME) return LONGEST_NAME;
    int d[3][LONGEST_NAME + 1];
    int *before = d[0], *last = d[1], *now = d[2];
    for (size_t j = 0; j <= nb; j++) last[j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        now[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            bool same = folded(a[i - 1]) == folded(b[j - 1]);
            int best = last[j - 1] + !same;
            if (last[j] + 1 < best) best = last[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
                           folded(a[i - 2]) == folded(b[j - 1]);
            if (swapped && before[j - 2] + 1 < best) best = before[j - 2] + 1;
            now[j] = best;
        }
        int *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[nb];
}

const char *opts_nearest(const m2m_option_table *t, const char *name)
{
    const char *nearest = NULL;
    if (strlen(name) > LONGEST_NAME) return NULL;
    int limit = (int)strlen(name) / 3 + 1, best = limit + 1;
    for (int i = 0; i < t->count; i++) {
        int distance = opts_distance(name, t->rows[i].name);
        // A name that was cut short or spelled out is meant too: cond for condition, guidance_scale for guidance.
        size_t a = strlen(name), b = strlen(t->rows[i].name), shorter = a < b ? a : b;
        if (shorter >= 3 && !strncmp(name, t->rows[i].name, shorter) && distance > limit) distance = limit;
        if (distance < best) {
            best = distance;
            nearest = t->rows[i].name;
        }
    }
    return nearest;
}

void opts_defaults(const m2m_option_table *t, void *options)
{
    for (int i = 0; i < t->count; i++) {
        const m2m_option *row = &t->rows[i];
        void *field = (char *)options + row->offset;
        if (row->type == M2M_OPTION_TEXT) *(const char **)field = row->default_text;
        else if (row->type == M2M_OPTION_REAL) *(double *)field = row->default_number;
        else *(int64_t *)field = (int64_t)row->default_number;
    }
}

const char *opts_wanted(const m2m_option *row, char *buf, size_t size)
{
    switch (row->type) {
    case M2M_OPTION_INT: snprintf(buf, size, "an integer in %.0f..%.0f", row->min, row->max); break;
    case M2M_OPTION_REAL: snprintf(buf, size, "a number in %.9g..%.9g", row->min, row->max); break;
    case M2M_OPTION_FLAG: snprintf(buf, size, "true or false"); break;
    default:
        if (!row->choices) {
            snprintf(buf, size, "a text");
            break;
        }
        size_t n = (size_t)snprintf(buf, size, "one of ");
        for (const char *c = row->choices; *c && n + 3 < size; c++) {
            if (*c == '|') buf[n++] = ',';
            buf[n++] = *c == '|' ? ' ' : *c;
        }
        buf[n < size ? n : size - 1] = 0;
    }
    return buf;
}

static int refuse(const m2m_option *row, const char *found, m2m_error *err)
{
    char wanted[256];
    return fail(err, M2M_EINVAL, "%s: found \"%.100s\", wanted %s", row->name, found,
                opts_wanted(row, wanted, sizeof wanted));
}

static int unknown(const m2m_option_table *t, const char *name, m2m_error *err)
{
    const char *nearest = opts_nearest(t, name);
    if (nearest)
        return fail(err, M2M_EINVAL, "%.100s: no such option of %s; did you mean %s?", name, t->name, nearest);
    return fail(err, M2M_EINVAL, "%.100s: no such option of %s", name, t->name);
}

static bool is_choice(const char *choices, const char *value)
{
    size_t n = strlen(value);
    for (const char *c = choices; n && !strchr(value, '|'); c++) {
        if (!strncmp(c, value, n) && (c[n] == '|' || !c[n])) return true;
        c = strchr(c, '|');
        if (!c) return false;
    }
    return false;
}

/* Decimal digits only: 1e3, 0x10, 4.0 and blanks are no integers. */
static bool parse_int(const char *text, int64_t *value)
{
    const char *digits = text + (*text == '-');
    if (!*digits || digits[strspn(digits, "0123456789")]) return false;
    errno = 0;
    long long v = strtoll(text, NULL, 10);
    *value = v;
    return errno == 0;
}

/* As in JSON and C, with a point whatever the host's locale says; no inf, nan or hexadecimal. */
static bool parse_real(const char *text, double *value)
{
    if (!*text || text[strspn(text, "0123456789+-.eE")]) return false;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c) return false;
    char *end = NULL;
    *value = strtod_l(text, &end, c);
    freelocale(c);
    return !*end && isfinite(*value);
}

static bool parse_flag(const char *text, int64_t *value)
{
    bool yes = !strcmp(text, "1") || !strcmp(text, "true");
    *value = yes;
    return yes || !strcmp(text, "0") || !strcmp(text, "false");
}

static int set_row(const m2m_option *row, void *options, const char *value, m2m_error *err)
{
    void *field = (char *)options + row->offset;
    int64_t i = 0;
    double x = 0;
    switch (row->type) {
    case M2M_OPTION_INT:
        if (!parse_int(value, &i) || i < (int64_t)row->min || i > (int64_t)row->max) return refuse(row, value, err);
        *(int64_t *)field = i;
        return 0;
    case M2M_OPTION_REAL:
        if (!parse_real(value, &x) || x < row->min || x > row->max) return refuse(row, value, err);
        *(double *)field = x;
        return 0;
    case M2M_OPTION_FLAG:
        if (!parse_flag(value, &i)) return refuse(row, value, err);
        *(int64_t *)field = i;
        return 0;
    default:
        if (row->choices && !is_choice(row->choices, value)) return refuse(row, value, err);
        *(const char **)field = value;
        return 0;
    }
}

int opts_set(const m2m_option_table *t, void *options, const char *name, const char *value, m2m_error *err)
{
    const m2m_option *row = opts_find(t, name);
    if (!row) return unknown(t, name, err);
    if (!value) return refuse(row, "", err);
    return set_row(row, options, value, err);
}

int opts_check(const m2m_option_table *t, const void *options, m2m_error *err)
{
    for (int i = 0; i < t->count; i++) {
        const m2m_option *row = &t->rows[i];
        const void *field = (const char *)options + row->offset;
        char found[64];
        if (row->type == M2M_OPTION_TEXT) {
            const char *text = *(const char *const *)field;
            bool bad = text ? row->choices && !is_choice(row->choices, text) : row->default_text != NULL;
            if (bad) return refuse(row, text ? text : "NULL", err);
            continue;
        }
        bool real = row->type == M2M_OPTION_REAL;
        double x = real ? *(const double *)field : (double)*(const int64_t *)field;
        snprintf(found, sizeof found, "%.9g", x);
        if (!(x >= row->min && x <= row->max)) return refuse(row, found, err);
    }
    return 0;
}

/* [ "a", "b" ] becomes "a,b". */
static int join_array(const m2m_option *row, cJSON *item, m2m_error *err)
{
    size_t size = 1;
    for (cJSON *c = item->child; c; c = c->next) {
        if (!cJSON_IsString(c)) return refuse(row, "an array with something that is no string", err);
        if (strchr(c->valuestring, ',')) return refuse(row, c->valuestring, err);
        size += strlen(c->valuestring) + 1;
    }
    char *text = cJSON_malloc(size), *at = text;
    if (!text) return fail(err, M2M_ENOMEM, "%s: no memory for its value", row->name);
    for (cJSON *c = item->child; c; c = c->next) {
        if (at != text) *at++ = ',';
        at = stpcpy(at, c->valuestring);
    }
    *at = 0;
    cJSON_Delete(item->child);
    item->child = NULL;
    item->type = cJSON_String | (item->type & cJSON_StringIsConst);
    item->valuestring = text;
    return 0;
}

static int refuse_json(const m2m_option *row, const cJSON *item, m2m_error *err)
{
    char *found = cJSON_PrintUnformatted(item);
    int status = refuse(row, found ? found : "?", err);
    cJSON_free(found);
    return status;
}

static int set_json(const m2m_option *row, void *options, cJSON *item, m2m_error *err)
{
    void *field = (char *)options + row->offset;
    double x = item->valuedouble;
    bool number = cJSON_IsNumber(item) && x >= row->min && x <= row->max;
    switch (row->type) {
    case M2M_OPTION_INT:
        if (!number || x != floor(x)) return refuse_json(row, item, err);
        *(int64_t *)field = (int64_t)x;
        return 0;
    case M2M_OPTION_REAL:
        if (!number) return refuse_json(row, item, err);
        *(double *)field = x;
        return 0;
    case M2M_OPTION_FLAG:
        if (!cJSON_IsBool(item) && !(number && (x == 0 || x == 1))) return refuse_json(row, item, err);
        *(int64_t *)field = cJSON_IsBool(item) ? cJSON_IsTrue(item) : x == 1;
        return 0;
    default:
        if (cJSON_IsNull(item)) {
            *(const char **)field = NULL;
            return 0;
        }
        if (cJSON_IsArray(item) && !row->choices) {
            int status = join_array(row, item, err);
            if (status) return status;
        }
        if (!cJSON_IsString(item)) return refuse_json(row, item, err);
        return set_row(row, options, item->valuestring, err);
    }
}

int opts_from_json(const m2m_option_table *t, void *options, cJSON *object, m2m_error *err)
{
    if (!cJSON_IsObject(object)) return fail(err, M2M_EFORMAT, "options of %s: wanted a JSON object", t->name);
    for (cJSON *item = object->child; item; item = item->next) {
        const m2m_option *row = opts_find(t, item->string);
        if (!row || strcmp(row->name, item->string)) return unknown(t, item->string, err);
        for (cJSON *other = object->child; other != item; other = other->next) {
            if (!strcmp(other->string, item->string))
                return fail(err, M2M_EINVAL, "%s: given twice", item->string);
        }
        int status = set_json(row, options, item, err);
        if (status) return status;
    }
    return 0;
}

cJSON *opts_to_json(const m2m_option_table *t, const void *options)
{
    cJSON *object = cJSON_CreateObject();
    for (int i = 0; object && i < t->count; i++) {
        const m2m_option *row = &t->rows[i];
        const void *field = (const char *)options + row->offset;
        cJSON *item = NULL;
        if (row->type == M2M_OPTION_TEXT) {
            const char *text = *(const char *const *)field;
            item = text ? cJSON_CreateString(text) : cJSON_CreateNull();
        } else if (row->type == M2M_OPTION_REAL) {
            item = cJSON_CreateNumber(*(const double *)field);
        } else if (row->type == M2M_OPTION_FLAG) {
            item = cJSON_CreateBool(*(const int64_t *)field != 0);
        } else {
            item = cJSON_CreateNumber((double)*(const int64_t *)field);
        }
        if (!cJSON_AddItemToObject(object, row->name, item)) {
            cJSON_Delete(item);
            cJSON_Delete(object);
            object = NULL;
        }
    }
    return object;
}
