/* Growable text: pieces, JSON escapes, numbers that read back, UTF-8. */
#include "base/str.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void pieces(void **state)
{
    (void)state;
    str s = {0};
    str_add(&s, "a");
    str_char(&s, 'b');
    str_bytes(&s, "c\0d", 3);
    str_printf(&s, "%d-%s", 12, "x");
    assert_int_equal(s.len, 9);
    assert_memory_equal(s.data, "abc\0d12-x", 10);
    str_clear(&s);
    assert_string_equal(s.data, "");
    for (int i = 0; i < 5000; i++) str_printf(&s, "%04d", i);
    assert_int_equal(s.len, 20000);
    assert_memory_equal(s.data + 4 * 4321, "4321", 4);
    char *text = str_take(&s);
    assert_null(s.data);
    assert_int_equal(strlen(text), 20000);
    free(text);
    text = str_take(&s);
    assert_string_equal(text, "");
    free(text);
    str_free(&s);
}

static void failure_sticks(void **state)
{
    (void)state;
    str s = {0};
    str_add(&s, "a");
    str_bytes(&s, "", SIZE_MAX);
    assert_true(s.failed);
    str_add(&s, "b");
    assert_string_equal(s.data, "a");
    assert_null(str_take(&s));
    assert_null(s.data);
}

static void json_texts(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"", "\"\""}, {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"\n\t\r\x01\x7f", "\"\\n\\t\\u000d\\u0001\\u007f\""},
        {"\xC3\xA9\xF0\x9F\x98\x80", "\"\xC3\xA9\xF0\x9F\x98\x80\""},
        {"a\xFF\xC3", "\"a\xEF\xBF\xBD\xEF\xBF\xBD\""}};
    for (int i = 0; i < 5; i++) {
        str s = {0};
        str_json(&s, cases[i][0]);
        assert_string_equal(s.data, cases[i][1]);
        str_free(&s);
    }
}

static void numbers(void **state)
{
    (void)state;
    static const double values[] = {0, -1, 0.1, 1e-5, 1.0 / 3, 7.5, 1e300, 5e-324,
        123456789012345678.0, 2.2250738585072014e-308};
    str s = {0};
    for (int i = 0; i < 10; i++) {
        str_clear(&s);
        str_number(&s, values[i]);
        assert_true(strtod(s.data, NULL) == values[i]);
    }
    str_clear(&s);
    static const double texts[] = {0.1, NAN, -INFINITY, 10, -1200, 20.5};
    for (int i = 0; i < 6; i++) {
        str_number(&s, texts[i]);
        str_char(&s, ' ');
    }
    assert_string_equal(s.data, "0.1 null null 10 -1200 20.5 ");
    str_free(&s);
}

static void utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int size;
        uint32_t code;
    } cases[] = {{"a", 1, 'a'}, {"\xC3\xA9", 2, 0xe9}, {"\xE2\x9C\x93", 3, 0x2713},
        {"\xF0\x9F\x98\x80", 4, 0x1f600}, {"\xF4\x8F\xBF\xBF", 4, 0x10ffff}, {"\x80", 0, 0},
        {"\xC0\x80", 0, 0}, {"\xC1\xBF", 0, 0}, {"\xE0\x9F\xBF", 0, 0}, {"\xED\xA0\x80", 0, 0},
        {"\xF0\x8F\xBF\xBF", 0, 0}, {"\xF4\x90\x80\x80", 0, 0}, {"\xF8\x88\x80\x80", 0, 0},
        {"\xC3", 0, 0}, {"\xE2\x9C", 0, 0}, {"\xE2\x28\x93", 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t code = 0;
        assert_int_equal(utf8_next(cases[i].bytes, strlen(cases[i].bytes), &code), cases[i].size);
        assert_int_equal(code, cases[i].code);
    }
    assert_int_equal(utf8_next("", 0, NULL), 0);
    assert_true(utf8_valid("", 0) && utf8_valid("a\xC3\xA9", 3));
    assert_false(utf8_valid("a\xC3\xA9", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces),
        cmocka_unit_test(failure_sticks),
        cmocka_unit_test(json_texts),
        cmocka_unit_test(numbers),
        cmocka_unit_test(utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
