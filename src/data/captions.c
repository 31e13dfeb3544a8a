#include "data/captions.h"

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

enum { BUFFER = 1 << 18 };

struct caption_file {
    char *path;
    gzFile file;               /* reads plain files as they are */
    char *buffer;              /* [BUFFER]: bytes at..used are to be read */
    size_t at, used;
    int64_t next;              /* offset of buffer[at] */
    char *line;                /* [CAPTION_BYTES + 1] */
    int64_t row;
    int column;                /* 0 is the first */
};

/* ---- Lines ---- */

static int fill(caption_file *c, m2m_error *err)
{
    int n = gzread(c->file, c->buffer, BUFFER), code = 0;
    const char *why = gzerror(c->file, &code);
    /* Trap: a packed file that ends too early gives what there is, then 0 and Z_BUF_ERROR. */
    if (code == Z_ERRNO) return fail(err, M2M_EIO, "%s: can't read it: %s", c->path, strerror(errno));
    if (n < 0 || (n == 0 && code != Z_OK && code != Z_STREAM_END))
        return fail(err, M2M_EFORMAT, "%s: damaged gzip data before byte %lld of the unpacked file: %s", c->path,
                    (long long)c->next, code == Z_BUF_ERROR ? "it ends too early" : why);
    c->at = 0;
    c->used = (size_t)n;
    return n > 0;
}

/* One line into c->line, zero-terminated and without its end. *len counts all bytes of it, also those that did not fit.
 * 1: there was one. */
static int read_line(caption_file *c, size_t *len, m2m_error *err)
{
    bool any = false, ended = false;
    *len = 0;
    while (!ended) {
        if (c->at == c->used) {
            int rc = fill(c, err);
            if (rc < 0) return rc;
            if (rc == 0) break;
        }
        const char *from = c->buffer + c->at, *end = memchr(from, '\n', c->used - c->at);
        size_t n = end ? (size_t)(end - from) : c->used - c->at;
        size_t room = *len < CAPTION_BYTES ? CAPTION_BYTES - *len : 0;
        memcpy(c->line + (CAPTION_BYTES - room), from, n < room ? n : room);
        *len += n;
        any = true;
        ended = end != NULL;
        c->at += n + ended;
        c->next += (int64_t)(n + ended);
    }
    c->line[*len < CAPTION_BYTES ? *len : CAPTION_BYTES] = 0;
    return any;
}

/* ---- Columns ---- */

