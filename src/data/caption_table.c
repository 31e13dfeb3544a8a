#include "data/caption_table.h"

#include "base/file.h"
#include "base/str.h"
#include "data/captions.h"
#include "image/codec.h"

#include <stdlib.h>
#include <string.h>

static const size_t MOST_BYTES = (size_t)1 << 30;

typedef struct row {
    char *stem, *caption;
    int64_t line;
} row;

struct caption_table {
    row *rows;
    int64_t n, room;
};

static int add_row(caption_table *t, const char *line, size_t n, int64_t number, m2m_error *err)
{
    const char *tab = memchr(line, '\t', n);
    if (!tab || tab == line) return fail(err, M2M_EFORMAT, "wanted NAME, a tab and the caption");
    if (t->n == t->room) {
        const int64_t room = t->room ? 2 * t->room : 256;
        row *more = realloc(t->rows, (size_t)room * sizeof *more);
        if (!more) return fail(err, M2M_ENOMEM, "no memory for %lld captions", (long long)room);
        t->rows = more;
        t->room = room;
    }
    row r = {.stem = strndup(line, (size_t)(tab - line)), .line = number};
    int rc = r.stem ? caption_take(tab + 1, n - (size_t)(tab + 1 - line), &r.caption, err)
                    : fail(err, M2M_ENOMEM, "no memory for a caption");
    if (rc) {
        free(r.stem);
        return rc;
    }
    if (image_format_of(r.stem) != IMAGE_UNKNOWN) *strrchr(r.stem, '.') = 0;
    t->rows[t->n++] = r;
    return 0;
}

static int by_stem(const void *a, const void *b)
{
    const row *p = a, *q = b;
    const int c = strcmp(p->stem, q->stem);
    return c ? c : (p->line > q->line) - (p->line < q->line);
}

static int read_rows(caption_table *t, const char *text, size_t size, const char *path, m2m_error *err)
{
    const char *line, *end = text + size;
    size_t n;
    int64_t number = 0;
    int rc = 0;
    while (!rc && text_line(&text, end, &line, &n)) {
        number++;
        if (n) rc = add_row(t, line, n, number, err);
    }
    if (rc) return fail_prefix(err, rc, "%s: line %lld", path, (long long)number);
    if (!t->n) return fail(err, M2M_EFORMAT, "%s: holds no caption, wanted lines of NAME, a tab and the caption", path);
    qsort(t->rows, (size_t)t->n, sizeof *t->rows, by_stem);
    for (int64_t i = 1; i < t->n; i++)
        if (!strcmp(t->rows[i - 1].stem, t->rows[i].stem))
            return fail(err, M2M_EFORMAT, "%s: line %lld: %.200s was named in line %lld already", path,
                        (long long)t->rows[i].line, t->rows[i].stem, (long long)t->rows[i - 1].line);
    return 0;
}

int caption_table_open(caption_table **out, const char *path, m2m_error *err)
{
    caption_table *t = calloc(1, sizeof *t);
    char *text = NULL;
    size_t size = 0;
    int rc = t ? file_read_all(path, MOST_BYTES, &text, &size, err) : fail(err, M2M_ENOMEM, "%s: no memory", path);
    if (!rc) rc = read_rows(t, text, size, path, err);
    free(text);
    if (rc) caption_table_close(&t);
    *out = t;
    return rc;
}

void caption_table_close(caption_table **out)
{
    caption_table *t = *out;
    if (!t) return;
    for (int64_t i = 0; i < t->n; i++) {
        free(t->rows[i].stem);
        free(t->rows[i].caption);
    }
    free(t->rows);
    free(t);
    *out = NULL;
}

const char *caption_table_find(const caption_table *t, const char *stem, size_t n)
{
    int64_t low = 0, high = t->n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const int c = strncmp(t->rows[middle].stem, stem, n);
        if (c < 0) low = middle + 1;
        else high = middle;
    }
    /* Rows that begin with the stem follow one another, the one that is no longer first. */
    return low < t->n && !strncmp(t->rows[low].stem, stem, n) && !t->rows[low].stem[n] ? t->rows[low].caption : NULL;
}
