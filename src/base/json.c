#include "base/json.h"

#include "base/error.h"
#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Whole texts ---- */

static int by_key(const void *a, const void *b)
{
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

static int check_keys(const cJSON *object, m2m_error *err)
{
    size_t n = (size_t)cJSON_GetArraySize(object), i = 0;
    if (n < 2) return 0;
    const cJSON **members = malloc(n * sizeof *members);
    if (!members) return fail(err, M2M_ENOMEM, "no memory for the %zu keys of an object", n);
    for (const cJSON *m = object->child; m; m = m->next) members[i++] = m;
    qsort(members, n, sizeof *members, by_key);
    int rc = 0;
    for (i = 1; !rc && i < n; i++) {
        if (strcmp(members[i - 1]->string, members[i]->string) == 0)
            rc = fail(err, M2M_EFORMAT, "JSON: the key \"%.200s\" occurs twice in one object",
                members[i]->string);
    }
    free(members);
    return rc;
}

/* Depth is at most JSON_DEPTH. */
static int check_all_keys(const cJSON *value, m2m_error *err)
{
    int rc = cJSON_IsObject(value) ? check_keys(value, err) : 0;
    for (const cJSON *m = value->child; !rc && m; m = m->next) {
        if (m->child) rc = check_all_keys(m, err);
    }
    return rc;
}

int json_parse(cJSON **out, const char *text, size_t len, m2m_error *err)
{
    int rc = json_check(text, len, err);
    if (rc) return rc;
    cJSON *root = cJSON_ParseWithLength(text, len);
    if (!root) return fail(err, M2M_ENOMEM, "no memory to parse %zu bytes of JSON", len);
    rc = check_all_keys(root, err);
    if (rc)
        cJSON_Delete(root);
    else
        *out = root;
    return rc;
}

int json_load(cJSON **out, const char *path, m2m_error *err)
{
    char *text;
    size_t len;
    int rc = file_read_all(path, JSON_FILE, &text, &len, err);
    if (rc) return rc;
    rc = json_parse(out, text, len, err);
    free(text);
    return rc ? fail_prefix(err, rc, "%s", path) : 0;
}

int json_save(const cJSON *root, const char *path, m2m_error *err)
{
    char *text = cJSON_Print(root);
    if (!text) return fail(err, M2M_ENOMEM, "%s: no memory to write it", path);
    size_t n = strlen(text);
    text[n] = '\n'; /* in place of the zero, which nobody needs here */
    int rc = file_write_all(path, text, n + 1, err);
    cJSON_free(text);
    return rc;
}

/* ---- Members ---- */

const char *json_found(const cJSON *value, char *buf, size_t size)
{
    if (!value)
        snprintf(buf, size, "absent");
    else if (cJSON_IsString(value))
        snprintf(buf, size, "the text \"%.60s\"", value->valuestring);
    else if (cJSON_IsNumber(value))
        snprintf(buf, size, "%.17g", value->valuedouble);
    else if (cJSON_IsBool(value))
        snprintf(buf, size, "%s", cJSON_IsTrue(value) ? "true" : "false");
    else
        snprintf(buf, size, "%s",
            cJSON_IsNull(value)    ? "null"
            : cJSON_IsArray(value) ? "an array"
                                   : "an object");
    return buf;
}

static int mismatch(const cJSON *object, const char *key, m2m_error *err, const char *wanted)
{
    char found[96];
    json_found(cJSON_GetObjectItemCaseSensitive(object, key), found, sizeof found);
    return fail(err, M2M_EFORMAT, "\"%s\" is %s, wanted %s", key, found, wanted);
}

const cJSON *json_member(const cJSON *object, const char *key)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(m) ? NULL : m;
}

bool json_is_int(const cJSON *value, int64_t min, int64_t max, int64_t *out)
{
    if (!cJSON_IsNumber(value)) return false;
    double d = value->valuedouble;
    if (!(d >= -0x1p53 && d <= 0x1p53) || d != floor(d)) return false;
    int64_t i = (int64_t)d;
    if (i < min || i > max) return false;
    *out = i;
    return true;
}

static bool is_real(const cJSON *value, double min, double max, double *out)
{
    if (!cJSON_IsNumber(value) || !(value->valuedouble >= min && value->valuedouble <= max))
        return false;
    *out = value->valuedouble;
    return true;
}

