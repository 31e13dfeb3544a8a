/* m2m_tokenize: token ids of a file's lines. */
#include "m2m_train.h"

#include "base/error.h"
#include "base/file.h"
#include "base/str.h"
#include "models/component.h"
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

typedef struct job {
    tokenizer *t;
    int length;              /* 0: all ids; else padded and cut to this */
    tokens ids;
    str line;
} job;

static int open_tokenizer(job *j, const char *dir, bool padded, m2m_error *err)
{
    char *inner = tokenizer_dir(dir);
    if (!inner) return fail(err, M2M_ENOMEM, "%s: no memory to open it", dir);
    int status = tokenizer_open(&j->t, inner, err);
    if (!status && padded && (j->length = tokenizer_max_length(j->t)) == 0)
        status = fail(err, M2M_EFORMAT, "%s: tokenizer_config.json has no model_max_length to pad to", inner);
    free(inner);
    return status;
}

static int tokenize(job *j, const char *text, size_t n, const m2m_calls *calls, m2m_error *err)
{
    j->ids.count = 0;
    int status = j->length ? 0 : tokenizer_encode(j->t, text, n, &j->ids, err);
    if (j->length) {
        for (int i = 0; i < j->length; i++) tokens_add(&j->ids, 0);
        if (!j->ids.failed) status = tokenizer_encode_padded(j->t, text, n, j->ids.id, j->length, err);
    }
    if (status) return status;
    str_clear(&j->line);
    for (int i = 0; i < j->ids.count; i++) str_printf(&j->line, "%s%d", i ? ", " : "[", (int)j->ids.id[i]);
    str_char(&j->line, ']');
    if (j->ids.failed || j->line.failed) return fail(err, M2M_ENOMEM, "no memory for %d ids", j->ids.count);
    if (calls && calls->line) calls->line(calls->user, j->line.data);
    return 0;
}

int m2m_tokenize(const char *dir, const char *file, int padded, const m2m_calls *calls, m2m_error *err)
{
    job j = {0};
    file_map map = {0};
    int64_t number = 0;
    int status = open_tokenizer(&j, dir, padded != 0, err);
    if (!status) status = file_map_open(&map, file, err);
    const char *at = (const char *)map.data, *end = at ? at + map.size : at;
    while (!status && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        number++;
        status = tokenize(&j, at, (size_t)((stop ? stop : end) - at), calls, err);
        if (status) fail_prefix(err, status, "%s: line %lld", file, (long long)number);
        at = stop ? stop + 1 : end;
    }
    file_map_close(&map);
    tokens_free(&j.ids);
    str_free(&j.line);
    tokenizer_close(&j.t);
    return status;
}
