/* The option engine: every accepted and refused spelling, from flags and from JSON, and the tables of the library. */
#include "base/opts.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

typedef struct things {
    int64_t count, loud;
    double rate;
    const char *mode, *data;
} things;

static const m2m_option rows[] = {
    {.name = "count",
     .type = M2M_OPTION_INT,
     .offset = offsetof(things, count),
     .default_number = 3,
     .min = -2,
     .max = 10},
    {.name = "loud_voice", .type = M2M_OPTION_FLAG, .offset = offsetof(things, loud), .max = 1},
    {.name = "rate", .type = M2M_OPTION_REAL, .offset = offsetof(things, rate), .default_number = .5, .max = 1},
    {.name = "mode",
     .type = M2M_OPTION_TEXT,
     .offset = offsetof(things, mode),
     .default_text = "slow",
     .choices = "slow|fast"},
    {.name = "data", .type = M2M_OPTION_TEXT, .offset = offsetof(things, data)},
};
static const m2m_option_table table = {"things", rows, 5};

static void defaults_come_from_the_rows(void **state)
{
    (void)state;
    things t;
    memset(&t, 0xff, sizeof t);
    opts_defaults(&table, &t);
    assert_int_equal(t.count, 3);
    assert_int_equal(t.loud, 0);
    assert_true(t.rate == .5);
    assert_string_equal(t.mode, "slow");
    assert_null(t.data);
}

static void good_values_are_stored(void **state)
{
    (void)state;
    things t;
    opts_defaults(&table, &t);
    assert_int_equal(opts_set(&table, &t, "count", "-2", NULL), 0);
    assert_int_equal(t.count, -2);
    assert_int_equal(opts_set(&table, &t, "count", "10", NULL), 0);
    assert_int_equal(t.count, 10);
    assert_int_equal(opts_set(&table, &t, "loud-voice", "true", NULL), 0);
    assert_int_equal(t.loud, 1);
    assert_int_equal(opts_set(&table, &t, "loud_voice", "0", NULL), 0);
    assert_int_equal(t.loud, 0);
    assert_int_equal(opts_set(&table, &t, "rate", "2.5e-1", NULL), 0);
    assert_true(t.rate == .25);
    assert_int_equal(opts_set(&table, &t, "mode", "fast", NULL), 0);
    assert_string_equal(t.mode, "fast");
    assert_int_equal(opts_set(&table, &t, "data", "", NULL), 0);
    assert_string_equal(t.data, "");
}

static void bad_values_are_refused_and_change_nothing(void **state)
{
    (void)state;
    static const char *const bad[][3] = {
        {"count", "", "-2..10"},
        {"count", "1e3", "an integer"},
        {"count", "11", "\"11\""},
        {"count", "-3", "-2..10"},
        {"count", "4.0", "integer"},
        {"count", "0x4", "integer"},
        {"count", " 4", "integer"},
        {"count", "4 ", "integer"},
        {"count", "-", "integer"},
        {"count", "99999999999999999999", "integer"},
        {"loud_voice", "yes", "true or false"},
        {"loud_voice", "2", "true"},
        {"rate", "nan", "a number"},
        {"rate", "inf", "0..1"},
        {"rate", "1.5", "0..1"},
        {"rate", "0x1p-1", "number"},
        {"rate", "1e999", "number"},
        {"rate", "0,5", "number"},
        {"rate", "--1", "number"},
        {"rate", "", "number"},
        {"mode", "", "slow, fast"},
        {"mode", "slo", "slow, fast"},
        {"mode", "slow|fast", "slow, fast"},
        {"mode", "Fast", "slow, fast"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        things t, before;
        memset(&t, 0, sizeof t);
        opts_defaults(&table, &t);
        before = t;
        m2m_error err = {0};
        int status = opts_set(&table, &t, bad[i][0], bad[i][1], &err);
        if (status != M2M_EINVAL || !strstr(err.msg, bad[i][2]) || !strstr(err.msg, bad[i][0]) ||
            !strstr(err.msg, bad[i][1]))
            fail_msg("%s=%s: status %d, \"%s\"", bad[i][0], bad[i][1], status, err.msg);
        assert_memory_equal(&t, &before, sizeof t);
    }
}

static void unknown_names_get_the_nearest_known_one(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"cuont", "count"}, {"counts", "count"}, {"LOUD-VOICE", "loud_voice"}, {"loud", "loud_voice"}, {"mod", "mode"},
    };
    things t;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        m2m_error err = {0};
        assert_int_equal(opts_set(&table, &t, cases[i][0], "1", &err), M2M_EINVAL);
        assert_non_null(strstr(err.msg, cases[i][1]));
        assert_string_equal(opts_nearest(&table, cases[i][0]), cases[i][1]);
    }
    assert_null(opts_nearest(&table, "zzzzzz"));
    char longer[5000];
    memset(longer, 'c', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_null(opts_nearest(&table, longer));
    assert_int_equal(opts_set(&table, &t, longer, "1", NULL), M2M_EINVAL);
}

static int from_json(things *t, const char *text, char *msg)
{
    m2m_error err = {0};
    cJSON *object = cJSON_Parse(text);
    assert_non_null(object);
    opts_defaults(&table, t);
    int status = opts_from_json(&table, t, object, &err);
    snprintf(msg, 1024, "%s|%s", err.msg, t->data ? t->data : "");
    t->data = t->mode = NULL;
    cJSON_Delete(object);
    return status;
}

