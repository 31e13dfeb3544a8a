/* The models that come with m2m: each opens, is accounted for, and looks at its task condition. */
#include "program.h"

#include "base/sha256.h"

#include <stdio.h>
#include <string.h>

static void hash_of(char hash[SHA256_HEX], const char *path)
{
    m2m_image made = {0};
    assert_int_equal(m2m_image_load(&made, path, NULL), 0);
    sha256_of(made.data, (size_t)made.width * (size_t)made.height * (size_t)made.channels, hash);
    m2m_image_free(&made);
}

static void make(const char *model, const char *option, const char *value, char hash[SHA256_HEX])
{
    outcome o;
    char path[600], given[600];
    snprintf(path, sizeof path, "%.500s", in_tests(model));
    snprintf(given, sizeof given, "%.500s", in_tests("../share/examples/chair.png"));
    RUN(&o, "generate", path, "-i", given, "-n", "1", "--steps", "2", option, value, "-o", in_scratch("made"));
    expect_success(&o);
    hash_of(hash, in_scratch("made/000.png"));
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

static void drawing_looks_at_the_position(void **state)
{
    (void)state;
    condition_counts("../models/drawing", "--position", "2", "4");
}

/* M2M-DINO: another given image, another picture. */
static void dino_looks_at_what_is_given(void **state)
{
    (void)state;
    outcome o;
    char model[600], image[2][600], hash[2][SHA256_HEX];
    snprintf(model, sizeof model, "%.500s", in_tests("../models/dino"));
    snprintf(image[0], sizeof image[0], "%.500s", in_tests("../share/demo/1-dog-face.png"));
    snprintf(image[1], sizeof image[1], "%.500s", in_tests("../share/examples/chair.png"));
    for (int i = 0; i < 2; i++) {
        RUN(&o, "generate", model, "-i", image[i], "-n", "1", "--steps", "2", "-o", in_scratch("made"));
        expect_success(&o);
        hash_of(hash[i], in_scratch("made/000.png"));
        remove_tree(in_scratch("made"));
    }
    assert_string_not_equal(hash[0], hash[1]);
}

/* Without it sets drift away from what was given (docs/drift.md). */
static void long_sets_keep_what_is_given(void **state)
{
    (void)state;
    static const char *const models[][2] = {{"../models/emoji", "\"window\":0,\"anchors\":-1"},
                                            {"../models/dino", "\"window\":0,\"anchors\":-1"},
                                            {"../models/views", "\"window\":-1,\"anchors\":-1"}};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        outcome o;
        RUN(&o, "info", in_tests(models[i][0]));
        expect_success(&o);
        if (!strstr(o.out, models[i][1])) fail_msg("%s does not recommend %s: %s", models[i][0], models[i][1], o.out);
    }
}

/* Mean red less mean blue, of 0..255, of an image made from a text. */
static double redness(const char *prompt)
{
    outcome o;
    m2m_image made = {0};
    char path[600];
    double sum = 0;
    snprintf(path, sizeof path, "%.500s", in_tests("../models/t2i"));
    RUN(&o, "generate", path, "--prompt", prompt, "-n", "1", "--steps", "8", "--scheduler", "dpmpp_2m", "-o",
        in_scratch("made"));
    expect_success(&o);
    assert_int_equal(m2m_image_load(&made, in_scratch("made/000.png"), NULL), 0);
    size_t pixels = (size_t)made.width * (size_t)made.height;
    for (size_t i = 0; i < pixels; i++)
        sum += (double)made.data[i * (size_t)made.channels] - made.data[i * (size_t)made.channels + 2];
    m2m_image_free(&made);
    remove_tree(in_scratch("made"));
    return sum / (double)pixels;
}

static void text_to_image_reads_the_text(void **state)
{
    (void)state;
    double apple = redness("red apple, twemoji style"), button = redness("blue circle, twemoji style");
    if (!(apple > 40 && button < 0)) fail_msg("red less blue: %.1f of an apple, %.1f of a blue circle", apple, button);
}

static void clip_opens_with_its_tokenizer(void **state)
{
    (void)state;
    outcome o;
    RUN(&o, "info", in_tests("../models/clip"));
    expect_success(&o);
    assert_non_null(strstr(o.out, "clip: CLIPModel, 128 numbers an image or a text"));
    assert_non_null(strstr(o.out, "tokenizer: CLIP's, start id 2046"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_look_at_the_camera),
        cmocka_unit_test(drawing_looks_at_the_position),
        cmocka_unit_test(dino_looks_at_what_is_given),
        cmocka_unit_test(long_sets_keep_what_is_given),
        cmocka_unit_test(text_to_image_reads_the_text),
        cmocka_unit_test(clip_opens_with_its_tokenizer),
    };
    return cmocka_run_group_tests_name("models", tests, scratch_make, scratch_remove);
}
