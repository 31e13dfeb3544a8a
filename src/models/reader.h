/* Reading a configuration's keys. The first error sticks, so that what reads a document is a list of keys from top to
 * bottom, and one question asked at the end:
 *
 *     reader r = {.o = json, .err = err};
 *     v->layers = reader_int(&r, "layers_per_block", 1, 1, 7);
 *     reader_only_text(&r, "act_fn", "silu");
 *     return r.status; */
#ifndef MODELS_READER_H
#define MODELS_READER_H

#include "base/error.h"
#include "base/json.h"

typedef struct reader {
    const cJSON *o;
    m2m_error *err;
    int status;
} reader;

/* The member's value, `otherwise` where it is absent, null or an error has stuck. */
int reader_int(reader *r, const char *key, int64_t otherwise, int64_t min, int64_t max);
float reader_real(reader *r, const char *key, double otherwise, double min, double max);
bool reader_bool(reader *r, const char *key, bool otherwise);
const char *reader_text(reader *r, const char *key, const char *otherwise);

/* "key" is FOUND, wanted WANTED. */
void reader_refuse(reader *r, int code, const char *key, const char *found, const char *wanted);

/* Keys that m2m knows only one value of. */
void reader_only_text(reader *r, const char *key, const char *value);
void reader_only_bool(reader *r, const char *key, bool value);
void reader_only_null(reader *r, const char *key);

#endif