static bool is_space(char ch)
{
    return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

void caption_trim(const char **text, size_t *len)
{
    while (*len && is_space((*text)[*len - 1])) --*len;
    while (*len && is_space(**text)) ++*text, --*len;
}

/* Column number `wanted` of a line; false when it has fewer. */
static bool column_of(const char *line, size_t len, int wanted, const char **text, size_t *n)
{
    const char *end = line + len;
    for (int i = 0;; i++) {
        const char *tab = memchr(line, '\t', (size_t)(end - line));
        const char *stop = tab ? tab : end;
        if (i == wanted) {
            *text = line;
            *n = (size_t)(stop - line);
            caption_trim(text, n);
            return true;
        }
        if (!tab) return false;
        line = tab + 1;
    }
}

/* The column called "caption" of a header line, or -1. */
static int header_column(const char *line, size_t len)
{
    const char *text;
    size_t n;
    int found = -1;
    for (int i = 0; i < CAPTION_COLUMNS && column_of(line, len, i, &text, &n); i++) {
        if (memmem(text, n, "://", 3)) return -1;
        if (found < 0 && n == 7 && !strncasecmp(text, "caption", 7)) found = i;
    }
    return found;
}

static void judge(const caption_file *c, size_t len, caption_line *line)
{
    line->text = "";
    line->len = 0;
    const char *text;
    size_t n;
    if (len > CAPTION_BYTES) line->state = CAPTION_LINE_LONG;
    else if (!column_of(c->line, len, c->column, &text, &n)) line->state = CAPTION_NO_COLUMN;
    else if (!n) line->state = CAPTION_EMPTY;
    else if (memchr(text, 0, n) || !utf8_valid(text, n)) line->state = CAPTION_NOT_TEXT;
    else {
        line->state = CAPTION_GOOD;
        c->line[text - c->line + (ptrdiff_t)n] = 0;
        line->text = text;
        line->len = n;
    }
}

int captions_next(caption_file *c, caption_line *line, m2m_error *err)
{
    size_t len;
    int64_t offset = c->next;
    int rc = read_line(c, &len, err);
    if (rc <= 0) return rc;
    line->row = c->row++;
    line->offset = offset;
    judge(c, len, line);
    return 1;
}

/* ---- Opening ---- */

int captions_seek(caption_file *c, int64_t row, int64_t offset, m2m_error *err)
{
    if (gzseek(c->file, offset, SEEK_SET) != offset)
        return fail(err, M2M_EIO, "%s: can't go to byte %lld of it, unpacked", c->path, (long long)offset);
    c->at = c->used = 0;
    c->next = offset;
    c->row = row;
    return 0;
}

/* Goes behind a byte order mark and a header. */
static int read_header(caption_file *c, m2m_error *err)
{
    size_t len, mark = 0;
    int rc = read_line(c, &len, err);
    if (rc <= 0) return rc;
    if (len >= 3 && !memcmp(c->line, "\xef\xbb\xbf", 3)) mark = 3;
    int column = len <= CAPTION_BYTES ? header_column(c->line + mark, len - mark) : -1;
    if (column < 0) return captions_seek(c, 0, (int64_t)mark, err);
    c->column = column;
    return 0;
}

int captions_open(caption_file **out, const char *path, int column, m2m_error *err)
{
    if (!file_exists(path)) return fail(err, M2M_EIO, "%s: no such file; wanted captions, url<TAB>caption", path);
    caption_file *c = calloc(1, sizeof *c);
    if (!c) return fail(err, M2M_ENOMEM, "%s: no memory to read it", path);
    c->path = strdup(path);
    c->buffer = malloc(BUFFER);
    c->line = malloc(CAPTION_BYTES + 1);
    c->column = column - 1;
    int rc = c->path && c->buffer && c->line ? 0 : fail(err, M2M_ENOMEM, "%s: no memory to read it", path);
    if (!rc && !(c->file = gzopen(path, "rbe")))
        rc = fail(err, errno == ENOMEM ? M2M_ENOMEM : M2M_EIO, "%s: can't open it: %s", path, strerror(errno));
    if (!rc) gzbuffer(c->file, BUFFER);
    if (!rc) rc = read_header(c, err);
    if (rc) captions_close(&c);
    else *out = c;
    return rc;
}

void captions_close(caption_file **out)
{
    caption_file *c = *out;
    if (!c) return;
    if (c->file) gzclose_r(c->file);
    free(c->path);
    free(c->buffer);
    free(c->line);
    free(c);
    *out = NULL;
}

int64_t captions_done(const caption_file *c) { return gzoffset(c->file); }
const char *captions_path(const caption_file *c) { return c->path; }

/* ---- Captions of samples ---- */

int caption_take(const char *text, size_t n, char **caption, m2m_error *err)
{
    caption_trim(&text, &n);
    if (!n) return fail(err, M2M_EFORMAT, "its caption is empty");
    if (n > CAPTION_BYTES)
        return fail(err, M2M_EFORMAT, "its caption has %zu bytes, wanted %d or less", n, CAPTION_BYTES);
    if (memchr(text, 0, n) || !utf8_valid(text, n)) return fail(err, M2M_EFORMAT, "its caption is no UTF-8 text");
    *caption = strndup(text, n);
    return *caption ? 0 : fail(err, M2M_ENOMEM, "no memory for a caption");
}

static int json_caption(const char *json, size_t size, char **caption, m2m_error *err)
{
    cJSON *o = NULL;
    const char *text = NULL;
    int status = json_parse(&o, json, size, err);
    if (status) return fail_prefix(err, status, "its .json");
    status = json_or_text(o, "caption", &text, err);
    if (!status && !text)
        status = fail(err, M2M_EFORMAT, "has no caption, wanted a member .txt, or \"caption\" in its .json");
    if (!status) status = caption_take(text, strlen(text), caption, err);
    cJSON_Delete(o);
    return status;
}

int caption_choose(caption_member text, caption_member json, char **caption, m2m_error *err)
{
    *caption = NULL;
    if (text.data) return caption_take(text.data, text.size, caption, err);
    return json.data ? json_caption(json.data, json.size, caption, err) : json_caption("{}", 2, caption, err);
}
