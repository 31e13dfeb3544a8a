/* An image of m2m data mis is made again alone by m2m generate with the seed that its record holds: the same pixels. */
#include "program.h"

#include "data/shard.h"
#include "image/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *model(void)
{
    return in_tests("golden/models/text_to_image");
}

/* Seed k of a sample's record. */
static void seed_of(const shard *s, int64_t sample, int k, char *text, size_t room)
{
    size_t size;
    const uint8_t *json = shard_data(s, sample, shard_find(s, sample, "json"), &size);
    cJSON *record = cJSON_ParseWithLength((const char *)json, size);
    const cJSON *seed = cJSON_GetArrayItem(cJSON_GetObjectItem(record, "seeds"), k);
    assert_non_null(seed);
    snprintf(text, room, "%.0f", seed->valuedouble);
    cJSON_Delete(record);
}

static void is_made_again_alone(const char *scheduler)
{
    outcome o;
    shard *s;
    char seed[32];
    size_t size;
    m2m_image want, got;
    write_text(in_scratch("captions.tsv"), "http://a\ta dog\nhttp://b\ta cat 7\n");
    RUN(&o, "data", "mis", model(), in_scratch("captions.tsv"), "-o", in_scratch("mis"), "--images", "3",
        "--steps", "4",
        "--format", "png", "--validation", "0", "--test", "0", "--seed", "5", "--batch", "3",
        "--scheduler", scheduler);
    expect_success(&o);
    assert_int_equal(shard_open(&s, in_scratch("mis/train/mis-00000.tar"), NULL), 0);
    seed_of(s, 1, 2, seed, sizeof seed);
    const uint8_t *png = shard_data(s, 1, shard_find(s, 1, "02.png"), &size);
    assert_int_equal(image_decode(&want, png, size, "02.png", NULL), 0);
    RUN(&o, "generate", model(), "--prompt", "a cat 7", "--seed", seed, "--scheduler", scheduler,
        "--steps", "4", "-n", "1",
        "-o", in_scratch("alone"));
    expect_success(&o);
    assert_int_equal(m2m_image_load(&got, in_scratch("alone/000.png"), NULL), 0);
    assert_int_equal(want.width, got.width);
    assert_int_equal(want.height, got.height);
    assert_memory_equal(want.data, got.data, (size_t)want.width * (size_t)want.height * 3);
    m2m_image_free(&want);
    m2m_image_free(&got);
    shard_close(&s);
    RUN(&o, "data", "mis", model(), in_scratch("captions.tsv"), "-o", in_scratch("one by one"), "--images", "3",
        "--steps", "4",
        "--format", "png", "--validation", "0", "--test", "0", "--seed", "5", "--batch", "1",
        "--scheduler", scheduler);
    expect_success(&o);
    assert_true(same_files("mis/train/mis-00000.tar", "one by one/train/mis-00000.tar"));
    remove_tree(in_scratch("mis"));
    remove_tree(in_scratch("one by one"));
    remove_tree(in_scratch("alone"));
}

/* All there are: those that remember, that call the model once more, and that draw noise at each step. */
static void an_image_is_made_again_alone(void **state)
{
    (void)state;
    static const char *const schedulers[] = {"ddim", "euler", "euler_ancestral", "dpmpp_2m", "pndm"};
    for (size_t i = 0; i < sizeof schedulers / sizeof *schedulers; i++) is_made_again_alone(schedulers[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_image_is_made_again_alone)};
    return cmocka_run_group_tests_name("mis_image", tests, scratch_make, scratch_remove);
}
