#include "base/json.h"

#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Depth is checked on the text, so that no parser ever recurses on what a stranger wrote. */
static int depth_fits(const char *text, size_t size, const char *name, m2m_error *err)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\') i++;
            else if (c == '"') quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH)
                return fail(err, M2M_EFORMAT, "%s: JSON is nested deeper than %d", name, JSON_DEPTH);
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return 0;
}

static int by_key(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static int keys_differ(const cJSON *o, const char *name, m2m_error *err)
{
    int n = cJSON_GetArraySize(o), i = 0, status = 0;
    if (cJSON_IsObject(o) && n > 1) {
        const char **keys = malloc((size_t)n * sizeof *keys);
        if (!keys) return fail(err, M2M_ENOMEM, "%s: no memory for %d keys", name, n);
        const cJSON *c;
        cJSON_ArrayForEach(c, o) keys[i++] = c->string;
        qsort(keys, (size_t)n, sizeof *keys, by_key);
        for (i = 1; i < n && !status; i++)
            if (!strcmp(keys[i - 1], keys[i]))
                status = fail(err, M2M_EFORMAT, "%s: key \"%.80s\" occurs twice", name, keys[i]);
        free(keys);
    }
    const cJSON *c;
    cJSON_ArrayForEach(c, o) if (!status && (cJSON_IsObject(c) || cJSON_IsArray(c))) status = keys_differ(c, name, err);
    return status;
}

cJSON *json_parse(const char *text, size_t size, const char *name, m2m_error *err)
{
    if (depth_fits(text, size, name, err)) return NULL;
    const char *end = NULL;
    cJSON *o = cJSON_ParseWithLengthOpts(text, size, &end, 0);
    if (!o) {
        fail(err, M2M_EFORMAT, "%s: not JSON at byte %zu", name, end ? (size_t)(end - text) : (size_t)0);
        return NULL;
    }
    for (; end < text + size && *end; end++)
        if (!strchr(" \t\r\n", *end)) break;
    if (end < text + size && *end) fail(err, M2M_EFORMAT, "%s: more text after the JSON value, at byte %zu", name, (size_t)(end - text));
    else if (!keys_differ(o, name, err)) return o;
    cJSON_Delete(o);
    return NULL;
}

cJSON *json_load(const char *path, size_t limit, m2m_error *err)
{
    uint8_t *data;
    size_t size;
    if (file_read_all(path, limit, &data, &size, err)) return NULL;
    cJSON *o = json_parse((const char *)data, size, path, err);
    free(data);
    return o;
}

const cJSON *json_get(const cJSON *o, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    return v && !cJSON_IsNull(v) ? v : NULL;
}

static int missing(const char *name, const char *key, bool required, m2m_error *err)
{
    return required ? fail(err, M2M_EFORMAT, "%s: key \"%s\" is missing", name, key) : 0;
}

static const char *kind_of(const cJSON *v)
{
    return cJSON_IsString(v) ? "a string" : cJSON_IsNumber(v) ? "a number" : cJSON_IsBool(v) ? "a boolean"
           : cJSON_IsArray(v) ? "an array" : cJSON_IsObject(v) ? "an object" : "null";
}

static int wrong_kind(const char *name, const char *key, const cJSON *v, const char *wanted, m2m_error *err)
{
    return fail(err, M2M_EFORMAT, "%s: \"%s\" is %s, wanted %s", name, key, kind_of(v), wanted);
}

int json_real(const cJSON *o, const char *name, const char *key, bool required, double min, double max, double *out,
              m2m_error *err)
{
    const cJSON *v = json_get(o, key);
    if (!v) return missing(name, key, required, err);
    if (!cJSON_IsNumber(v)) return wrong_kind(name, key, v, "a number", err);
    if (!(v->valuedouble >= min && v->valuedouble <= max))
        return fail(err, M2M_EFORMAT, "%s: \"%s\" is %g, wanted %g..%g", name, key, v->valuedouble, min, max);
    *out = v->valuedouble;
    return 0;
}

int json_int(const cJSON *o, const char *name, const char *key, bool required, int64_t min, int64_t max, int64_t *out,
             m2m_error *err)
{
    double real = 0;
    const cJSON *v = json_get(o, key);
    if (!v) return missing(name, key, required, err);
    int status = json_real(o, name, key, required, (double)min, (double)max, &real, err);
    if (status) return status;
    if (real != floor(real)) return fail(err, M2M_EFORMAT, "%s: \"%s\" is %g, wanted an integer", name, key, real);
    *out = (int64_t)real;
    return 0;
}

int json_bool(const cJSON *o, const char *name, const char *key, bool required, bool *out, m2m_error *err)
{
    const cJSON *v = json_get(o, key);
    if (!v) return missing(name, key, required, err);
    if (!cJSON_IsBool(v)) return wrong_kind(name, key, v, "true or false", err);
    *out = cJSON_IsTrue(v);
    return 0;
}

int json_text(const cJSON *o, const char *name, const char *key, bool required, const char **out, m2m_error *err)
{
    const cJSON *v = json_get(o, key);
    if (!v) return missing(name, key, required, err);
    if (!cJSON_IsString(v)) return wrong_kind(name, key, v, "a string", err);
    *out = v->valuestring;
    return 0;
}

char *json_quote(const char *text)
{
    cJSON *v = cJSON_CreateStringReference(text);
    char *quoted = v ? cJSON_PrintUnformatted(v) : NULL;
    cJSON_Delete(v);
    return quoted;
}
