/* The curve's picture: smoothing by hand; a chart alone, and two when the context's worth was measured. */
#include "train/curve.h"
#include "train/scratch.h"

#include "base/file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void smoothing_is_a_centred_mean(void **state)
{
    (void)state;
    const double x[5] = {1, 2, 6, 0, 4};
    double y[5];
    curve_smooth(x, 5, 0, y);
    assert_memory_equal(x, y, sizeof x);
    curve_smooth(x, 5, 1, y);
    const double wanted[5] = {1.5, 3, 8.0 / 3, 10.0 / 3, 2};
    for (int i = 0; i < 5; i++) assert_true(fabs(y[i] - wanted[i]) < 1e-12);
    curve_smooth(x, 5, 100, y);
    for (int i = 0; i < 5; i++) assert_true(fabs(y[i] - 2.6) < 1e-12);
}

static int different(const m2m_image *a, const m2m_image *b, int rows)
{
    int n = 0;
    for (int i = 0; i < rows * a->width; i++) n += memcmp(a->data + 3 * i, b->data + 3 * i, 3) != 0;
    return n;
}

static void what_was_logged_is_drawn(void **state)
{
    (void)state;
    char dir[64], log[96], png[96];
    scratch_dir("curve", dir, sizeof dir);
    snprintf(log, sizeof log, "%s/log.jsonl", dir);
    snprintf(png, sizeof png, "%s/curve.png", dir);
    journal *j = NULL;
    m2m_error err = {0};
    m2m_image empty, losses, both, read;
    if (journal_open(&j, log, -1, &err)) fail_msg("%s", err.msg);
    assert_int_equal(curve_draw(&empty, j, "a run", &err), 0);
    for (int i = 1; i <= 200; i++) {
        journal_field f[2] = {{"loss", 1.0 / i + 0.05 * sin(i)}, {"val_loss", 1.2 / i}};
        journal_write(j, 10 * i, f, i % 20 ? 1 : 2, NULL);
    }
    assert_int_equal(curve_draw(&losses, j, "a run", &err), 0);
    assert_int_equal(losses.height, empty.height);
    assert_true(different(&losses, &empty, empty.height) > 500);
    for (int i = 1; i <= 10; i++)
        journal_write(j, 200 * i, &(journal_field){"ratio", 1 - 0.03 * i}, 1, NULL);
    assert_int_equal(curve_draw(&both, j, "a run", &err), 0);
    assert_int_equal(both.height, 2 * losses.height);
    assert_int_equal(different(&both, &losses, losses.height), 0);
    if (curve_save(j, "a run", png, &err)) fail_msg("%s", err.msg);
    if (m2m_image_load(&read, png, &err)) fail_msg("%s", err.msg);
    assert_int_equal(different(&read, &both, both.height), 0);
    assert_int_equal(curve_save(j, "a run", "/nowhere/curve.png", &err), M2M_EIO);
    m2m_image_free(&empty);
    m2m_image_free(&losses);
    m2m_image_free(&both);
    m2m_image_free(&read);
    journal_close(&j);
    scratch_dir("curve", dir, sizeof dir);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smoothing_is_a_centred_mean),
        cmocka_unit_test(what_was_logged_is_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
