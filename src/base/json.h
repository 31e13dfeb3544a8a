/* JSON through cJSON, with what hostile files need: limits on size and depth before parsing, duplicate keys refused, and
 * getters whose errors name the file, the key, the value found and the value wanted. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

enum { JSON_DEPTH = 64 };

/* text need not end in zero. name is used in messages. The result is released with cJSON_Delete. NULL on failure. */
cJSON *json_parse(const char *text, size_t size, const char *name, m2m_error *err);
cJSON *json_load(const char *path, size_t limit, m2m_error *err);

/* Getters: an absent key leaves *out as it was and returns 0 if `required` is false. `name` is the file, for messages. */
int json_int(const cJSON *o, const char *name, const char *key, bool required, int64_t min, int64_t max, int64_t *out,
             m2m_error *err);
int json_real(const cJSON *o, const char *name, const char *key, bool required, double min, double max, double *out,
              m2m_error *err);
int json_bool(const cJSON *o, const char *name, const char *key, bool required, bool *out, m2m_error *err);
/* Borrowed from the document. */
int json_text(const cJSON *o, const char *name, const char *key, bool required, const char **out, m2m_error *err);
/* Present and not null. */
const cJSON *json_get(const cJSON *o, const char *key);

/* "text" with quotes and escapes for a JSON document, as a new string (free); NULL: out of memory. */
char *json_quote(const char *text);

#endif
