/* A strict JSON checker. cJSON is lenient (NUL in strings, raw control characters, "01", broken
 * UTF-8) and recurses; what this lets through, it reads in one way only. The stack of open
 * brackets is one bit each. */
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

#include <string.h>

typedef struct scan {
    const char *text;
    size_t at, len;
    int64_t values;
    const char *wrong; /* what is wrong at `at`; NULL so far */
} scan;

static int peek(const scan *s)
{
    return s->at < s->len ? (unsigned char)s->text[s->at] : -1;
}

static bool wrong(scan *s, const char *what)
{
    if (!s->wrong) s->wrong = what;
    return false;
}

static void skip_space(scan *s)
{
    while (s->at < s->len && memchr(" \t\n\r", s->text[s->at], 4)) s->at++;
}

static int hex4(const scan *s)
{
    int value = 0;
    if (s->len - s->at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int c = (unsigned char)s->text[s->at + (size_t)i], lower = c | 0x20;
        int digit = c >= '0' && c <= '9'           ? c - '0'
                    : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10
                                                   : -1;
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* Behind "\u". */
static bool scan_unicode(scan *s)
{
    int c = hex4(s);
    if (c < 0) return wrong(s, "\\u needs four hexadecimal digits");
    if (c == 0) return wrong(s, "a string holds \\u0000");
    s->at += 4;
    if (c >= 0xdc00 && c < 0xe000) return wrong(s, "half of a surrogate pair");
    if (c < 0xd800 || c >= 0xe000) return true;
    if (s->len - s->at < 6 || s->text[s->at] != '\\' || s->text[s->at + 1] != 'u')
        return wrong(s, "half of a surrogate pair");
    s->at += 2;
    c = hex4(s);
    if (c < 0xdc00 || c >= 0xe000) return wrong(s, "half of a surrogate pair");
    s->at += 4;
    return true;
}

/* At the opening quote. */
static bool scan_string(scan *s)
{
    s->at++;
    for (;;) {
        int c = peek(s);
        if (c < 0) return wrong(s, "a string does not end");
        if (c < 0x20) return wrong(s, "a string holds a control character");
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c == '\\') {
            s->at++;
            int e = peek(s);
            if (e < 0 || !strchr("\"\\/bfnrtu", e))
                return wrong(s, "an unknown escape in a string");
            s->at++;
            if (e == 'u' && !scan_unicode(s)) return false;
            continue;
        }
        int size = utf8_next(s->text + s->at, s->len - s->at, NULL);
        if (!size) return wrong(s, "a string is not UTF-8");
        s->at += (size_t)size;
    }
}

static int scan_digits(scan *s)
{
    int n = 0;
    while (peek(s) >= '0' && peek(s) <= '9') {
        s->at++;
        n++;
    }
    return n;
}

static bool scan_number(scan *s)
{
    size_t start = s->at;
    if (peek(s) == '-') s->at++;
    bool zero = peek(s) == '0';
    int digits = scan_digits(s);
    if (digits == 0 || (zero && digits > 1)) return wrong(s, "not a number");
    if (peek(s) == '.') {
        s->at++;
        if (scan_digits(s) == 0) return wrong(s, "not a number");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-') s->at++;
        if (scan_digits(s) == 0) return wrong(s, "not a number");
    }
    if (s->at - start > 60) return wrong(s, "a number of more than 60 characters");
    return true;
}

static bool scan_word(scan *s, const char *word)
{
    size_t n = strlen(word);
    if (s->len - s->at < n || memcmp(s->text + s->at, word, n) != 0)
        return wrong(s, "a value was wanted");
    s->at += n;
    return true;
}

/* A value that is no bracket. */
static bool scan_plain(scan *s)
{
    int c = peek(s);
    if (c == '"') return scan_string(s);
    if (c == '-' || (c >= '0' && c <= '9')) return scan_number(s);
    return scan_word(s, c == 't' ? "true" : c == 'f' ? "false" : "null");
}

/* The key and colon of a member. */
static bool scan_key(scan *s)
{
    skip_space(s);
    if (peek(s) != '"') return wrong(s, "a key in quotes was wanted");
    if (!scan_string(s)) return false;
    skip_space(s);
    if (peek(s) != ':') return wrong(s, "':' was wanted");
    s->at++;
    return true;
}

/* Behind a value: closes what ends here; true when another value must follow. Sets *depth to 0
 * at the end of the text's value. */
static bool scan_after(scan *s, uint64_t objects, int *depth)
{
    while (*depth) {
        bool object = objects >> (*depth - 1) & 1;
        skip_space(s);
        int c = peek(s);
        if (c == ',') {
            s->at++;
            return !object || scan_key(s);
        }
        if (c != (object ? '}' : ']'))
            return wrong(s, object ? "',' or '}' was wanted" : "',' or ']' was wanted");
        s->at++;
        (*depth)--;
    }
    return false;
}

/* Opens a bracket; *empty when it closes at once. */
static bool scan_open(scan *s, uint64_t *objects, int *depth, bool *empty)
{
    bool object = peek(s) == '{';
    if (*depth == JSON_DEPTH) return wrong(s, "more than 64 brackets are open");
    s->at++;
    skip_space(s);
    *empty = peek(s) == (object ? '}' : ']');
    if (*empty) {
        s->at++;
        return true;
    }
    uint64_t bit = 1ull << *depth;
    *objects = object ? *objects | bit : *objects & ~bit;
    (*depth)++;
    return !object || scan_key(s);
}

/* One value, from `at` to its last byte. */
static bool scan_value(scan *s)
{
    uint64_t objects = 0;
    int depth = 0;
    s->values = 0;
    do {
        bool empty = true;
        skip_space(s);
        if (++s->values > JSON_VALUES) return wrong(s, "more than 8388608 values");
        int c = peek(s);
        if (c == '{' || c == '[') {
            if (!scan_open(s, &objects, &depth, &empty)) return false;
            if (!empty) continue;
        } else if (!scan_plain(s)) {
            return false;
        }
        if (!scan_after(s, objects, &depth)) break;
    } while (!s->wrong);
    return !s->wrong;
}

static int finish(scan *s, m2m_error *err)
{
    skip_space(s);
    if (!s->wrong && s->at != s->len) wrong(s, "something follows the end of the value");
    if (!s->wrong) return 0;
    size_t line = 1;
    for (size_t i = 0; i < s->at; i++) line += s->text[i] == '\n';
    return fail(err, M2M_EFORMAT, "JSON, line %zu, byte %zu of %zu: %s", line, s->at, s->len, s->wrong);
}

int json_check(const char *text, size_t len, m2m_error *err)
{
    scan s = {.text = text, .len = len};
    scan_value(&s);
    return finish(&s, err);
}

/* ---- Large texts ---- */

/* Eats `c` if it is next. */
static bool take(scan *s, char c)
{
    skip_space(s);
    if (peek(s) != c) return false;
    s->at++;
    return true;
}

/* Behind an element: *more when another follows; false when something is wrong. */
static bool take_comma(scan *s, char close, bool *more)
{
    *more = take(s, ',');
    if (*more || take(s, close)) return true;
    return wrong(s, close == '}' ? "',' or '}' was wanted" : "',' or ']' was wanted");
}

/* The elements of the array that begins here; `each` sees one after the other. */
static int walk_array(scan *s, json_record *r, json_each each, void *user, m2m_error *err)
{
    bool more = true;
    s->at++;
    if (take(s, ']')) return 0;
    for (r->index = 0; more; r->index++) {
        skip_space(s);
        size_t start = s->at;
        if (!scan_value(s)) return 0;
        r->text = s->text + start;
        r->len = s->at - start;
        int rc = each(user, r, err);
        if (rc) return rc;
        if (!take_comma(s, ']', &more)) return 0;
    }
    return 0;
}

static int walk_member(scan *s, json_each each, void *user, m2m_error *err)
{
    char list[64];
    skip_space(s);
    size_t start = s->at + 1;
    if (!scan_key(s)) return 0;
    const char *end = memchr(s->text + start, '"', s->at - start);
    size_t n = (size_t)(end - (s->text + start));
    if (n >= sizeof list) n = sizeof list - 1;
    memcpy(list, s->text + start, n);
    list[n] = 0;
    skip_space(s);
    if (peek(s) != '[') return scan_value(s), 0;
    json_record r = {.list = list};
    return walk_array(s, &r, each, user, err);
}

int json_walk(const char *text, size_t len, json_each each, void *user, m2m_error *err)
{
    scan s = {.text = text, .len = len};
    int rc = 0;
    bool more = true;
    skip_space(&s);
    if (peek(&s) == '[') {
        json_record r = {.list = ""};
        rc = walk_array(&s, &r, each, user, err);
    } else if (!take(&s, '{')) {
        wrong(&s, "an object of lists or a list was wanted");
    } else if (!take(&s, '}')) {
        while (more && !rc && !s.wrong) {
            rc = walk_member(&s, each, user, err);
            if (!rc && !s.wrong) take_comma(&s, '}', &more);
        }
    }
    return rc ? rc : finish(&s, err);
}
