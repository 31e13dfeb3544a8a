/* Scores by n of one set, against values worked out by hand from cosines that are known. */
#include "eval/sequence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

/* cos 0, 45, 90 degrees and those of the triangle 3-4-5; lengths must not matter. */
static const float given[2][2] = {{1, 0}, {0, 2}}, made[3][2] = {{3, 3}, {0.3f, 0.4f}, {-4, 0}}, text[2] = {0, 5};
static const sequence all = {.dim = 2, .n_given = 2, .n = 3, .given = given[0], .made = made[0], .text = text};

/* 1e-5: the inputs are floats. */
static void same(const double *found, double a, double b, double c)
{
    const double wanted[3] = {a, b, c};
    for (int i = 0; i < 3; i++)
        if (!(fabs(found[i] - wanted[i]) < 1e-5)) fail_msg("value %d is %.9g, wanted %.9g", i, found[i], wanted[i]);
}

static const double r = 70.710678118654752;      /* 100 cos 45 */

static void images_are_compared_with_all_before_them(void **state)
{
    (void)state;
    double found[3];
    sequence_before(&all, found);
    /* made[1] (60 and 80 to the axes) to made[0]: (0.6 + 0.8) cos 45; made[2]: -1 and 0 to the axes. */
    same(found, (r + r) / 2, (60 + 80 + 1.4 * r) / 3, (-100 + 0 - r - 60) / 4);
}

static void images_are_compared_with_the_given_ones(void **state)
{
    (void)state;
    double found[3];
    sequence_given(&all, found);
    same(found, r, 70, -50);
}

static void images_are_compared_with_the_text(void **state)
{
    (void)state;
    double found[3];
    sequence_text(&all, found);
    same(found, r, 80, 0);
}

static void the_deviation_is_numpys(void **state)
{
    (void)state;
    double mean, deviation;
    mean_deviation((const double[]){2, 4, 4, 4, 5, 5, 7, 9}, 8, &mean, &deviation);   /* numpy.std: 2 */
    assert_true(mean == 5 && fabs(deviation - 2) < 1e-15);
    mean_deviation((const double[]){1.5}, 1, &mean, &deviation);
    assert_true(mean == 1.5 && deviation == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_are_compared_with_all_before_them),
        cmocka_unit_test(images_are_compared_with_the_given_ones),
        cmocka_unit_test(images_are_compared_with_the_text),
        cmocka_unit_test(the_deviation_is_numpys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
