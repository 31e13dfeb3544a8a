/* JSON from outside: what is not exactly JSON is refused with line and reason, limits hold, getters say what they
 * found. */
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "scratch_dir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void good_texts_pass(void **state)
{
    (void)state;
    static const char *const good[] = {"{}", "[]", "0", "-0", "1.5e-3", "1E+2", "\"\"", "true",
        " null ", "[1,2,[3,{}],{\"a\":[]}]", "{\"a\":1,\"b\":{\"a\":2}}",
        "\"\\u00e9\\ud83d\\ude00\\n\\/\"", "\"\xC3\xA9\xF0\x9F\x98\x80\x7F\"", "\t[\r\n1 , 2 ]\n"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        m2m_error err = {0};
        cJSON *root = NULL;
        if (json_parse(&root, good[i], strlen(good[i]), &err)) fail_msg("%s: %s", good[i], err.msg);
        cJSON_Delete(root);
    }
}

static void bad_texts_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } bad[] = {
        {"", "a value was wanted"},
        {" ", "a value was wanted"},
        {"{", "a key in quotes"},
        {"[", "a value was wanted"},
        {"[1", "',' or ']'"},
        {"{\"a\":1", "',' or '}'"},
        {"[1}", "',' or ']'"},
        {"{\"a\":1]", "',' or '}'"},
        {"[1,]", "a value was wanted"},
        {"{\"a\":1,}", "a key in quotes"},
        {"{a:1}", "a key in quotes"},
        {"{\"a\" 1}", "':'"},
        {"{1:1}", "a key in quotes"},
        {"01", "not a number"},
        {"-", "not a number"},
        {"1.", "not a number"},
        {".5", "a value"},
        {"+1", "a value was wanted"},
        {"1e", "not a number"},
        {"1e+", "not a number"},
        {"0x10", "something follows"},
        {"NaN", "a value was wanted"},
        {"-Infinity", "not a number"},
        {"tru", "a value was wanted"},
        {"nulll", "something follows"},
        {"\"a", "does not end"},
        {"\"a\nb\"", "control character"},
        {"\"\\x\"", "escape"},
        {"\"\\u12\"", "four hexadecimal"},
        {"\"\\u0000\"", "\\u0000"},
        {"\"\\ud800\"", "surrogate"},
        {"\"\\ude00\"", "surrogate"},
        {"\"\\ud800\\u0041\"", "surrogate"},
        {"\"\xC3\"", "not UTF-8"},
        {"\"\xED\xA0\x80\"", "not UTF-8"},
        {"\"\xF5\x80\x80\x80\"", "not UTF-8"},
        {"\"\\", "escape"},
        {"// c\n1", "a value was wanted"},
        {"1 2", "something follows"},
        {"[1]]", "something follows"},
        {"\xEF\xBB\xBF{}", "a value"},
        {"1111111111111111111111111111111111111111111111111111111111111111", "more than 60"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        m2m_error err = {0};
        cJSON *root = NULL;
        int rc = json_parse(&root, bad[i].text, strlen(bad[i].text), &err);
        if (rc != M2M_EFORMAT || !strstr(err.msg, bad[i].reason) || root)
            fail_msg("%s: got %d \"%s\", wanted \"%s\"", bad[i].text, rc, err.msg, bad[i].reason);
    }
    m2m_error err = {0};
    assert_int_equal(json_check("[1,\n2,\n x]", 10, &err), M2M_EFORMAT);
    assert_string_equal(err.msg, "JSON, line 3, byte 8 of 10: a value was wanted");
    assert_int_equal(json_check("{\0}", 3, &err), M2M_EFORMAT);
    assert_int_equal(json_check("1\0", 2, &err), M2M_EFORMAT);
}

static void every_beginning_is_refused(void **state)
{
    (void)state;
    const char *text = "{\"a\\u00e9\":[1.5e3,\"\xF0\x9F\x98\x80\",{\"b\":null}],\"c\":false}";
    for (size_t n = 0; n < strlen(text); n++) {
        char *copy =
            malloc(n ? n : 1); /* exactly n bytes: reading further shows under the sanitizer */
        memcpy(copy, text, n);
        cJSON *root = NULL;
        assert_int_equal(json_parse(&root, copy, n, NULL), M2M_EFORMAT);
        free(copy);
    }
}

static void depth_is_limited(void **state)
{
    (void)state;
    char text[2 * JSON_DEPTH + 2];
    m2m_error err = {0};
    cJSON *root;
    memset(text, '[', JSON_DEPTH);
    memset(text + JSON_DEPTH, ']', JSON_DEPTH);
    assert_int_equal(json_parse(&root, text, 2 * JSON_DEPTH, NULL), 0);
    cJSON_Delete(root);
    memset(text, '[', JSON_DEPTH + 1);
    memset(text + JSON_DEPTH + 1, ']', JSON_DEPTH + 1);
    assert_int_equal(json_check(text, sizeof text, &err), M2M_EFORMAT);
    assert_non_null(strstr(err.msg, "more than 64 brackets"));
    str s = {0};
    for (int i = 0; i < 1000000; i++) str_add(&s, "{\"a\":");
    assert_int_equal(json_check(s.data, s.len, &err), M2M_EFORMAT);
    assert_non_null(strstr(err.msg, "more than 64 brackets"));
    str_free(&s);
}

