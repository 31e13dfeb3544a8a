/* m2m train of a text-to-image U-Net: from M2M and from its like, going on after a stop, captions dropped, and what it
 * leaves. Images are colours, captions their names. */
#include "program.h"

#include "data/shard.h"
#include "m2m.h"
#include "tensor/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 16, SETS = 6 };
#define WEIGHTS "unet/diffusion_pytorch_model.safetensors"

static const char *const colours[SETS] = {"red", "green", "blue", "yellow", "cyan", "magenta"};

static char *picture(int s, size_t *size)
{
    static const uint8_t bits[SETS] = {1, 2, 4, 3, 6, 5};
    m2m_image img = {0};
    assert_int_equal(m2m_image_new(&img, SIDE, SIDE, 3, NULL), 0);
    for (int i = 0; i < SIDE * SIDE * 3; i++) img.data[i] = bits[s] >> (i % 3) & 1 ? 230 : 20;
    assert_int_equal(m2m_image_save(&img, in_scratch("one.png"), NULL, 0, NULL), 0);
    m2m_image_free(&img);
    return read_file(in_scratch("one.png"), size);
}

/* caption[s]: NULL for a set without one. */
static void write_shard(const char *path, const char *const *captions)
{
    shard_writer *w;
    assert_int_equal(shard_create(&w, path, NULL), 0);
    for (int s = 0; s < SETS; s++) {
        shard_field f[2] = {{"png", NULL, 0}, {"txt", captions[s], captions[s] ? strlen(captions[s]) : 0}};
        char *png = picture(s, &f[0].size);
        f[0].data = png;
        assert_int_equal(shard_add(w, colours[s], f, captions[s] ? 2 : 1, NULL), 0);
        free(png);
    }
    assert_int_equal(shard_finish(&w, NULL), 0);
}

static int prepare(void **state)
{
    if (scratch_make(state)) return -1;
    char text[2048];
    write_shard(in_scratch("sets.tar"), colours);
    snprintf(text, sizeof text,
             "{\"kind\": \"text_to_image\", \"from\": \"%s\", \"data\": \"%s\", \"val_data\": \"%s\","
             " \"output\": \"%s\", \"size\": %d, \"sets\": 4,"
             " \"steps\": 4, \"lr\": 1e-3, \"val_every\": 4, \"val_sets\": 8, \"seed\": 2,"
             " \"sample_every\": 4, \"log_every\": 1, \"ema_decay\": 0}",
             in_tests("golden/models/text_to_image"), in_scratch("sets.tar"), in_scratch("sets.tar"), in_scratch("run"),
             SIDE);
    write_text(in_scratch("text.json"), text);
    return 0;
}

/* Two keys set; "" for one that is not wanted. */
static void train(outcome *o, const char *output, const char *a, const char *b)
{
    char to[300];
    snprintf(to, sizeof to, "output=%s", in_scratch("%s", output));
    RUN(o, "train", in_scratch("text.json"), "--set", to, "--set", *a ? a : to, "--set", *b ? b : to);
}

static const char *data_from(const char *name)
{
    static char text[300];
    snprintf(text, sizeof text, "data=%s", in_scratch("%s", name));
    return text;
}

static safetensors *open_unet(const char *dir)
{
    safetensors *file;
    char path[700];
    snprintf(path, sizeof path, "%.600s/" WEIGHTS, dir);
    assert_int_equal(safetensors_open(&file, path, NULL), 0);
    return file;
}

static bool same_tensor(const tensor *a, const tensor *b)
{
    return a && b && shape_equal(a->shape, b->shape) && a->type == b->type &&
           !memcmp(a->data, b->data, (size_t)shape_count(a->shape) * dtype_size(a->type));
}

static void a_run_leaves_a_pipeline(void **state)
{
    (void)state;
    outcome o;
    static const char *const files[] = {"model/model_index.json", "model/scheduler/scheduler_config.json",
        "model/tokenizer/vocab.json", "model/text_encoder/model.safetensors", "model/vae/config.json",
        ("model/" WEIGHTS), "samples/step-0000004.png", "loss.png"};
    train(&o, "run", "", "");
    expect_success(&o);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (!there(in_scratch("run/%s", files[i]))) fail_msg("%s is missing; said:\n%s", files[i], o.out);
    if (!strstr(o.out, "val_loss") || !strstr(o.out, "ratio_high")) fail_msg("no validation in:\n%s", o.out);
    RUN(&o, "generate", in_scratch("run/model"), "--prompt", "red", "-n", "1", "--steps", "2", "-o",
        in_scratch("made"));
    expect_success(&o);
    RUN(&o, "info", in_scratch("run/model"));
    expect_success(&o);
}

