/* The estimate of the time left: right for a steady job, soon right after a change, of bounded memory. */
#include "train/rate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void nothing_is_known_at_first(void **state)
{
    (void)state;
    rate r = {0};
    assert_true(rate_per_second(&r) == 0);
    assert_true(rate_left(&r, 10) < 0);
    rate_add(&r, 100, 50);
    assert_true(rate_left(&r, 10) < 0);
    rate_add(&r, 100, 51); /* no time has passed */
    assert_true(rate_left(&r, 100) < 0);
}

static void a_steady_job_is_foretold(void **state)
{
    (void)state;
    rate r = {0};
    for (int i = 0; i <= 7; i++)
        rate_add(&r, 1000 + 2.0 * i, 300 + i); /* resumed at 300, 2 s a step */
    assert_true(fabs(rate_per_second(&r) - 0.5) < 1e-12);
    assert_true(fabs(rate_left(&r, 407) - 200) < 1e-9);
}

static void the_past_is_forgotten(void **state)
{
    (void)state;
    rate r = {0};
    double now = 0;
    int64_t done = 0;
    for (int i = 0; i < 5000; i++) rate_add(&r, now += 1, ++done); /* then ten times as fast */
    for (int i = 0; i < 3000; i++) rate_add(&r, now += 0.1, ++done);
    double half = rate_per_second(&r);
    assert_true(half > 3 && half < 9); /* 300 s of the window's 600 */
    for (int i = 0; i < 4000; i++) rate_add(&r, now += 0.1, ++done);
    assert_true(fabs(rate_per_second(&r) - 10) < 1e-6);
    assert_int_equal(r.count, RATE_POINTS);
}

static void slow_steps_count_too(void **state)
{
    (void)state;
    rate r = {0};
    for (int i = 0; i < 200; i++)
        rate_add(&r, 100.0 * i, i); /* each longer than a point's share of the window */
    assert_true(fabs(rate_per_second(&r) - 0.01) < 1e-12);
    assert_int_equal(r.count, RATE_POINTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_at_first),
        cmocka_unit_test(a_steady_job_is_foretold),
        cmocka_unit_test(the_past_is_forgotten),
        cmocka_unit_test(slow_steps_count_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
