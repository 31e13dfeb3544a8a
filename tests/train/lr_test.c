/* Learning rates as diffusers' get_scheduler gives them: 10 steps, without and with 4 of warm-up. */
#include "train/lr.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void rates_are_diffusers(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t warmup;
        double wanted[11];
    } rows[] = {
        {"constant", 0, {2e-4, 2e-4, 2e-4, 2e-4, 2e-4, 2e-4, 2e-4, 2e-4, 2e-4, 2e-4, 2e-4}},
        {"constant", 4, {0, 5e-5, 1e-4, 1.5e-4, 2e-4, 2e-4, 2e-4, 2e-4, 2e-4, 2e-4, 2e-4}},
        {"cosine", 0,
            {2e-4, 0.00019510565162951537, 0.00018090169943749476, 0.00015877852522924732,
                0.00013090169943749476, 1e-4, 6.9098300562505272e-05, 4.1221474770752698e-05,
                1.9098300562505266e-05, 4.8943483704846475e-06, 0}},
        {"cosine", 4,
            {0, 5e-5, 1e-4, 1.5e-4, 2e-4, 0.00018660254037844388, 1.5e-4, 1e-4, 5e-5,
                1.3397459621556131e-05, 0}},
        {"linear", 0, {2e-4, 1.8e-4, 1.6e-4, 1.4e-4, 1.2e-4, 1e-4, 8e-5, 6e-5, 4e-5, 2e-5, 0}},
        {"linear", 4,
            {0, 5e-5, 1e-4, 1.5e-4, 2e-4, 0.00016666666666666669, 0.00013333333333333334, 1e-4,
                6.666666666666667e-05, 3.3333333333333335e-05, 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lr_plan p = {.lr = 2e-4, .warmup = rows[i].warmup, .steps = 10};
        assert_int_equal(lr_parse(rows[i].name, &p.schedule, NULL), 0);
        for (int step = 0; step <= 10; step++)
            if (!(fabs(lr_at(&p, step) - rows[i].wanted[step]) < 1e-18))
                fail_msg("%s, warm-up %d, step %d: %.17g", rows[i].name, (int)p.warmup, step,
                    lr_at(&p, step));
    }
}

static void beyond_the_end_it_stays_at_the_end(void **state)
{
    (void)state;
    lr_plan p = {LR_COSINE, 1, 2, 10};
    assert_true(fabs(lr_at(&p, 15)) < 1e-15);
    p.schedule = LR_LINEAR;
    assert_true(lr_at(&p, 15) == 0);
    p.steps = p.warmup; /* nothing but warm-up */
    assert_true(lr_at(&p, 1) == 0.5);
    assert_true(lr_at(&p, 2) == 1);
    assert_true(lr_at(&p, 3) == 0);
}

static void unknown_names_are_refused(void **state)
{
    (void)state;
    m2m_error err = {0};
    lr_schedule s = LR_LINEAR;
    assert_int_equal(lr_parse("polynomial", &s, &err), M2M_EINVAL);
    assert_non_null(strstr(err.msg, "polynomial"));
    assert_non_null(strstr(err.msg, "constant, cosine, linear"));
    assert_int_equal(s, LR_LINEAR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_diffusers),
        cmocka_unit_test(beyond_the_end_it_stays_at_the_end),
        cmocka_unit_test(unknown_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