static void number_of_values_is_limited(void **state)
{
    (void)state;
    m2m_error err = {0};
    size_t n = 2 * (size_t)JSON_VALUES + 3;
    char *text = malloc(n);
    assert_non_null(text);
    text[0] = '[';
    for (size_t i = 1; i < n; i++) text[i] = i % 2 ? '1' : ',';
    assert_int_equal(json_check(text, n, &err), M2M_EFORMAT);
    assert_non_null(strstr(err.msg, "more than 8388608 values"));
    free(text);
}

static void double_keys_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"a\":1,\"b\":2,\"a\":3}", "[{\"x\":{\"a\":1,\"\\u0061\":1}}]", "{\"\":1,\"\":1}"};
    for (int i = 0; i < 3; i++) {
        m2m_error err = {0};
        cJSON *root;
        assert_int_equal(json_parse(&root, bad[i], strlen(bad[i]), &err), M2M_EFORMAT);
        assert_non_null(strstr(err.msg, "occurs twice"));
    }
}

static void files(void **state)
{
    (void)state;
    scratch_dir dir;
    m2m_error err = {0};
    cJSON *root = NULL;
    assert_int_equal(scratch_dir_make(&dir), 0);
    const char *path = scratch_dir_file(&dir, "a.json");
    assert_int_equal(json_load(&root, path, &err), M2M_EIO);
    assert_int_equal(file_write_all(path, "{\n]", 3, NULL), 0);
    assert_int_equal(json_load(&root, path, &err), M2M_EFORMAT);
    assert_string_equal(
        err.msg + strlen(path), ": JSON, line 2, byte 2 of 3: a key in quotes was wanted");
    assert_int_equal(file_write_all(path, "{\"a\": 1.25}", 11, NULL), 0);
    assert_int_equal(json_load(&root, path, &err), 0);
    assert_int_equal(json_save(root, path, NULL), 0);
    cJSON_Delete(root);
    assert_int_equal(json_load(&root, path, &err), 0);
    double a = 0;
    assert_int_equal(json_real(root, "a", 0, 2, &a, NULL), 0);
    assert_true(a == 1.25);
    assert_int_equal(json_save(root, "/dev/full", &err), M2M_EIO);
    cJSON_Delete(root);
    scratch_dir_remove_tree(dir.path);
}

/* ---- Getters ---- */

static cJSON *object;

static int parse_object(void **state)
{
    (void)state;
    const char *text = "{\"i\":7,\"r\":2.5,\"big\":9007199254740994,\"t\":true,\"s\":\"text\","
                       "\"n\":null,\"l\":[1,2,3],"
                       "\"m\":[1,2.5],\"o\":{}}";
    return json_parse(&object, text, strlen(text), NULL);
}

static int delete_object(void **state)
{
    (void)state;
    cJSON_Delete(object);
    return 0;
}

