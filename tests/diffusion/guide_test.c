/* Eq. 6 and 7 of the specification, by hand. */
#include "diffusion/guide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const float none[3] = {1, -2, 0.5f}, images[3] = {2, -2, 0}, full[3] = {4, 1, 0.25f};

static void two_branches_are_equation_6(void **state)
{
    (void)state;
    const float wanted[3] = {8.5f, -2, -3.25f}; /* none + 7.5 (images - none) */
    float out[3];
    guide_two(out, none, images, 7.5, 3);
    assert_memory_equal(out, wanted, sizeof out);
    guide_two(out, none, images, 1, 3);
    assert_memory_equal(out, images, sizeof out);
    guide_two(out, none, images, 0, 3);
    assert_memory_equal(out, none, sizeof out);
}

static void three_branches_are_equation_7(void **state)
{
    (void)state;
    const float wanted[3] = {1 + 3 * 1 + 2 * 2, -2 + 0 + 2 * 3, 0.5f - 3 * 0.5f + 2 * 0.25f};
    float out[3], two[3];
    guide_three(out, none, images, full, 3, 2, 3);
    assert_memory_equal(out, wanted, sizeof out);
    guide_three(out, none, images, full, 1, 1, 3);
    assert_memory_equal(out, full, sizeof out);
    guide_three(out, none, images, images, 5, 9, 3); /* a condition that changes nothing */
    guide_two(two, none, images, 5, 3);
    assert_memory_equal(out, two, sizeof out);
}

static void out_may_be_an_input(void **state)
{
    (void)state;
    float apart[3], place[3];
    guide_two(apart, none, full, 4, 3);
    memcpy(place, none, sizeof place);
    guide_two(place, place, full, 4, 3);
    assert_memory_equal(place, apart, sizeof apart);
    guide_three(apart, none, images, full, 4, 2, 3);
    memcpy(place, full, sizeof place);
    guide_three(place, none, images, place, 4, 2, 3);
    assert_memory_equal(place, apart, sizeof apart);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_branches_are_equation_6),
        cmocka_unit_test(three_branches_are_equation_7),
        cmocka_unit_test(out_may_be_an_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