int json_int(
    const cJSON *object, const char *key, int64_t min, int64_t max, int64_t *out, m2m_error *err)
{
    char wanted[80];
    if (json_is_int(json_member(object, key), min, max, out)) return 0;
    snprintf(wanted, sizeof wanted, "an integer in %lld..%lld", (long long)min, (long long)max);
    return mismatch(object, key, err, wanted);
}

int json_real(
    const cJSON *object, const char *key, double min, double max, double *out, m2m_error *err)
{
    char wanted[80];
    if (is_real(json_member(object, key), min, max, out)) return 0;
    snprintf(wanted, sizeof wanted, "a number in %g..%g", min, max);
    return mismatch(object, key, err, wanted);
}

int json_bool(const cJSON *object, const char *key, bool *out, m2m_error *err)
{
    const cJSON *m = json_member(object, key);
    if (!cJSON_IsBool(m)) return mismatch(object, key, err, "true or false");
    *out = cJSON_IsTrue(m);
    return 0;
}

int json_text(const cJSON *object, const char *key, const char **out, m2m_error *err)
{
    const cJSON *m = json_member(object, key);
    if (!cJSON_IsString(m)) return mismatch(object, key, err, "a text");
    *out = m->valuestring;
    return 0;
}

int json_ints(const cJSON *object, const char *key, int64_t min, int64_t max, int64_t *out,
    int room, int *n, m2m_error *err)
{
    char wanted[120];
    const cJSON *m = json_member(object, key);
    int count = cJSON_IsArray(m) ? cJSON_GetArraySize(m) : -1, i = 0;
    bool good = count >= 0 && count <= room;
    int64_t ignored;
    for (const cJSON *e = good ? m->child : NULL; e; e = e->next)
        good = good && json_is_int(e, min, max, &ignored);
    if (!good) {
        snprintf(wanted, sizeof wanted, "at most %d integers in %lld..%lld", room, (long long)min,
            (long long)max);
        return mismatch(object, key, err, wanted);
    }
    for (const cJSON *e = m->child; e; e = e->next) json_is_int(e, min, max, &out[i++]);
    *n = count;
    return 0;
}

int json_reals(const cJSON *object, const char *key, double min, double max, double *out, int room,
    int *n, m2m_error *err)
{
    char wanted[120];
    const cJSON *m = json_member(object, key);
    int count = cJSON_IsArray(m) ? cJSON_GetArraySize(m) : -1, i = 0;
    bool good = count >= 0 && count <= room;
    double ignored;
    for (const cJSON *e = good ? m->child : NULL; e; e = e->next)
        good = good && is_real(e, min, max, &ignored);
    if (!good) {
        snprintf(wanted, sizeof wanted, "at most %d numbers in %g..%g", room, min, max);
        return mismatch(object, key, err, wanted);
    }
    for (const cJSON *e = m->child; e; e = e->next) is_real(e, min, max, &out[i++]);
    *n = count;
    return 0;
}

int json_or_int(
    const cJSON *object, const char *key, int64_t min, int64_t max, int64_t *out, m2m_error *err)
{
    return json_member(object, key) ? json_int(object, key, min, max, out, err) : 0;
}

int json_or_real(
    const cJSON *object, const char *key, double min, double max, double *out, m2m_error *err)
{
    return json_member(object, key) ? json_real(object, key, min, max, out, err) : 0;
}

int json_or_bool(const cJSON *object, const char *key, bool *out, m2m_error *err)
{
    return json_member(object, key) ? json_bool(object, key, out, err) : 0;
}

int json_or_text(const cJSON *object, const char *key, const char **out, m2m_error *err)
{
    return json_member(object, key) ? json_text(object, key, out, err) : 0;
}

bool json_set(cJSON *o, const char *key, cJSON *item)
{
    cJSON_DeleteItemFromObjectCaseSensitive(o, key);
    if (item && cJSON_AddItemToObject(o, key, item)) return true;
    cJSON_Delete(item);
    return false;
}

int json_agree(const cJSON *have, const cJSON *want, const char *path, m2m_error *err)
{
    char a[96], b[96];
    for (const cJSON *asked = want->child; asked; asked = asked->next) {
        const cJSON *there = cJSON_GetObjectItemCaseSensitive(have, asked->string);
        if (!cJSON_Compare(there, asked, true))
            return fail(err, M2M_EINVAL, "%s: its sets are made with %s %s, asked is %s; wanted the same, or another "
                        "directory", path, asked->string, json_found(there, a, sizeof a),
                        json_found(asked, b, sizeof b));
    }
    return 0;
}
