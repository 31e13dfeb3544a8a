/* Retrieval on four and five rows, by hand. */
#include "eval/retrieval.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* At 0, 10, 30, 65 and 105 degrees, of different lengths: only angles count. */
static const float at[] = {1, 0, 1.969616f, 0.347296f, 0.866025f, 0.5f, 1.267855f, 2.718923f, -0.258819f, 0.965926f};
static const rows five = {.data = at, .count = 5, .dim = 2};

static retrieval_score scored(const int32_t *labels, const int32_t *groups)
{
    retrieval_score s;
    assert_int_equal(retrieval(five, labels, groups, &s, NULL), 0);
    return s;
}

static void precision_is_the_mean_over_ranks(void **state)
{
    (void)state;
    /* 0: order 1 2 3 4, right 2: 1/2.  1: order 0 2 3 4, right 3: 1/3.  2: order 1 0 3 4, right 0: 1/2.
     * 3: order 2 4 1 0, right 1: 1/3.  4: alone with its label. */
    retrieval_score s = scored((int32_t[]){7, 9, 7, 9, 1}, NULL);
    assert_int_equal(s.queries, 4);
    assert_float_equal(s.precision, (0.5 + 1 / 3.0 + 0.5 + 1 / 3.0) / 4, 1e-9);
    assert_float_equal(s.nearest, 0, 0);
    /* 0: right 1, 2 at 1, 2: 1.  1: right 0, 2 at 1, 2: 1.  2: right 1, 0: 1.  3: right 4 at 2: 1/2.  4: right 3: 1. */
    s = scored((int32_t[]){3, 3, 3, 5, 5}, NULL);
    assert_float_equal(s.precision, 4.5 / 5, 1e-9);
    assert_float_equal(s.nearest, 4.0 / 5, 1e-9);
}

static void own_group_and_unlabelled_are_left_out(void **state)
{
    (void)state;
    /* 0 may find 2 and 3 and 4, right is 2: 1.  1: right 2 of 2 3 4: 1.  2: right 1, 0 of 1 0 4: 1.  3 and 4 have no
     * label, and are in the way only. */
    retrieval_score s = scored((int32_t[]){3, 3, 3, -1, -1}, (int32_t[]){0, 0, 1, 1, 2});
    assert_int_equal(s.queries, 3);
    assert_float_equal(s.precision, 1, 1e-9);
    s = scored((int32_t[]){3, 4, 5, -1, -1}, NULL);
    assert_int_equal(s.queries, 0);
    assert_true(isnan(s.precision) && isnan(s.nearest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precision_is_the_mean_over_ranks), cmocka_unit_test(own_group_and_unlabelled_are_left_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
