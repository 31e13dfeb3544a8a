/* The models that come with m2m: each opens, is accounted for, and looks at its task condition. */
#include "program.h"

#include "base/sha256.h"

#include <stdio.h>
#include <string.h>

static void make(const char *model, const char *option, const char *value, char hash[SHA256_HEX])
{
    outcome o;
    m2m_image made = {0};
    char path[600], given[600];
    snprintf(path, sizeof path, "%.500s", in_tests(model));
    snprintf(given, sizeof given, "%.500s", in_tests("../share/examples/chair.png"));
    RUN(&o, "generate", path, "-i", given, "-n", "1", "--steps", "2", option, value, "-o", in_scratch("made"));
    expect_success(&o);
    assert_int_equal(m2m_image_load(&made, in_scratch("made/000.png"), NULL), 0);
    sha256_of(made.data, (size_t)made.width * (size_t)made.height * (size_t)made.channels, hash);
    m2m_image_free(&made);
    remove_tree(in_scratch("made"));
}

static void condition_counts(const char *model, const char *option, const char *a, const char *b)
{
    outcome o;
    char one[SHA256_HEX], other[SHA256_HEX];
    RUN(&o, "info", in_tests(model));
    expect_success(&o);
    assert_non_null(strstr(o.out, option + 2));
    make(model, option, a, one);
    make(model, option, b, other);
    assert_string_not_equal(one, other);
}

static void views_look_at_the_camera(void **state)
{
    (void)state;
    condition_counts("../models/views", "--camera", "ring:4", "ring:3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_look_at_the_camera),
    };
    return cmocka_run_group_tests_name("models", tests, scratch_make, scratch_remove);
}
