/* The command line alone: help, version, and arguments that are refused before anything is read. */
#include "program.h"

#include "m2m_train.h"

#include <stdio.h>
#include <string.h>

typedef struct bad_case {
    const char *name, *args[16], *named;
} bad_case;

/* Files named here need not exist: these are refused before any file is opened. */
static const bad_case bad_cases[] = {
    {"no_command", {NULL}, "no command"},
    {"unknown_command", {"foo"}, "foo"},
    {"misspelt_command", {"genrate"}, "generate"},
    {"unknown_global_option", {"--foo"}, "--foo"},
    {"unknown_help", {"help", "foo"}, "foo"},
    {"unknown_subcommand", {"data", "chek"}, "check"},
    {"no_subcommand", {"data"}, "no command"},
    {"generate_nothing", {"generate"}, "-o is missing"},
    {"generate_no_output", {"generate", "-i", "a.png"}, "-o is missing"},
    {"generate_no_image", {"generate", "-o", "x"}, "-i"},
    {"generate_latents_and_images", {"generate", "-i", "a", "--latents", "b", "-o", "x"}, "--latents"},
    {"generate_noise_and_seed", {"generate", "-i", "a", "--noise", "b", "--seed", "0", "-o", "x"}, "--noise"},
    {"generate_prompt_and_images", {"generate", "-i", "a", "--prompt", "b", "-o", "x"}, "--prompt"},
    {"generate_negative_prompt_alone", {"generate", "-i", "a", "--negative-prompt", "b", "-o", "x"}, "--prompt"},
    {"generate_camera_and_position",
     {"generate", "-i", "a", "--camera", "ring:3", "--position", "1", "-o", "x"}, "--camera"},
    {"n_zero", {"generate", "-i", "a", "-o", "x", "-n", "0"}, "1..100000"},
    {"n_negative", {"generate", "-i", "a", "-o", "x", "-n", "-3"}, "\"-3\""},
    {"n_scientific", {"generate", "-i", "a", "-o", "x", "-n", "1e3"}, "\"1e3\""},
    {"n_fraction", {"generate", "-i", "a", "-o", "x", "-n", "2.5"}, "\"2.5\""},
    {"n_overflow", {"generate", "-i", "a", "-o", "x", "-n", "99999999999999999999"}, "1..100000"},
    {"n_empty", {"generate", "-i", "a", "-o", "x", "-n", ""}, "-n"},
    {"n_without_value", {"generate", "-i", "a", "-o", "x", "-n"}, "-n"},
    {"steps_zero", {"generate", "-i", "a", "-o", "x", "--steps", "0"}, "--steps"},
    {"steps_too_many", {"generate", "-i", "a", "-o", "x", "--steps=1001"}, "1..1000"},
    {"steps_hexadecimal", {"generate", "-i", "a", "-o", "x", "--steps", "0x10"}, "0x10"},
    {"window_negative", {"generate", "-i", "a", "-o", "x", "--window", "-2"}, "--window"},
    {"guidance_nan", {"generate", "-i", "a", "-o", "x", "--guidance", "nan"}, "--guidance"},
    {"guidance_infinite", {"generate", "-i", "a", "-o", "x", "--guidance", "inf"}, "--guidance"},
    {"guidance_negative", {"generate", "-i", "a", "-o", "x", "--guidance", "-1"}, "0..100"},
    {"guidance_text", {"generate", "-i", "a", "-o", "x", "--guidance", "7,5"}, "7,5"},
    {"seed_negative", {"generate", "-i", "a", "-o", "x", "--seed", "-1"}, "--seed"},
    {"seed_beyond_json", {"generate", "-i", "a", "-o", "x", "--seed", "9007199254740992"}, "--seed"},
    {"scheduler_unknown", {"generate", "-i", "a", "-o", "x", "--scheduler", "magic"}, "ddim, euler"},
    {"fit_unknown", {"generate", "-i", "a", "-o", "x", "--fit", "squeeze"}, "crop, pad, stretch"},
    {"flag_with_a_strange_value", {"generate", "-i", "a", "-o", "x", "--exact=perhaps"}, "--exact"},
    {"option_misspelt", {"generate", "-i", "a", "-o", "x", "--guidence", "3"}, "--guidance"},
    {"option_unknown", {"generate", "-i", "a", "-o", "x", "--zzzz", "3"}, "--zzzz"},
    {"short_option_unknown", {"generate", "-i", "a", "-o", "x", "-q"}, "-q"},
    {"option_in_the_place_of_a_value", {"generate", "-i", "-o", "x"}, "-i"},
    {"two_models", {"generate", "a", "b", "-i", "c", "-o", "x"}, "b"},
    {"image_without_i", {"generate", "-i", "a.png", M2M_PROGRAM, "-o", "x"}, "-i"},
    {"empty_argument", {"generate", "", "-i", "c", "-o", "x"}, "empty"},
    {"empty_output", {"generate", "-i", "c", "-o", ""}, "-o"},
    {"forward_nothing", {"forward"}, "DIR"},
    {"forward_no_component", {"forward", "d", "--in", "a", "--out", "b"}, "--component"},
    {"forward_no_in", {"forward", "d", "--component", "unet", "--out", "b"}, "--in"},
    {"forward_no_out", {"forward", "d", "--component", "unet", "--in", "b"}, "--out"},
    {"forward_unknown_component", {"forward", "d", "--component", "unot", "--in", "a", "--out", "b"}, "unot"},
    {"preprocess_no_image", {"preprocess", "d", "--component", "image_encoder", "--out", "b"}, "IMAGE"},
    {"preprocess_no_component", {"preprocess", "d", "a.png", "--out", "b"}, "--component"},
    {"preprocess_unknown_component", {"preprocess", "d", "a.png", "--component", "vae", "--out", "b"}, "vae"},
    {"optimize_bad_lr", {"optimize", "d", "--in", "a", "--out", "b", "--lr", "2"}, "--lr"},
    {"train_nothing", {"train"}, "CONFIG.json"},
    {"train_two_configs", {"train", "a", "b"}, "b"},
    {"train_set_without_value", {"train", "a", "--set"}, "--set"},
    {"compose_no_output", {"data", "compose", "pool"}, "-o"},
    {"compose_bad_size", {"data", "compose", "pool", "-o", "x", "--size", "8"}, "16..1024"},
    {"compose_bad_split", {"data", "compose", "pool", "-o", "x", "--split", "test"}, "val_subject"},
    {"check_nothing", {"data", "check"}, "PATH"},
    {"bench_bad_runs", {"bench", "--runs", "0"}, "--runs"},
    {"bench_bad_isa", {"bench", "--isa", "sse"}, "avx2"},
    {"info_two_files", {"info", "a", "b"}, "b"},
};

