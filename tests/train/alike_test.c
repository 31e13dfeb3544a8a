/* Who belongs together: targets of labels, by hand. Labels from sets' .json: tests/system/contrast_test.c. */
#include "models/contrast.h"
#include "train/alike.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect(const int32_t *labels, bool self, const float *wanted)
{
    float found[25];
    contrast_targets(labels, 5, self, found);
    for (int i = 0; i < 25; i++) assert_float_equal(found[i], wanted[i], 1e-7);
}

static void captions_share_their_positives(void **state)
{
    (void)state;
    const float t = 1 / 15.0f, h = 0.1f, o = 0.2f; /* five rows, of 1/5 each */
    expect((int32_t[]){4, 4, 9, 4, 7}, true,
        (float[]){t, t, 0, t, 0, t, t, 0, t, 0, 0, 0, o, 0, 0, t, t, 0, t, 0, 0, 0, 0, 0, o});
    expect((int32_t[]){1, 2, 3, 2, 5}, true,
        (float[]){o, 0, 0, 0, 0, 0, h, 0, h, 0, 0, 0, o, 0, 0, 0, h, 0, h, 0, 0, 0, 0, 0, o});
}

static void nothing_is_its_own_positive(void **state)
{
    (void)state;
    const float h = 1 / 6.0f; /* three rows have positives; 9 is alone, -1 is nobody's */
    expect((int32_t[]){4, 4, 9, 4, -1}, false,
        (float[]){0, h, 0, h, 0, h, 0, 0, h, 0, 0, 0, 0, 0, 0, h, h, 0, 0, 0, 0, 0, 0, 0, 0});
    expect((int32_t[]){-1, 5, -1, -1, 5}, false,
        (float[]){0, 0, 0, 0, 0, 0, 0, 0, 0, .5f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, .5f, 0, 0, 0});
    expect((int32_t[]){1, 2, 3, 4, 5}, false, (float[25]){0});
}

static void labels_are_never_negative(void **state)
{
    (void)state;
    char text[16];
    for (int i = 0; i < 1000; i++) {
        memset(text, i, sizeof text);
        assert_true(label_of(text, (size_t)i % 16) >= 0);
    }
    assert_int_equal(label_of("noto", 4), label_of("noto", 4));
    assert_int_not_equal(label_of("noto", 4), label_of("not", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(captions_share_their_positives),
        cmocka_unit_test(nothing_is_its_own_positive), cmocka_unit_test(labels_are_never_negative)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
