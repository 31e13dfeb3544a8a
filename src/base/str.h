/* Growable text. A failure to grow sticks, so that many pieces can be added and one question
 * asked at the end:
 *
 *     str s = {0};
 *     str_printf(&s, "%d images", n);
 *     if (s.failed) …
 *     char *text = str_take(&s); */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct str {
    char *data;                /* owned; NULL while empty, else a zero byte follows the last */
    size_t len, cap;
    bool failed;               /* memory ran out: data holds what fitted */
} str;

void str_free(str *s);
void str_clear(str *s);        /* empty again, memory kept */
void str_bytes(str *s, const void *data, size_t n);
void str_add(str *s, const char *text);
void str_char(str *s, char c);
void str_printf(str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_vprintf(str *s, const char *fmt, va_list ap);
/* The text as a JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD. */
void str_json(str *s, const char *text);
/* The text within HTML or SVG, also within a quoted attribute: & < > " ' as entities. */
void str_markup(str *s, const char *text);
/* A finite number in its shortest form that reads back as the same double, never with a decimal
 * comma; null if not finite. */
void str_number(str *s, double value);
/* Gives the text ("" when empty) to the caller, to be freed; *s is empty then. NULL when it
 * failed. */
char *str_take(str *s);

/* The next line of the text *at..end-1 without its newline (and without a carriage return before
 * that), *at behind it; false at the end. */
bool text_line(const char **at, const char *end, const char **line, size_t *n);

/* Bytes of the UTF-8 character that p[0..n-1] starts with (1 to 4), its code point in *code (may
 * be NULL); 0: not UTF-8. */
int utf8_next(const char *p, size_t n, uint32_t *code);
bool utf8_valid(const char *p, size_t n);

#endif
