#include "text/unicode.h"

#include "base/error.h"

#include <stdlib.h>
#include <utf8proc.h>

static bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Characters of Unicode 15.1 to 17 that transformers' tokenizers 0.23 knows and Debian 12's utf8proc (Unicode 15) does
 * not: found by asking both about every code point. */
typedef struct span {
    uint32_t first, last;
} span;

static const span new_letters[] = {
    {0x1c89, 0x1c8a}, {0xa7cb, 0xa7cd}, {0xa7da, 0xa7dc}, {0x105c0, 0x105f3}, {0x10d4a, 0x10d65}, {0x10d6f, 0x10d85},
    {0x10ec2, 0x10ec4}, {0x11380, 0x11389}, {0x1138b, 0x1138b}, {0x1138e, 0x1138e}, {0x11390, 0x113b5},
    {0x113b7, 0x113b7}, {0x113d1, 0x113d1}, {0x113d3, 0x113d3}, {0x11bc0, 0x11be0}, {0x13460, 0x143fa},
    {0x16100, 0x1611d}, {0x16d40, 0x16d6c}, {0x18cff, 0x18cff}, {0x1e5d0, 0x1e5ed}, {0x1e5f0, 0x1e5f0},
    {0x2ebf0, 0x2ee5d},
};
static const span new_numbers[] = {
    {0x10d40, 0x10d49}, {0x116d0, 0x116e3}, {0x11bf0, 0x11bf9}, {0x16130, 0x16139}, {0x16d70, 0x16d79},
    {0x1ccf0, 0x1ccf9}, {0x1e5f1, 0x1e5fa},
};
static const struct {
    span upper;
    uint32_t lower;          /* of the first; the others follow */
} new_capitals[] = {
    {{0x1c89, 0x1c89}, 0x1c8a}, {{0xa7cb, 0xa7cb}, 0x264}, {{0xa7cc, 0xa7cc}, 0xa7cd}, {{0xa7ce, 0xa7ce}, 0xa7cf},
    {{0xa7d2, 0xa7d2}, 0xa7d3}, {{0xa7d4, 0xa7d4}, 0xa7d5}, {{0xa7da, 0xa7da}, 0xa7db}, {{0xa7dc, 0xa7dc}, 0x19b},
    {{0x10d50, 0x10d65}, 0x10d70}, {{0x16ea0, 0x16eb8}, 0x16ebb},
};

static bool within(const span *spans, size_t n, uint32_t code)
{
    for (size_t i = 0; i < n; i++)
        if (code >= spans[i].first && code <= spans[i].last) return true;
    return false;
}

char_class unicode_class(uint32_t code)
{
    if (is_space(code)) return CHAR_SPACE;
    if (code >= new_letters[0].first) {
        if (within(new_letters, sizeof new_letters / sizeof *new_letters, code)) return CHAR_LETTER;
        if (within(new_numbers, sizeof new_numbers / sizeof *new_numbers, code)) return CHAR_NUMBER;
    }
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LL: case UTF8PROC_CATEGORY_LT: case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return CHAR_LETTER;
    case UTF8PROC_CATEGORY_ND: case UTF8PROC_CATEGORY_NL: case UTF8PROC_CATEGORY_NO: return CHAR_NUMBER;
    default: return CHAR_OTHER;
    }
}

void unicode_add(str *out, uint32_t code)
{
    utf8proc_uint8_t bytes[4];
    str_bytes(out, bytes, (size_t)utf8proc_encode_char((utf8proc_int32_t)code, bytes));
}

static void add_lower(str *out, uint32_t code)
{
    for (size_t i = 0; i < sizeof new_capitals / sizeof *new_capitals; i++)
        if (within(&new_capitals[i].upper, 1, code)) {
            unicode_add(out, new_capitals[i].lower + code - new_capitals[i].upper.first);
            return;
        }
    if (code == 0x130) str_add(out, "i\xcc\x87");    /* the one character whose lower case is two: capital I with dot */
    else unicode_add(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)code));
}

int unicode_normalize(str *out, const char *text, size_t n, m2m_error *err)
{
    utf8proc_uint8_t *composed = NULL;
    utf8proc_ssize_t size = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &composed,
                                         UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (size < 0)
        return fail(err, size == UTF8PROC_ERROR_NOMEM ? M2M_ENOMEM : M2M_EFORMAT, "text of %zu bytes: %s", n,
                    utf8proc_errmsg(size));
    bool after_space = false;
    for (utf8proc_ssize_t i = 0; i < size;) {
        uint32_t code;
        i += utf8_next((const char *)composed + i, (size_t)(size - i), &code);
        bool space = is_space(code);
        if (!space) add_lower(out, code);
        else if (!after_space) str_char(out, ' ');
        after_space = space;
    }
    free(composed);
    return out->failed ? fail(err, M2M_ENOMEM, "no memory for a text of %zu bytes", n) : 0;
}