static void getters(void **state)
{
    (void)state;
    int64_t i = -1, list[3] = {0};
    double r = -1, reals[2];
    bool b = false;
    const char *s = NULL;
    int n = -1;
    assert_int_equal(json_int(object, "i", 0, 7, &i, NULL), 0);
    assert_int_equal(i, 7);
    assert_int_equal(json_real(object, "i", 0, 7, &r, NULL), 0);
    assert_true(r == 7);
    assert_int_equal(json_bool(object, "t", &b, NULL), 0);
    assert_true(b);
    assert_int_equal(json_text(object, "s", &s, NULL), 0);
    assert_string_equal(s, "text");
    assert_int_equal(json_ints(object, "l", 1, 3, list, 3, &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_int_equal(list[2], 3);
    assert_int_equal(json_reals(object, "m", 0, 3, reals, 2, &n, NULL), 0);
    assert_true(n == 2 && reals[1] == 2.5);
    assert_null(json_member(object, "n"));
    assert_null(json_member(object, "I"));
    assert_non_null(json_member(object, "o"));
    i = 5;
    assert_int_equal(json_or_int(object, "absent", 0, 1, &i, NULL), 0);
    assert_int_equal(json_or_int(object, "n", 0, 1, &i, NULL), 0);
    assert_int_equal(i, 5);
    assert_int_equal(json_or_int(object, "s", 0, 1, &i, NULL), M2M_EFORMAT);
    assert_int_equal(json_or_real(object, "absent", 0, 1, &r, NULL), 0);
    assert_int_equal(json_or_bool(object, "absent", &b, NULL), 0);
    assert_int_equal(json_or_text(object, "absent", &s, NULL), 0);
    assert_true(r == 7 && b);
}

static void getters_say_what_they_found(void **state)
{
    (void)state;
    m2m_error err = {0};
    int64_t i = 42, list[3];
    double r = 42;
    bool b = true;
    const char *s = "kept";
    int n = 42;
    assert_int_equal(json_int(object, "i", 8, 9, &i, &err), M2M_EFORMAT);
    assert_string_equal(err.msg, "\"i\" is 7, wanted an integer in 8..9");
    assert_int_equal(json_int(object, "r", 0, 9, &i, &err), M2M_EFORMAT);
    assert_string_equal(err.msg, "\"r\" is 2.5, wanted an integer in 0..9");
    assert_int_equal(
        json_int(object, "big", 0, INT64_MAX, &i, &err), M2M_EFORMAT); /* a double would round it */
    assert_int_equal(json_int(object, "absent", 0, 9, &i, &err), M2M_EFORMAT);
    assert_string_equal(err.msg, "\"absent\" is absent, wanted an integer in 0..9");
    assert_int_equal(json_real(object, "n", 0, 1, &r, &err), M2M_EFORMAT);
    assert_string_equal(err.msg, "\"n\" is null, wanted a number in 0..1");
    assert_int_equal(json_bool(object, "s", &b, &err), M2M_EFORMAT);
    assert_string_equal(err.msg, "\"s\" is the text \"text\", wanted true or false");
    assert_int_equal(json_text(object, "t", &s, &err), M2M_EFORMAT);
    assert_string_equal(err.msg, "\"t\" is true, wanted a text");
    assert_int_equal(json_ints(object, "l", 1, 3, list, 2, &n, &err), M2M_EFORMAT);
    assert_string_equal(err.msg, "\"l\" is an array, wanted at most 2 integers in 1..3");
    assert_int_equal(json_ints(object, "m", 0, 9, list, 3, &n, &err), M2M_EFORMAT);
    assert_int_equal(json_ints(object, "o", 0, 9, list, 3, &n, &err), M2M_EFORMAT);
    assert_string_equal(err.msg, "\"o\" is an object, wanted at most 3 integers in 0..9");
    assert_true(i == 42 && r == 42 && b && n == 42);
    assert_string_equal(s, "kept");
}

/* ---- Large texts ---- */

typedef struct walked {
    char seen[400];
    int stop_after;
} walked;

static int note(void *user, const json_record *r, m2m_error *err)
{
    walked *w = user;
    size_t n = strlen(w->seen);
    snprintf(w->seen + n, sizeof w->seen - n, "%s%lld=%.*s;", r->list, (long long)r->index, (int)r->len, r->text);
    (void)err;
    return w->stop_after && --w->stop_after == 0 ? M2M_EINVAL : 0;
}

static void walk(walked *w, const char *text, int wanted, const char *seen)
{
    m2m_error err = {0};
    size_t n = strlen(text);
    char *copy = malloc(n ? n : 1);      /* no zero behind it */
    memcpy(copy, text, n);
    w->seen[0] = 0;
    int rc = json_walk(copy, n, note, w, &err);
    free(copy);
    if (rc != wanted || strcmp(w->seen, seen) != 0) fail_msg("%s: %d (%s), saw %s", text, rc, err.msg, w->seen);
}

static void large_texts_are_walked(void **state)
{
    (void)state;
    walked w = {.stop_after = 0};
    walk(&w, " {\"info\" : {\"l\":[0]}, \"a\": [ {\"x\":[1,2]} ,\"]\", 3 ], \"b\":[], \"c\":[[]]} ", 0,
         "a0={\"x\":[1,2]};a1=\"]\";a2=3;c0=[];");
    walk(&w, "[1,{\"a\":2}]", 0, "0=1;1={\"a\":2};");
    walk(&w, "{}", 0, "");
    walk(&w, "[]", 0, "");
    /* what came before the fault was seen */
    walk(&w, "{\"a\":[1,2", M2M_EFORMAT, "a0=1;a1=2;");
    walk(&w, "{\"a\":[1,,2]}", M2M_EFORMAT, "a0=1;");
    walk(&w, "{\"a\":[1 2]}", M2M_EFORMAT, "a0=1;");
    walk(&w, "{\"a\":[1]", M2M_EFORMAT, "a0=1;");
    walk(&w, "{\"a\":[1],}", M2M_EFORMAT, "a0=1;");
    walk(&w, "{\"a\":[1]}x", M2M_EFORMAT, "a0=1;");
    walk(&w, "{\"a\":[{\"b\":01}]}", M2M_EFORMAT, "");
    walk(&w, "{\"a\" [1]}", M2M_EFORMAT, "");
    walk(&w, "{\"a\":}", M2M_EFORMAT, "");
    walk(&w, "{\"a", M2M_EFORMAT, "");
    walk(&w, "7", M2M_EFORMAT, "");
    walk(&w, "", M2M_EFORMAT, "");
    w.stop_after = 2;
    walk(&w, "{\"a\":[1,2,3]}", M2M_EINVAL, "a0=1;a1=2;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_texts_pass),
        cmocka_unit_test(bad_texts_are_refused),
        cmocka_unit_test(every_beginning_is_refused),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(number_of_values_is_limited),
        cmocka_unit_test(double_keys_are_refused),
        cmocka_unit_test(files),
        cmocka_unit_test(getters),
        cmocka_unit_test(getters_say_what_they_found),
        cmocka_unit_test(large_texts_are_walked),
    };
    return cmocka_run_group_tests(tests, parse_object, delete_object);
}
