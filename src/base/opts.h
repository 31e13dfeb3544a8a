/* The option engine. A .def table is the single place where an option is declared; from its rows come the field of a
 * struct, a flag, a JSON key, the default, the range check, a line of help and an entry in a record.
 *
 * Messages name the option, the value found and the value wanted. An unknown name is refused with the nearest known
 * one. */
#ifndef BASE_OPTS_H
#define BASE_OPTS_H

#include "base/error.h"
#include "m2m_train.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

/* The row of that name (- and _ are the same), or NULL. */
const m2m_option *opts_find(const m2m_option_table *t, const char *name);

/* The name in the table that differs least from `name`; NULL when none is similar. */
const char *opts_nearest(const m2m_option_table *t, const char *name);

void opts_defaults(const m2m_option_table *t, void *options);

/* Parses, checks and stores one value. TEXT fields keep the pointer `value`. */
int opts_set(const m2m_option_table *t, void *options, const char *name, const char *value, m2m_error *err);

/* All fields are within their ranges and choices; TEXT fields without a default may be NULL. For structs that
 * were filled by hand. */
int opts_check(const m2m_option_table *t, const void *options, m2m_error *err);

/* Stores all members of a JSON object; fields that it lacks stay as they are. An array of strings becomes one text
 * joined with commas, in place, so `object` changes; TEXT fields point into it: it must outlive them. null: not
 * given. */
int opts_from_json(const m2m_option_table *t, void *options, cJSON *object, m2m_error *err);

/* All fields as a new JSON object, in the order of the table; NULL TEXT fields are null. NULL: out of memory. */
cJSON *opts_to_json(const m2m_option_table *t, const void *options);

/* "an integer in 1..1000", "one of ddim, euler": what the row accepts, into buf; returns buf. */
const char *opts_wanted(const m2m_option *row, char *buf, size_t size);

/* How far apart two names are: insertions, deletions, replacements and swaps of neighbours; - is _ and case is
 * ignored. */
int opts_distance(const char *a, const char *b);

#endif
