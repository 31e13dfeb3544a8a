/* What a model's own files recommend is used where the user says nothing, overruled by flags, and may name no files. */
#include "program.h"

#include "m2m.h"

#include <stdlib.h>
#include <string.h>

/* A tiny text-to-image directory (its scheduler is PNDM's) with that generation_config.json. */
static const char *model_with(const char *config)
{
    const char *dir = in_scratch("model");
    remove_tree(dir);
    copy_tree(in_tests("golden/models/text_to_image"), dir);
    if (config) write_text(in_scratch("model/generation_config.json"), config);
    return dir;
}

static void expect_made_with(const char *model, const char *flag, const char *value, const char *text)
{
    outcome o;
    RUN(&o, "generate", model, "--prompt", "a", "-n", "1", "--steps", "2", "-o", in_scratch("made"), flag, value);
    expect_success(&o);
    size_t size;
    char *png = read_file(in_scratch("made/000.png"), &size);
    assert_non_null(memmem(png, size, text, strlen(text)));
    free(png);
    remove_tree(in_scratch("made"));
}

static void the_sampler_is_the_directory_s(void **state)
{
    (void)state;
    expect_made_with(model_with(NULL), "--seed", "1", "Sampler: PLMS,");
    expect_made_with(model_with(NULL), "--scheduler", "euler", "Sampler: Euler,");
}

static void generation_config_counts_and_flags_overrule_it(void **state)
{
    (void)state;
    const char *model = model_with("{\"guidance\": 3, \"scheduler\": \"ddim\"}");
    expect_made_with(model, "--seed", "1", "Sampler: DDIM, CFG scale: 3,");
    expect_made_with(model, "--guidance", "2", "Sampler: DDIM, CFG scale: 2,");
    outcome o;
    RUN(&o, "info", model);
    expect_success(&o);
    assert_non_null(strstr(o.out, "{\"guidance\":3,\"scheduler\":\"ddim\"}"));
}

static void expect_refusal(const char *config, const char *named)
{
    outcome o;
    RUN(&o, "generate", model_with(config), "--prompt", "a", "-n", "1", "-o", in_scratch("made"));
    expect_refused(&o, named);
    assert_non_null(strstr(o.err, "generation_config.json"));
    assert_false(there(in_scratch("made")));
}

static void what_a_model_may_not_say(void **state)
{
    (void)state;
    expect_refusal("{\"guidence\": 3}", "guidence");
    expect_refusal("{\"guidance\": 300}", "0..100");
    expect_refusal("{\"save_latents\": \"/tmp/x\"}", "save_latents");
    expect_refusal("[1]", "object");
    expect_refusal("{", "line 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sampler_is_the_directory_s),
        cmocka_unit_test(generation_config_counts_and_flags_overrule_it),
        cmocka_unit_test(what_a_model_may_not_say),
    };
    return cmocka_run_group_tests_name("defaults", tests, scratch_make, scratch_remove);
}
