#include "models/reader.h"

#include <string.h>

int reader_int(reader *r, const char *key, int64_t otherwise, int64_t min, int64_t max)
{
    if (!r->status) r->status = json_or_int(r->o, key, min, max, &otherwise, r->err);
    return (int)otherwise;
}

float reader_real(reader *r, const char *key, double otherwise, double min, double max)
{
    if (!r->status) r->status = json_or_real(r->o, key, min, max, &otherwise, r->err);
    return (float)otherwise;
}

bool reader_bool(reader *r, const char *key, bool otherwise)
{
    if (!r->status) r->status = json_or_bool(r->o, key, &otherwise, r->err);
    return otherwise;
}

const char *reader_text(reader *r, const char *key, const char *otherwise)
{
    if (!r->status) r->status = json_or_text(r->o, key, &otherwise, r->err);
    return otherwise;
}

void reader_refuse(reader *r, int code, const char *key, const char *found, const char *wanted)
{
    if (!r->status) r->status = fail(r->err, code, "\"%s\" is %s, wanted %s", key, found, wanted);
}

void reader_only_text(reader *r, const char *key, const char *value)
{
    const char *found = reader_text(r, key, value);
    if (strcmp(found, value)) reader_refuse(r, M2M_EUNSUPPORTED, key, found, value);
}

void reader_only_bool(reader *r, const char *key, bool value)
{
    if (reader_bool(r, key, value) != value)
        reader_refuse(r, M2M_EUNSUPPORTED, key, value ? "false" : "true", value ? "true" : "false");
}

void reader_only_null(reader *r, const char *key)
{
    if (!r->status && json_member(r->o, key)) reader_refuse(r, M2M_EUNSUPPORTED, key, "set", "null");
}
