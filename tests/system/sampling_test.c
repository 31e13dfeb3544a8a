/* Options against drift from outside: anchors' context in the record, what a model's generation_config.json says of
 * window and anchors together, and what is refused. */
#include "program.h"

#include "image/codec.h"
#include "m2m.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int prepare(void **state)
{
    m2m_image img = {0};
    if (scratch_make(state)) return -1;
    copy_tree(in_tests("golden/models/m2m_self"), in_scratch("plain"));
    copy_tree(in_tests("golden/models/m2m_self"), in_scratch("own"));
    write_text(in_scratch("own/generation_config.json"),
               "{\"guidance\": 3, \"steps\": 3, \"guidance_interval\": \"300,999\", \"window\": 2, \"anchors\": -1}");
    assert_int_equal(m2m_image_new(&img, 32, 32, 3, NULL), 0);
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < 32 * 32 * 3; i++) img.data[i] = (uint8_t)(i * (k + 2));
        assert_int_equal(m2m_image_save(&img, in_scratch("%d.png", k), NULL, 0, NULL), 0);
    }
    m2m_image_free(&img);
    return 0;
}

/* The record of image 002 of three made from one given image. */
static cJSON *record(const char *const *more)
{
    const char *args[24] = {"generate", NULL, "-i", in_scratch("0.png"), "-n", "3", "-o", in_scratch("made")};
    int n = 8;
    outcome o;
    args[1] = more[0];
    for (int i = 1; more[i]; i++) args[n++] = more[i];
    program_run(&o, &(way){0}, args);
    expect_success(&o);
    m2m_text *texts = NULL;
    int count = 0;
    assert_int_equal(image_read_texts(in_scratch("made/002.png"), &texts, &count, NULL), 0);
    cJSON *all = cJSON_Parse(image_text_find(texts, count, "m2m"));
    assert_non_null(all);
    image_texts_free(&texts, count);
    remove_tree(in_scratch("made"));
    return all;
}

#define RECORD(...) record((const char *const[]){__VA_ARGS__, NULL})

static double number(const cJSON *o, const char *key) { return cJSON_GetNumberValue(cJSON_GetObjectItem(o, key)); }

static void expect_context(const cJSON *o, const char *wanted)
{
    char found[16] = "";
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(o, "context"))
        strncat(found, cJSON_GetStringValue(cJSON_GetObjectItem(item, "role")), 1);
    assert_string_equal(found, wanted);
}

static void recommended_values_are_used_and_recorded(void **state)
{
    (void)state;
    cJSON *r = RECORD(in_scratch("own"));
    assert_true(number(r, "guidance") == 3 && number(r, "steps") == 3 && number(r, "window") == 2);
    assert_true(number(r, "anchors") == -1);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(r, "guidance_interval")), "300,999");
    expect_context(r, "ug");
    cJSON_Delete(r);
    r = RECORD(in_scratch("own"), "--guidance", "1", "--steps", "2");        /* what is given wins */
    assert_true(number(r, "guidance") == 1 && number(r, "steps") == 2 && number(r, "window") == 2);
    cJSON_Delete(r);
    r = RECORD(in_scratch("own"), "--window", "1");          /* the anchors were meant for the other window */
    assert_true(number(r, "anchors") == 0 && number(r, "window") == 1);
    expect_context(r, "g");
    cJSON_Delete(r);
    r = RECORD(in_scratch("own"), "--window", "3", "--anchors", "1");
    assert_true(number(r, "anchors") == 1 && number(r, "window") == 3);
    expect_context(r, "ugg");
    cJSON_Delete(r);
    r = RECORD(in_scratch("own"), "--window", "0", "--anchors", "-1");       /* twice the one given image */
    assert_true(number(r, "anchors") == -1 && number(r, "window") == 2);
    expect_context(r, "ug");
    cJSON_Delete(r);
    r = RECORD(in_scratch("own"), "--window", "-1", "--anchors", "-1");      /* the given image alone */
    assert_true(number(r, "anchors") == -1 && number(r, "window") == 1);
    expect_context(r, "u");
    cJSON_Delete(r);
    r = RECORD(in_scratch("plain"), "--steps", "2");         /* without the file: m2m_generate.def */
    assert_true(number(r, "guidance") == 7.5 && number(r, "window") == 4 && number(r, "anchors") == 0);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(r, "guidance_interval")));
    cJSON_Delete(r);
}

/* The same in `m2m eval sets`, whose settings stand in OUT/sets.json. */
static void evaluations_use_them_too(void **state)
{
    (void)state;
    static const char *const more[][3] = {{NULL}, {"--window", "1", NULL}};
    static const int wanted[][2] = {{2, -1}, {1, 0}};
    outcome o;
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        RUN(&o, "eval", "sets", in_scratch("own"), in_tests("data/sets"), "-o", in_scratch("scores"), "-n", "1",
            "--given", "1", "--count", "1", more[i][0], more[i][1]);
        expect_success(&o);
        size_t size;
        char *text = read_file(in_scratch("scores/sets.json"), &size);
        cJSON *s = cJSON_Parse(text);
        assert_true(number(s, "window") == wanted[i][0] && number(s, "anchors") == wanted[i][1]);
        cJSON_Delete(s);
        free(text);
        remove_tree(in_scratch("scores"));
    }
}

