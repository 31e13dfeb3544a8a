/* JSON from outside: checked strictly before cJSON sees it, then read by getters whose errors
 * name key, value and what was wanted. Callers put the file's name in front with fail_prefix.
 * Writing JSON: str_json, str_number (base/str.h). */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "m2m.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

enum { JSON_DEPTH = 64 };                        /* most brackets open at once */
enum { JSON_VALUES = 8 << 20 };                  /* most values in one text: bounds the memory, about 100 bytes each */
enum { JSON_FILE = 64 << 20 };                   /* most bytes that json_load takes */

/* Is text[0..len-1] exactly one JSON value (RFC 8259) in UTF-8, within the limits, without NUL
 * in a string? Errors: M2M_EFORMAT with line and reason. */
int json_check(const char *text, size_t len, m2m_error *err);
/* json_check, then parse; objects with two equal keys are refused too. *out is to be released
 * with cJSON_Delete. Errors: M2M_EFORMAT, M2M_ENOMEM. */
int json_parse(cJSON **out, const char *text, size_t len, m2m_error *err);
/* json_parse of a file; errors begin with its path. Also M2M_EIO. */
int json_load(cJSON **out, const char *path, m2m_error *err);
/* Writes `root` to the file, indented, atomically. Errors: M2M_EIO, M2M_ENOMEM. */
int json_save(const cJSON *root, const char *path, m2m_error *err);

/* A text too large to be held as values: an object whose members are lists of records (COCO's
 * annotations), or a list of records. Each element of those lists is checked as json_check does
 * and handed to `each` as its text, in the order of the file; other members are checked only.
 * Needs no memory of its own. `each` returns 0 to go on or an error, which json_walk returns. On
 * M2M_EFORMAT (line and reason) the records before the fault have been handed over. */
typedef struct json_record {
    const char *list;          /* the list's key as written, its first 63 bytes; "" when the text is a list */
    int64_t index;             /* in the list */
    const char *text;          /* borrowed from the walked text, not zero-terminated: for json_parse */
    size_t len;
} json_record;
typedef int (*json_each)(void *user, const json_record *r, m2m_error *err);
int json_walk(const char *text, size_t len, json_each each, void *user, m2m_error *err);

/* Getters of an object's members. Errors: M2M_EFORMAT when the member is absent, null, of
 * another type or out of range; *out is then untouched. json_or_… leave *out as it is when the
 * member is absent or null. Names match exactly. */
const cJSON *json_member(const cJSON *object, const char *key);   /* NULL when absent or null */
int json_int(const cJSON *object, const char *key, int64_t min, int64_t max, int64_t *out, m2m_error *err);
int json_real(const cJSON *object, const char *key, double min, double max, double *out, m2m_error *err);
int json_bool(const cJSON *object, const char *key, bool *out, m2m_error *err);
int json_text(const cJSON *object, const char *key, const char **out, m2m_error *err);   /* borrowed from the object */
/* An array of 0 to `room` integers; *n gets how many. */
int json_ints(const cJSON *object, const char *key, int64_t min, int64_t max, int64_t *out, int room, int *n,
              m2m_error *err);
int json_reals(const cJSON *object, const char *key, double min, double max, double *out, int room, int *n,
               m2m_error *err);
int json_or_int(const cJSON *object, const char *key, int64_t min, int64_t max, int64_t *out, m2m_error *err);
int json_or_real(const cJSON *object, const char *key, double min, double max, double *out, m2m_error *err);
int json_or_bool(const cJSON *object, const char *key, bool *out, m2m_error *err);
int json_or_text(const cJSON *object, const char *key, const char **out, m2m_error *err);

/* o[key] = item, which is taken, in the place of what is there. false: no memory, or item is NULL. */
bool json_set(cJSON *o, const char *key, cJSON *item);

/* What was made before, with the settings in `have` (of the file at `path`), can be gone on with by whoever asks for
 * `want`: each member of `want` is the same in `have`. Errors: M2M_EINVAL names the first that is not. */
int json_agree(const cJSON *have, const cJSON *want, const char *path, m2m_error *err);

/* What a value is, shortened, for messages: "the text \"abc\"", "12", "an object"; into buf,
 * returns buf. */
const char *json_found(const cJSON *value, char *buf, size_t size);
/* Is this number an integer in min..max that a double holds exactly? */
bool json_is_int(const cJSON *value, int64_t min, int64_t max, int64_t *out);

#endif
