/* Conceptual 12M: cc12m.tsv, url<TAB>caption, a line each, with or without a header. There are no images here, so no
 * sets: every line is checked. */
#include "data/import_kind.h"

#include "base/error.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LINE = 1 << 16, DROP = 16 << 20, STEP = 4096 };

/* What is wrong with a line; NULL: nothing. */
static const char *fault_of(const char *line, size_t n)
{
    const char *tab = memchr(line, '\t', n), *end = line + n;
    if (n > LINE) return "it has more than 65536 bytes";
    if (!tab) return "it has one column; url and caption, with a tab between, were wanted";
    if (memchr(tab + 1, '\t', (size_t)(end - tab - 1))) return "it has more than two columns";
    if (!utf8_valid(line, n)) return "it is not UTF-8";
    for (const char *c = line; c < end; c++)
        if (((unsigned char)*c < 32 && c != tab) || *c == 127) return "it holds a control character";
    if (memchr(line, ' ', (size_t)(tab - line))) return "its address holds a blank";
    const char *host = memmem(line, (size_t)(tab - line), "://", 3);
    if (!host || host == line || host + 3 == tab) return "its first column is no address";
    const char *caption = tab + 1;
    while (caption < end && *caption == ' ') caption++;
    return caption < end ? NULL : "its caption is empty";
}

static bool is_header(const char *line, size_t n)
{
    return n == 11 && strncasecmp(line, "url\tcaption", n) == 0;
}

static int read_lines(import_source *s, const file_map *map, const char *path, m2m_error *err)
{
    const char *start = (const char *)map->data, *at = start, *end = start + map->size, *line;
    size_t n, dropped = 0;
    int64_t good = 0;
    int rc = 0;
    for (int64_t number = 1; !rc && text_line(&at, end, &line, &n); number++) {
        if (number == 1 && is_header(line, n)) continue;
        const char *why = fault_of(line, n);
        char where[300];
        s->records++;
        good += !why;
        snprintf(where, sizeof where, "%.200s, line %lld", path_base(path), (long long)number);
        if (why) problems_add(&s->problems, PROBLEM_RECORD, where, why);
        if ((size_t)(at - start) - dropped >= DROP) {
            file_map_drop(map, dropped, (size_t)(at - start) - dropped);
            dropped = (size_t)(at - start);
        }
        if (number % STEP == 0 || at == end) rc = import_progress(s, at - start, end - start, err);
    }
    s->usable = good > 0;
    return rc;
}

static int open_captions(import_source *s, m2m_error *err)
{
    char *path = dir_exists(s->path) ? path_join(s->path, "cc12m.tsv") : strdup(s->path);
    file_map map = {0};
    int rc = path ? file_map_open(&map, path, err) : fail(err, M2M_ENOMEM, "%s: no memory to open it", s->path);
    if (!rc) rc = read_lines(s, &map, path, err);
    file_map_close(&map);
    free(path);
    return rc;
}

static int read_none(const import_source *s, int64_t index, import_set *set, m2m_error *err)
{
    (void)set;
    (void)err;
    check(index < 0, "%s has no set %lld", s->path, (long long)index);
    return 0;
}

static void close_captions(import_source *s)
{
    (void)s;
}

const import_kind import_cc12m = {
    .open = open_captions,
    .read = read_none,
    .close = close_captions,
};
