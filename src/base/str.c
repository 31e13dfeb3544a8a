#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void str_free(str *s)
{
    free(s->data);
    *s = (str){0};
}

void str_clear(str *s)
{
    s->len = 0;
    s->failed = false;
    if (s->data) s->data[0] = 0;
}

/* Room for n more bytes and the zero. */
static bool reserve(str *s, size_t n)
{
    if (s->failed || n > SIZE_MAX / 2 - s->len - 1) {
        s->failed = true;
        return false;
    }
    size_t want = s->len + n + 1;
    if (want <= s->cap) return true;
    size_t cap = s->cap ? s->cap : 64;
    while (cap < want) cap *= 2;
    char *grown = realloc(s->data, cap);
    if (!grown) {
        s->failed = true;
        return false;
    }
    s->data = grown;
    s->cap = cap;
    return true;
}

void str_bytes(str *s, const void *data, size_t n)
{
    if (!reserve(s, n)) return;
    if (n) memcpy(s->data + s->len, data, n);
    s->len += n;
    s->data[s->len] = 0;
}

void str_add(str *s, const char *text)
{
    str_bytes(s, text, strlen(text));
}

void str_char(str *s, char c)
{
    str_bytes(s, &c, 1);
}

void str_vprintf(str *s, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0)
        s->failed = true;
    else if (reserve(s, (size_t)n)) {
        vsnprintf(s->data + s->len, (size_t)n + 1, fmt, again);
        s->len += (size_t)n;
    }
    va_end(again);
}

void str_printf(str *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str_vprintf(s, fmt, ap);
    va_end(ap);
}

void str_json(str *s, const char *text)
{
    size_t n = strlen(text);
    str_char(s, '"');
    while (n) {
        unsigned char c = (unsigned char)*text;
        int size = utf8_next(text, n, NULL);
        if (c == '"' || c == '\\')
            str_printf(s, "\\%c", c);
        else if (c == '\n')
            str_add(s, "\\n");
        else if (c == '\t')
            str_add(s, "\\t");
        else if (c < 0x20 || c == 0x7f)
            str_printf(s, "\\u%04x", c);
        else if (size == 0)
            str_add(s, "\xEF\xBF\xBD");
        else
            str_bytes(s, text, (size_t)size);
        text += size ? size : 1;
        n -= size ? (size_t)size : 1;
    }
    str_char(s, '"');
}

void str_markup(str *s, const char *text)
{
    for (const char *c = text; *c; c++) {
        switch (*c) {
        case '&': str_add(s, "&amp;"); break;
        case '<': str_add(s, "&lt;"); break;
        case '>': str_add(s, "&gt;"); break;
        case '"': str_add(s, "&quot;"); break;
        case '\'': str_add(s, "&#39;"); break;
        default: str_char(s, *c);
        }
    }
}

void str_number(str *s, double value)
{
    char buf[40];
    if (!isfinite(value)) {
        str_add(s, "null");
        return;
    }
    bool whole = fabs(value) < 1e15 && value == floor(value);       /* 10, where %g would write 1e+01 */
    if (whole) snprintf(buf, sizeof buf, "%.0f", value);
    for (int digits = 1; digits <= 17 && !whole; digits++) {
        snprintf(buf, sizeof buf, "%.*g", digits, value);
        if (strtod(buf, NULL) == value) break;
    }
    for (char *p = buf; *p; p++) {
        if (*p == ',') *p = '.';
    }
    str_add(s, buf);
}

char *str_take(str *s)
{
    if (!s->failed && !s->data) str_add(s, "");
    char *text = s->failed ? NULL : s->data;
    if (s->failed) free(s->data);
    *s = (str){0};
    return text;
}

int utf8_next(const char *p, size_t n, uint32_t *code)
{
    const unsigned char *u = (const unsigned char *)p;
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (n == 0) return 0;
    int size = u[0] < 0x80 ? 1 : u[0] >> 5 == 6 ? 2 : u[0] >> 4 == 14 ? 3 : u[0] >> 3 == 30 ? 4 : 0;
    if (size == 0 || (size_t)size > n) return 0;
    uint32_t c = size == 1 ? u[0] : u[0] & (0x7fu >> size);
    for (int i = 1; i < size; i++) {
        if (u[i] >> 6 != 2) return 0;
        c = c << 6 | (u[i] & 0x3f);
    }
    if (c < smallest[size] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
    if (code) *code = c;
    return size;
}

bool utf8_valid(const char *p, size_t n)
{
    while (n) {
        int size = utf8_next(p, n, NULL);
        if (!size) return false;
        p += size;
        n -= (size_t)size;
    }
    return true;
}

bool text_line(const char **at, const char *end, const char **line, size_t *n)
{
    if (*at == end) return false;
    const char *stop = memchr(*at, '\n', (size_t)(end - *at));
    *line = *at;
    *n = (size_t)((stop ? stop : end) - *at);
    *at = stop ? stop + 1 : end;
    if (stop && *n && (*line)[*n - 1] == '\r') --*n;
    return true;
}