static void they_are_the_options_of_that_name(void **state)
{
    (void)state;
    outcome o;
    m2m_image a = {0}, b = {0};
    RUN(&o, "generate", in_scratch("own"), "-i", in_scratch("0.png"), "-i", in_scratch("1.png"), "-n", "2", "-o",
        in_scratch("a"));
    expect_success(&o);
    RUN(&o, "generate", in_scratch("plain"), "-i", in_scratch("0.png"), "-i", in_scratch("1.png"), "-n", "2", "-o",
        in_scratch("b"), "--guidance", "3", "--steps", "3", "--window", "2", "--anchors", "-1", "--guidance-interval",
        "300,999");
    expect_success(&o);
    assert_int_equal(m2m_image_load(&a, in_scratch("a/001.png"), NULL), 0);
    assert_int_equal(m2m_image_load(&b, in_scratch("b/001.png"), NULL), 0);
    assert_memory_equal(a.data, b.data, 32 * 32 * 3);
    m2m_image_free(&a);
    m2m_image_free(&b);
}

static void wrong_files_are_named(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"{\"window\": 2, \"anchors\": 3}", "anchors"},
        {"{\"guidance_interval\": \"5\"}", "LO,HI"},
        {"{\"camera\": \"ring:4\"}", "camera"},
    };
    outcome o;
    copy_tree(in_scratch("own"), in_scratch("wrong"));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_text(in_scratch("wrong/generation_config.json"), wrong[i][0]);
        RUN(&o, "generate", in_scratch("wrong"), "-i", in_scratch("0.png"), "-n", "1", "-o", in_scratch("made"));
        expect_refused(&o, wrong[i][1]);
        RUN(&o, "info", in_scratch("wrong"));
        expect_refused(&o, "generation_config.json");
    }
    assert_false(there(in_scratch("made/000.png")));
}

static void options_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    outcome o;
    static const char *const wrong[][3] = {
        {"--anchors", "5", "anchors: 5"},
        {"--guidance-interval", "5-9", "LO,HI"},
        {"--guidance-rescale", "1.5", "0..1"},
        {"--context-noise", "1000", "0..999"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        RUN(&o, "generate", in_scratch("plain"), "-i", in_scratch("0.png"), "-n", "1", "-o", in_scratch("made"),
            wrong[i][0], wrong[i][1]);
        expect_refused(&o, wrong[i][2]);
    }
}

/* The largest difference of two pictures in the scratch directory. */
static int furthest(const char *one, const char *two)
{
    m2m_image a = {0}, b = {0};
    int most = 0;
    assert_int_equal(m2m_image_load(&a, in_scratch("%s", one), NULL), 0);
    assert_int_equal(m2m_image_load(&b, in_scratch("%s", two), NULL), 0);
    for (int i = 0; i < a.width * a.height * a.channels; i++) {
        const int off = abs(a.data[i] - b.data[i]);
        most = off > most ? off : most;
    }
    m2m_image_free(&a);
    m2m_image_free(&b);
    return most;
}

/* The embedded model by products of 16-bit and of 8-bit integers: nearly the same pictures, and not each other's, but
 * where the processor multiplies no bytes. */
static void fast_pictures_are_nearly_the_same(void **state)
{
    (void)state;
    outcome o;
    RUN(&o, "generate", "-i", in_scratch("0.png"), "-n", "1", "-o", in_scratch("made"), "--exact", "--fast");
    expect_refused(&o, "exact and fast");
    RUN(&o, "generate", "-i", in_scratch("0.png"), "-n", "1", "-o", in_scratch("made"), "--int8", "--fast");
    expect_refused(&o, "fast and int8");
    RUN(&o, "generate", "-i", in_scratch("0.png"), "-n", "1", "-o", in_scratch("quick"), "--steps", "5", "--fast");
    if (!__builtin_cpu_supports("avx2")) {
        expect_refused(&o, "AVX2");
        return;
    }
    expect_success(&o);
    RUN(&o, "generate", "-i", in_scratch("0.png"), "-n", "1", "-o", in_scratch("slow"), "--steps", "5");
    expect_success(&o);
    RUN(&o, "generate", "-i", in_scratch("0.png"), "-n", "1", "-o", in_scratch("int8"), "--steps", "5", "--int8");
    expect_success(&o);
    assert_in_range(furthest("quick/000.png", "slow/000.png"), 1, 8);
    const bool bytes = __builtin_cpu_supports("avx512vnni");
    assert_in_range(furthest("int8/000.png", "slow/000.png"), bytes ? 2 : 1, bytes ? 40 : 8);
    assert_in_range(furthest("int8/000.png", "quick/000.png"), bytes ? 1 : 0, bytes ? 40 : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recommended_values_are_used_and_recorded),
        cmocka_unit_test(evaluations_use_them_too),
        cmocka_unit_test(they_are_the_options_of_that_name),
        cmocka_unit_test(wrong_files_are_named),
        cmocka_unit_test(options_that_do_not_fit_are_refused),
        cmocka_unit_test(fast_pictures_are_nearly_the_same),
    };
    return cmocka_run_group_tests_name("sampling", tests, prepare, scratch_remove);
}
