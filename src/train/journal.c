#include "train/journal.h"

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 1 << 30, MAX_SERIES = 256 };

struct journal {
    char *path;
    int64_t dropped;
    journal_series *series; /* [n_series] */
    int n_series;
};

static journal_series *series_of(journal *j, const char *name)
{
    for (int i = 0; i < j->n_series; i++)
        if (!strcmp(j->series[i].name, name)) return &j->series[i];
    if (j->n_series == MAX_SERIES) return NULL;
    journal_series *all = realloc(j->series, (size_t)(j->n_series + 1) * sizeof *all);
    if (!all) return NULL;
    j->series = all;
    journal_series *s = &all[j->n_series];
    memset(s, 0, sizeof *s);
    s->name = strdup(name);
    if (s->name) j->n_series++;
    return s->name ? s : NULL;
}

/* Non-finite values are left out. False: no memory, or too many names. */
static bool remember(journal *j, int64_t step, const char *name, double value)
{
    if (!isfinite(value)) return true;
    journal_series *s = series_of(j, name);
    if (!s) return false;
    if (s->count == s->room) {
        int room = s->room ? 2 * s->room : 64;
        int64_t *steps = realloc(s->step, (size_t)room * sizeof *steps);
        if (steps) s->step = steps;
        double *values = realloc(s->value, (size_t)room * sizeof *values);
        if (values) s->value = values;
        if (!steps || !values) return false;
        s->room = room;
    }
    s->step[s->count] = step;
    s->value[s->count++] = value;
    return true;
}

/* A line of the file: true if it stays, and then its values are remembered. */
static bool take_line(journal *j, const char *line, size_t len, int64_t keep)
{
    cJSON *o = NULL;
    int64_t step = 0;
    bool stays = !json_parse(&o, line, len, NULL) && cJSON_IsObject(o) &&
                 !json_int(o, "step", 0, INT64_MAX >> 10, &step, NULL) && step <= keep;
    const cJSON *item;
    if (stays)
        cJSON_ArrayForEach(item, o) if (cJSON_IsNumber(item) && strcmp(item->string, "step"))
            remember(j, step, item->string, item->valuedouble);
    cJSON_Delete(o);
    return stays;
}

static int read_past(journal *j, int64_t keep, m2m_error *err)
{
    char *text = NULL;
    size_t size = 0;
    str kept = {0};
    int code = file_read_all(j->path, MAX_FILE, &text, &size, err);
    if (code) return code;
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t len = end ? (size_t)(end - text) - at : size - at;
        if (end && take_line(j, text + at, len, keep)) {
            str_bytes(&kept, text + at, len + 1);
        } else {
            j->dropped++;
        }
        at += len + 1;
    }
    free(text);
    if (kept.failed) code = fail(err, M2M_ENOMEM, "%s: no memory for %zu bytes", j->path, size);
    if (!code && j->dropped) code = file_write_all(j->path, kept.data, kept.len, err);
    str_free(&kept);
    return code;
}

int journal_open(journal **out, const char *path, int64_t keep, m2m_error *err)
{
    int code = 0;
    *out = NULL;
    journal *j = calloc(1, sizeof *j);
    if (!j || !(j->path = strdup(path))) {
        free(j);
        return fail(err, M2M_ENOMEM, "%s: no memory for a log", path);
    }
    if (keep >= 0 && file_exists(path)) {
        code = read_past(j, keep, err);
    } else {
        code = file_write_all(path, "", 0, err);
    }
    if (code) {
        journal_close(&j);
    } else {
        *out = j;
    }
    return code;
}

void journal_close(journal **j)
{
    if (!*j) return;
    for (int i = 0; i < (*j)->n_series; i++) {
        free((*j)->series[i].name);
        free((*j)->series[i].step);
        free((*j)->series[i].value);
    }
    free((*j)->series);
    free((*j)->path);
    free(*j);
    *j = NULL;
}

int64_t journal_dropped(const journal *j)
{
    return j->dropped;
}

int journal_write(journal *j, int64_t step, const journal_field *fields, int n, m2m_error *err)
{
    str line = {0};
    str_printf(&line, "{\"step\": %lld", (long long)step);
    for (int i = 0; i < n; i++) {
        str_add(&line, ", ");
        str_json(&line, fields[i].name);
        str_add(&line, ": ");
        str_number(&line, fields[i].value);
    }
    str_add(&line, "}\n");
    int code = line.failed ? fail(err, M2M_ENOMEM, "%s: no memory for a line", j->path)
                           : file_append(j->path, line.data, line.len, err);
    str_free(&line);
    for (int i = 0; i < n && !code; i++)
        if (!remember(j, step, fields[i].name, fields[i].value))
            code = fail(
                err, M2M_ENOMEM, "%s: no memory for the history of %s", j->path, fields[i].name);
    return code;
}

const journal_series *journal_at(const journal *j, int i)
{
    return i < j->n_series ? &j->series[i] : NULL;
}

const journal_series *journal_find(const journal *j, const char *name)
{
    for (int i = 0; i < j->n_series; i++)
        if (!strcmp(j->series[i].name, name)) return &j->series[i];
    return NULL;
}