/* Stopped at 2 of 4 and gone on with: the same bits as in one go. */
static void resuming_changes_nothing(void **state)
{
    (void)state;
    outcome o;
    char to[300];
    snprintf(to, sizeof to, "output=%s", in_scratch("again"));
    train(&o, "again", "steps=2", "sample_every=1");
    expect_success(&o);
    RUN(&o, "train", in_scratch("text.json"), "--set", to, "--resume");
    expect_success(&o);
    assert_true(same_files(in_scratch("again/model/" WEIGHTS), in_scratch("run/model/" WEIGHTS)));
    train(&o, "other", "recompute=true", "");
    expect_success(&o);
    assert_true(same_files(in_scratch("other/model/" WEIGHTS), in_scratch("run/model/" WEIGHTS)));
}

/* With every caption dropped, others in their place change nothing; with none dropped, they do. */
static void captions_are_dropped(void **state)
{
    (void)state;
    outcome o;
    static const char *const others[SETS] = {"a cat", "a dog", "a hat", "a house", "a tree", "a moon"};
    static const char *const drops[] = {"drop=1", "drop=0"};
    write_shard(in_scratch("others.tar"), others);
    for (int i = 0; i < 2; i++) {
        train(&o, "own", drops[i], "");
        expect_success(&o);
        train(&o, "others", drops[i], data_from("others.tar"));
        expect_success(&o);
        assert_int_equal(same_files(in_scratch("own/model/" WEIGHTS), in_scratch("others/model/" WEIGHTS)), i == 0);
        remove_tree(in_scratch("own"));
        remove_tree(in_scratch("others"));
    }
}

/* All is M2M's but attn2, which is fresh and as wide as the text's states. */
static void it_starts_from_m2m(void **state)
{
    (void)state;
    outcome o;
    char from[600], text[600];
    snprintf(from, sizeof from, "from=%s", in_tests("golden/models/m2m_self"));
    snprintf(text, sizeof text, "text_encoder=%s", in_tests("golden/models/text_to_image"));
    RUN(&o, "train", in_scratch("text.json"), "--set", from, "--set", text, "--set", "lr=0", "--set", "steps=1");
    expect_refused(&o, "is there already");
    remove_tree(in_scratch("run"));
    RUN(&o, "train", in_scratch("text.json"), "--set", from, "--set", text, "--set", "lr=0", "--set", "steps=1");
    expect_success(&o);
    safetensors *made = open_unet(in_scratch("run/model")), *base = open_unet(in_tests("golden/models/m2m_self"));
    assert_int_equal(safetensors_count(made), safetensors_count(base));
    for (int i = 0; i < safetensors_count(base); i++) {
        const char *name = safetensors_name(base, i);
        const tensor *t = safetensors_find(made, name);
        assert_int_equal(same_tensor(safetensors_at(base, i), t), !strstr(name, ".attn2."));
        if (strstr(name, "attn2.to_k.weight")) assert_int_equal(shape_last(t->shape), 20);
    }
    safetensors_close(&made);
    safetensors_close(&base);
    RUN(&o, "generate", in_scratch("run/model"), "--prompt", "red", "-n", "1", "--steps", "2", "-o",
        in_scratch("made"));
    expect_success(&o);
}

static void what_does_not_fit_is_named(void **state)
{
    (void)state;
    outcome o;
    static const char *const spoilt[][SETS] = {{"red", NULL, "blue", "yellow", "cyan", "magenta"},
        {"red", "green", " \n", "yellow", "cyan", "magenta"}, {"red", "green", "blue", "caf\xe9", "cyan", "magenta"}};
    static const char *const sets[] = {"set green", "set blue", "set yellow"};
    char other[600];
    for (int i = 0; i < 3; i++) {
        write_shard(in_scratch("spoilt.tar"), spoilt[i]);
        train(&o, "none", data_from("spoilt.tar"), "");
        expect_refused(&o, sets[i]);
        if (!strstr(o.err, "caption")) fail_msg("said: %s", o.err);
    }
    snprintf(other, sizeof other, "text_encoder=%s", in_tests("golden/models/text_encoder_gelu"));
    train(&o, "none", other, "");
    expect_refused(&o, "vocab.json");
    snprintf(other, sizeof other, "vae=%s", in_scratch("nowhere"));
    train(&o, "none", other, "");
    expect_refused(&o, "nowhere");
    train(&o, "none", "size=17", "");
    expect_refused(&o, "size");
    assert_false(there(in_scratch("none/checkpoint.safetensors")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_leaves_a_pipeline),
        cmocka_unit_test(resuming_changes_nothing),
        cmocka_unit_test(captions_are_dropped),
        cmocka_unit_test(it_starts_from_m2m),
        cmocka_unit_test(what_does_not_fit_is_named),
    };
    return cmocka_run_group_tests(tests, prepare, scratch_remove);
}
