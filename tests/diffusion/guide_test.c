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

/* Lin et al. 2023, by hand: deviations 3 and 1 about means 0 and 5; that diffusers agrees is system/golden's
 * text_to_image_rescaled. */
static void rescaling_takes_the_spread_of_the_condition(void **state)
{
    (void)state;
    const float guided[4] = {3, -3, 3, -3}, spread[4] = {6, 4, 4, 6};
    const float whole[4] = {1, -1, 1, -1}, half[4] = {2, -2, 2, -2};
    float out[4];
    memcpy(out, guided, sizeof out);
    guide_rescale(out, spread, 0, 4);
    assert_memory_equal(out, guided, sizeof out);
    guide_rescale(out, spread, 0.5, 4);
    assert_memory_equal(out, half, sizeof out);
    memcpy(out, guided, sizeof out);
    guide_rescale(out, spread, 1, 4);
    assert_memory_equal(out, whole, sizeof out);
    float flat[4] = {2, 2, 2, 2};
    guide_rescale(flat, spread, 1, 4);               /* nothing to divide by */
    assert_true(flat[0] == 2 && flat[3] == 2);
    /* in a plan: eq. 6, then that */
    guide_plan g = guide_make(3, -1, false);
    float rows[6] = {1, -2, 0.5f, 4, 1, 0.25f}, wanted[3];
    guide_two(wanted, rows, rows + 3, 3, 3);
    guide_rescale(wanted, rows + 3, 0.25, 3);
    g.rescale = 0.25;
    guide_apply(&g, rows, rows, 3);
    assert_memory_equal(rows, wanted, sizeof wanted);
}

static void intervals_are_read(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "100", "100,", ",200", "1,2,3", "-1,5", "200,100", " 1,2", "1, 2", "1,2 ",
                                      "+1,2", "1000,2000", "0,1000", "a,b", "0x1,9"};
    guide_interval i;
    m2m_error err;
    assert_int_equal(guide_interval_parse(NULL, &i, &err), 0);
    assert_true(guide_applies(&i, 0) && guide_applies(&i, 999.5));
    assert_int_equal(guide_interval_parse("200,800", &i, &err), 0);
    assert_true(guide_applies(&i, 200) && guide_applies(&i, 800) && guide_applies(&i, 500.5));
    assert_false(guide_applies(&i, 199.5) || guide_applies(&i, 801));
    assert_int_equal(guide_interval_parse("0,0", &i, &err), 0);
    assert_true(guide_applies(&i, 0) && !guide_applies(&i, 1));
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        assert_int_equal(guide_interval_parse(bad[k], &i, &err), M2M_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_branches_are_equation_6),
        cmocka_unit_test(three_branches_are_equation_7),
        cmocka_unit_test(out_may_be_an_input),
        cmocka_unit_test(rescaling_takes_the_spread_of_the_condition),
        cmocka_unit_test(intervals_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
