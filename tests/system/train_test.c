/* m2m train from outside: the files that it leaves, Ctrl-C, and going on. */
#include "program.h"

#include "m2m.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Four folders of four small images each. */
static void write_sets(void)
{
    m2m_image img = {0};
    assert_int_equal(m2m_image_new(&img, 32, 32, 3, NULL), 0);
    mkdir(in_scratch("sets"), 0755);
    for (int s = 0; s < 4; s++) {
        mkdir(in_scratch("sets/%d", s), 0755);
        for (int k = 0; k < 4; k++) {
            for (int i = 0; i < 32 * 32 * 3; i++) img.data[i] = (uint8_t)(i * (s + 2) + 40 * k);
            assert_int_equal(m2m_image_save(&img, in_scratch("sets/%d/%d.png", s, k), NULL, 0, NULL), 0);
        }
    }
    m2m_image_free(&img);
}

static int prepare(void **state)
{
    char text[2048];
    if (scratch_make(state)) return -1;
    write_sets();
    int n = snprintf(text, sizeof text,
                     "{\"from\": \"%s\", \"data\": \"%s\", \"val_data\": \"%s\", \"output\": \"%s\", \"size\": 32,"
                     " \"sets\": 2, \"images\": 3, \"steps\": 6, \"lr\": 1e-4, \"val_every\": 1000, \"val_sets\": 2,"
                     " \"sample_every\": 1000, \"log_every\": 1}",
                     in_tests("golden/models/m2m_self"), in_scratch("sets"), in_scratch("sets"), in_scratch("run"));
    write_file(in_scratch("train.json"), text, (size_t)n);
    return 0;
}

static const char *const files[] = {"model/unet/config.json", "checkpoint.safetensors", "log.jsonl", "loss.png"};

static void training_leaves_a_model(void **state)
{
    (void)state;
    outcome o;
    RUN(&o, "train", in_scratch("train.json"), "--set", "steps=3", "--set", "sample_every=3", "--set",
        "val_every=3");
    expect_success(&o);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (!there(in_scratch("run/%s", files[i]))) fail_msg("%s is missing; said:\n%s", files[i], o.out);
    }
    RUN(&o, "info", in_scratch("run/model"));
    expect_success(&o);
    RUN(&o, "generate", in_scratch("run/model"), "-i", in_scratch("sets/0/0.png"), "-n", "1", "--steps", "2", "-o",
        in_scratch("made"));
    expect_success(&o);
    remove_tree(in_scratch("run"));
}

/* Ctrl-C is no failure: the checkpoint is written, and the same command with --resume goes on to the end. */
static void interrupted_training_can_go_on(void **state)
{
    (void)state;
    outcome o;
    char log[256];
    snprintf(log, sizeof log, "%s", in_scratch("run/log.jsonl"));
    way w = {.until = log};
    program_run(&o, &w, (const char *const[]){"train", in_scratch("train.json"), "--set", "steps=100000", NULL});
    expect_success(&o);
    assert_non_null(strstr(o.out, "--resume"));
    assert_true(there(in_scratch("run/checkpoint.safetensors")));
    RUN(&o, "train", in_scratch("train.json"), "--resume", "--set", "steps=100001", "--set", "seed=1");
    expect_refused(&o, NULL); // another seed is another run
    unlink(w.until); // its coming back tells that training goes on
    program_run(&o, &w,
                (const char *const[]){"train", in_scratch("train.json"), "--resume", "--set", "steps=100000", NULL});
    expect_success(&o);
    remove_tree(in_scratch("run"));
}

/* What training needs is known before it starts; a limit below that is told at once. */
static void too_little_memory_is_told_first(void **state)
{
    (void)state;
    outcome o;
    RUN(&o, "train", in_scratch("train.json"), "--set", "memory_limit=0.0001");
    expect_refused(&o, "memory|GiB|MiB");
    assert_false(there(in_scratch("run/checkpoint.safetensors")));
    remove_tree(in_scratch("run"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_leaves_a_model),
        cmocka_unit_test(interrupted_training_can_go_on),
        cmocka_unit_test(too_little_memory_is_told_first),
    };
    return cmocka_run_group_tests_name("train", tests, prepare, scratch_remove);
}