static void json_objects_are_read(void **state)
{
    (void)state;
    things t;
    char msg[1024];
    assert_int_equal(
        from_json(&t, "{\"count\": 7, \"loud_voice\": true, \"rate\": 1, \"data\": [\"a\", \"b c\"]}", msg), 0);
    assert_int_equal(t.count, 7);
    assert_int_equal(t.loud, 1);
    assert_true(t.rate == 1);
    assert_string_equal(msg, "|a,b c");
    assert_int_equal(from_json(&t, "{\"data\": null, \"loud_voice\": 1}", msg), 0);
    assert_string_equal(msg, "|");
    assert_int_equal(from_json(&t, "{\"data\": []}", msg), 0);
    assert_string_equal(msg, "|");
}

static void bad_json_is_refused(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"[]", "JSON object"},          {"{\"count\": 1.5}", "1.5"},        {"{\"count\": \"3\"}", "-2..10"},
        {"{\"count\": 1e30}", "1e+30"}, {"{\"count\": null}", "integer"},   {"{\"loud_voice\": 2}", "true or false"},
        {"{\"rate\": true}", "number"}, {"{\"rate\": 2}", "0..1"},          {"{\"mode\": \"x\"}", "slow, fast"},
        {"{\"mode\": [\"slow\"]}", "slow, fast"},                           {"{\"data\": 3}", "a text"},
        {"{\"data\": [3]}", "no string"},                                   {"{\"data\": [\"a,b\"]}", "a,b"},
        {"{\"data\": {}}", "a text"},   {"{\"cuont\": 3}", "mean count"},   {"{\"count\": 1, \"count\": 2}", "twice"},
        {"{\"loud-voice\": 1}", "loud_voice"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        things t;
        char msg[1024];
        int status = from_json(&t, bad[i][0], msg);
        if (!status || !strstr(msg, bad[i][1])) fail_msg("%s: status %d, \"%s\"", bad[i][0], status, msg);
    }
}

static void a_record_reads_back_the_same(void **state)
{
    (void)state;
    things a, b;
    opts_defaults(&table, &a);
    a.count = 9, a.loud = 1, a.rate = 0.1, a.data = "x\"\n\xc3\xa9";
    cJSON *object = opts_to_json(&table, &a);
    char *text = cJSON_PrintUnformatted(object);
    assert_string_equal(
        text, "{\"count\":9,\"loud_voice\":true,\"rate\":0.1,\"mode\":\"slow\",\"data\":\"x\\\"\\n\xc3\xa9\"}");
    opts_defaults(&table, &b);
    assert_int_equal(opts_from_json(&table, &b, object, NULL), 0);
    assert_int_equal(b.count, 9);
    assert_true(b.rate == 0.1);
    assert_string_equal(b.data, a.data);
    cJSON_free(text);
    cJSON_Delete(object);
}

static void structs_filled_by_hand_are_checked(void **state)
{
    (void)state;
    things t;
    m2m_error err = {0};
    opts_defaults(&table, &t);
    assert_int_equal(opts_check(&table, &t, &err), 0);
    t.count = 11;
    assert_int_equal(opts_check(&table, &t, &err), M2M_EINVAL);
    assert_non_null(strstr(err.msg, "count: found \"11\", wanted an integer in -2..10"));
    opts_defaults(&table, &t);
    t.rate = NAN;
    assert_int_equal(opts_check(&table, &t, &err), M2M_EINVAL);
    opts_defaults(&table, &t);
    t.mode = "medium";
    assert_int_equal(opts_check(&table, &t, &err), M2M_EINVAL);
    t.mode = NULL;
    assert_int_equal(opts_check(&table, &t, &err), M2M_EINVAL);
}

/* Each default must itself be acceptable, and help must exist: a row that fails this can't be used. */
static void the_librarys_tables_are_sound(void **state)
{
    (void)state;
    static const char *const names[] = {"generate", "train", "compose", "bench"};
    for (size_t n = 0; n < 4; n++) {
        const m2m_option_table *t = m2m_options(names[n]);
        assert_non_null(t);
        assert_string_equal(t->name, names[n]);
        char room[4096];
        assert_true(t->count > 5);
        m2m_options_defaults(t, room);
        cJSON *object = opts_to_json(t, room);
        m2m_error err = {0};
        if (opts_from_json(t, room, object, &err) && !strstr(err.msg, "null")) fail_msg("%s: %s", names[n], err.msg);
        for (int i = 0; i < t->count; i++) {
            assert_true(t->rows[i].help && *t->rows[i].help && !strchr(t->rows[i].help, '\n'));
            for (int j = 0; j < i; j++) assert_string_not_equal(t->rows[i].name, t->rows[j].name);
            assert_true(t->rows[i].offset + 8 <= sizeof room);
        }
        cJSON_Delete(object);
    }
    assert_null(m2m_options("nothing"));
    assert_null(m2m_options(NULL));
    m2m_generate_options g;
    m2m_generate_defaults(&g);
    assert_int_equal(g.steps, 50);
    assert_true(g.guidance == 7.5);
    assert_string_equal(g.scheduler, "ddim");
    assert_null(g.prompt);
    assert_int_equal(m2m_options_set(m2m_options("generate"), &g, "seed", "9007199254740991", NULL), 0);
    assert_true(g.seed == 9007199254740991);
    assert_int_equal(m2m_options_set(m2m_options("generate"), &g, "seed", "9007199254740992", NULL), M2M_EINVAL);
    assert_int_equal(m2m_options_set(m2m_options("generate"), &g, "n", "0", NULL), M2M_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_come_from_the_rows),
        cmocka_unit_test(good_values_are_stored),
        cmocka_unit_test(bad_values_are_refused_and_change_nothing),
        cmocka_unit_test(unknown_names_get_the_nearest_known_one),
        cmocka_unit_test(json_objects_are_read),
        cmocka_unit_test(bad_json_is_refused),
        cmocka_unit_test(a_record_reads_back_the_same),
        cmocka_unit_test(structs_filled_by_hand_are_checked),
        cmocka_unit_test(the_librarys_tables_are_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
