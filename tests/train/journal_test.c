/* The log: whole lines, a past that survives resuming, a future that does not. */
#include "train/journal.h"
#include "train/scratch.h"

#include "base/file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[64], path[96];

static int setup(void **state)
{
    (void)state;
    scratch_dir("journal", dir, sizeof dir);
    snprintf(path, sizeof path, "%s/log.jsonl", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    rmdir(dir);
    return 0;
}

static journal *opened(int64_t keep)
{
    journal *j = NULL;
    m2m_error err = {0};
    if (journal_open(&j, path, keep, &err)) fail_msg("%s", err.msg);
    return j;
}

static void content_is(const char *wanted)
{
    char *text = scratch_read(path, NULL);
    assert_string_equal(text, wanted);
    free(text);
}

static void put(journal *j, int64_t step, double loss, double lr)
{
    const journal_field fields[] = {{"loss", loss}, {"lr", lr}};
    m2m_error err = {0};
    if (journal_write(j, step, fields, 2, &err)) fail_msg("%s", err.msg);
}

static void lines_are_json_and_at_once(void **state)
{
    (void)state;
    journal *j = opened(-1);
    content_is("");
    put(j, 10, 0.3125, 1e-5);
    content_is("{\"step\": 10, \"loss\": 0.3125, \"lr\": 1e-05}\n"); /* while it is open */
    put(j, 20, NAN, 2);
    content_is("{\"step\": 10, \"loss\": 0.3125, \"lr\": 1e-05}\n{\"step\": 20, \"loss\": null, "
               "\"lr\": 2}\n");
    journal_close(&j);
    assert_null(j);
    journal_close(&j);
}

static void series_hold_what_is_finite(void **state)
{
    (void)state;
    journal *j = opened(-1);
    assert_null(journal_find(j, "loss"));
    for (int i = 0; i < 300; i++) put(j, 10 * i, i == 7 ? INFINITY : i, 1);
    const journal_series *s = journal_find(j, "loss");
    assert_non_null(s);
    assert_int_equal(s->count, 299);
    assert_int_equal(s->step[7], 80);
    assert_true(s->value[298] == 299);
    assert_ptr_equal(journal_at(j, 0), s);
    assert_string_equal(journal_at(j, 1)->name, "lr");
    assert_null(journal_at(j, 2));
    journal_close(&j);
}

static void resuming_drops_the_future(void **state)
{
    (void)state;
    journal *j = opened(-1);
    for (int step = 10; step <= 50; step += 10) put(j, step, step / 100.0, 1);
    journal_close(&j);
    j = opened(30);
    assert_int_equal(journal_dropped(j), 2);
    content_is(
        "{\"step\": 10, \"loss\": 0.1, \"lr\": 1}\n{\"step\": 20, \"loss\": 0.2, \"lr\": 1}\n"
        "{\"step\": 30, \"loss\": 0.3, \"lr\": 1}\n");
    const journal_series *s = journal_find(j, "loss");
    assert_int_equal(s->count, 3);
    assert_true(s->value[2] == 0.3 && s->step[2] == 30);
    put(j, 40, 0.5, 1);
    assert_int_equal(journal_find(j, "loss")->count, 4);
    journal_close(&j);
    j = opened(40); /* nothing to drop: the file is not even written */
    assert_int_equal(journal_dropped(j), 0);
    journal_close(&j);
    j = opened(-1); /* a new run */
    content_is("");
    assert_null(journal_find(j, "loss"));
    journal_close(&j);
}

static void torn_and_foreign_lines_are_dropped(void **state)
{
    (void)state;
    static const char text[] =
        "{\"step\": 1, \"loss\": 0.5, \"note\": \"kept\"}\nnonsense\n{\"loss\": 3}\n[1]\n\n"
        "{\"step\": -4}\n{\"step\": 2, \"loss\": null}\n{\"step\": 3, \"lo";
    assert_int_equal(file_write_all(path, text, sizeof text - 1, NULL), 0);
    journal *j = opened(100);
    assert_int_equal(journal_dropped(j), 6);
    content_is("{\"step\": 1, \"loss\": 0.5, \"note\": \"kept\"}\n{\"step\": 2, \"loss\": null}\n");
    assert_int_equal(journal_find(j, "loss")->count, 1);
    put(j, 3, 1, 1);
    content_is("{\"step\": 1, \"loss\": 0.5, \"note\": \"kept\"}\n{\"step\": 2, \"loss\": null}\n"
               "{\"step\": 3, \"loss\": 1, \"lr\": 1}\n");
    journal_close(&j);
    static const char no_newline[] =
        "{\"step\": 1}\n{\"step\": 2}"; /* the next line must not join this one */
    assert_int_equal(file_write_all(path, no_newline, sizeof no_newline - 1, NULL), 0);
    j = opened(100);
    content_is("{\"step\": 1}\n");
    journal_close(&j);
    unlink(path);
    j = opened(100); /* a resumed run whose log was deleted */
    content_is("");
    journal_close(&j);
}

static void what_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    m2m_error err = {0};
    journal *j = NULL;
    assert_int_equal(journal_open(&j, "/nowhere/log.jsonl", -1, &err), M2M_EIO);
    assert_null(j);
    assert_non_null(strstr(err.msg, "/nowhere"));
    j = opened(-1);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    const journal_field field = {"loss", 1};
    assert_int_equal(journal_write(j, 1, &field, 1, &err), M2M_EIO);
    assert_null(journal_find(j, "loss"));
    rmdir(path);
    journal_close(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_json_and_at_once),
        cmocka_unit_test(series_hold_what_is_finite),
        cmocka_unit_test(resuming_drops_the_future),
        cmocka_unit_test(torn_and_foreign_lines_are_dropped),
        cmocka_unit_test(what_cannot_be_written_is_an_error),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