static void is_refused(void **state)
{
    const bad_case *c = *state;
    outcome o;
    program_run(&o, &(way){0}, c->args);
    expect_refused(&o, c->named);
    assert_int_equal(o.status, 2);
    assert_non_null(strstr(o.err, "--help"));
    assert_false(there("x"));
}

static void says(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void help_teaches(void **state)
{
    (void)state;
    outcome o, p;
    RUN(&o, "--help");
    expect_success(&o);
    says(o.out, "Example");
    static const char *const names[] = {"generate", "forward", "optimize", "preprocess", "init", "train", "info",
                                        "bench", "data"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        RUN(&o, "--help");
        says(o.out, names[i]);
        RUN(&o, names[i], "--help");
        expect_success(&o);
        says(o.out, "Usage: m2m ");
        RUN(&p, "help", names[i]);
        expect_success(&p);
        assert_string_equal(o.out, p.out);
    }
    RUN(&o, "data", "compose", "--help");
    expect_success(&o);
    says(o.out, "--families");
    RUN(&p, "help", "data", "compose");
    assert_string_equal(o.out, p.out);
}

static void help_has_every_option_with_its_default(void **state)
{
    (void)state;
    static const char *const tables[][3] = {
        {"generate", "generate", NULL}, {"compose", "data", "compose"}, {"bench", "bench", NULL},
        {"train", "train", NULL},
    };
    for (size_t i = 0; i < 4; i++) {
        outcome o;
        const char *args[] = {tables[i][1], tables[i][2] ? tables[i][2] : "--help", "--help", NULL};
        program_run(&o, &(way){0}, args);
        expect_success(&o);
        const m2m_option_table *t = m2m_options(tables[i][0]);
        for (int k = 0; k < t->count; k++) {
            char flag[80];
            bool key = !strcmp(t->name, "train");
            snprintf(flag, sizeof flag, "  %s%s", key ? "" : t->rows[k].name[1] ? "--" : "-", t->rows[k].name);
            for (char *c = flag; *c && !key; c++) {
                if (*c == '_') *c = '-';
            }
            says(o.out, flag);
        }
        says(o.out, "default");
    }
}

static void version_names_the_libraries(void **state)
{
    (void)state;
    outcome o;
    RUN(&o, "--version");
    expect_success(&o);
    says(o.out, m2m_version());
    says(o.out, "libspng");
    says(o.out, "compiler");
}

static void output_that_cant_be_written_is_an_error(void **state)
{
    (void)state;
    outcome o;
    program_run(&o, &(way){.output = "/dev/full"}, (const char *const[]){"--help", NULL});
    expect_refused(&o, "standard output");
}

static void bench_times_every_component(void **state)
{
    (void)state;
    static const char *const of[][2] = {
        {"golden/models/unet_text", "unet"}, {"golden/models/unet_text", "guided"}, {"golden/models/m2m_self", "m2m"},
        {"golden/models/m2m_self", "vae_encoder"}, {"golden/models/m2m_self", "vae_decoder"},
        {"golden/models/m2m_self", "train"},
    };
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        outcome o;
        char line[64];
        RUN(&o, "bench", in_tests(of[i][0]), "--component", of[i][1], "--size", "16x16", "--runs", "1", "--ops",
            "--threads", "2");
        expect_success(&o);
        snprintf(line, sizeof line, "%s, batch 2, ", of[i][1]);
        says(o.out, line);
        says(o.out, "conv2d");
    }
}

int main(void)
{
    enum { BAD = sizeof bad_cases / sizeof bad_cases[0], OTHERS = 5 };
    static struct CMUnitTest tests[BAD + OTHERS] = {
        cmocka_unit_test(help_teaches),
        cmocka_unit_test(help_has_every_option_with_its_default),
        cmocka_unit_test(version_names_the_libraries),
        cmocka_unit_test(output_that_cant_be_written_is_an_error),
        cmocka_unit_test(bench_times_every_component),
    };
    for (int i = 0; i < BAD; i++)
        tests[OTHERS + i] = (struct CMUnitTest){.name = bad_cases[i].name, .test_func = is_refused,
                                                .initial_state = (void *)(uintptr_t)&bad_cases[i]};
    return cmocka_run_group_tests_name("command line", tests, scratch_make, scratch_remove);
}
