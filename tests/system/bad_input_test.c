/* Images, tensors, options and training files that are missing, damaged or contradict each other: each is refused
 * with one line that names the trouble, and nothing is left at the output. */
#include "program.h"

#include "m2m.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MODEL "@model"           /* the tiny good model */
#define OUT "-o", "@out/dir"
#define GENERATE "generate", MODEL, OUT, "-n", "1", "--steps", "2"
#define REPLAY "generate", MODEL, OUT, "--steps", "2"
#define FORWARD "forward", "@model/unet", "--component", "m2m", "--out", "@out/y.safetensors", "--in"

/* In args, @name is a file of the scratch directory (prepare() makes them). */
typedef struct input_case {
    const char *name, *args[20], *named;
} input_case;

static const input_case cases[] = {
    {"model_missing", {"generate", "@nowhere", OUT, "-i", "@good.png"}, "nowhere"},
    {"model_without_index", {"generate", "@model/unet", OUT, "-i", "@good.png"}, "model_index.json"},
    {"model_a_single_component", {"generate", "@empty", OUT, "-i", "@good.png"}, "model_index.json"},
    {"model_a_picture", {"generate", "@good.png", OUT, "-i", "@good.png"}, "good.png"},
    {"model_no_checkpoint", {"generate", "@latents.safetensors", OUT, "--prompt", "a cat"}, "latents.safetensors"},
    {"image_missing", {GENERATE, "-i", "@gone.png"}, "gone.png"},
    {"image_a_folder", {GENERATE, "-i", "@empty"}, "empty"},
    {"image_empty", {GENERATE, "-i", "@empty.png"}, "empty.png"},
    {"image_a_text", {GENERATE, "-i", "@text.png"}, "text.png"},
    {"image_a_gif", {GENERATE, "-i", "@image.gif"}, "image.gif"},
    {"image_second_of_two", {GENERATE, "-i", "@good.png", "-i", "@text.png"}, "text.png"},
    {"png_cut", {GENERATE, "-i", "@cut.png"}, "cut.png"},
    {"png_cut_in_the_signature", {GENERATE, "-i", "@cut8.png"}, "cut8.png"},
    {"png_damaged_pixels", {GENERATE, "-i", "@damaged.png"}, "damaged.png"},
    {"png_of_no_width", {GENERATE, "-i", "@wide0.png"}, "wide0.png"},
    {"png_of_2_gigapixels", {GENERATE, "-i", "@huge.png"}, "huge.png"},
    {"jpeg_cut", {GENERATE, "-i", "@cut.jpg"}, "cut.jpg"},
    {"webp_cut", {GENERATE, "-i", "@cut.webp"}, "cut.webp"},
    {"size_no_height", {GENERATE, "-i", "@good.png", "--size", "32"}, "size"},
    {"size_zero", {GENERATE, "-i", "@good.png", "--size", "0x0"}, "size"},
    {"size_trailing", {GENERATE, "-i", "@good.png", "--size", "32x32x"}, "size"},
    {"size_odd", {GENERATE, "-i", "@good.png", "--size", "33x32"}, "33x32"},
    {"size_negative", {GENERATE, "-i", "@good.png", "--size", "-32x32"}, "size"},
    {"size_beyond_memory", {GENERATE, "-i", "@good.png", "--size", "65534x65534"}, NULL},
    {"background_no_colour", {GENERATE, "-i", "@good.png", "--background", "white"}, "background"},
    {"background_too_short", {GENERATE, "-i", "@good.png", "--background", "fff"}, "background"},
    {"device_unknown", {GENERATE, "-i", "@good.png", "--device", "abacus"}, "abacus"},
    {"device_number_of_cpu", {GENERATE, "-i", "@good.png", "--device", "cpu:9"}, "cpu:9"},
    {"camera_without_camera_model", {GENERATE, "-i", "@good.png", "--camera", "ring:4"}, "camera"},
    {"position_without_position_model", {GENERATE, "-i", "@good.png", "--position", "3"}, "position"},
    {"prompt_without_text_model", {GENERATE, "--prompt", "a cat"}, "prompt"},
    {"latents_missing", {REPLAY, "-n", "1", "--latents", "@gone.safetensors"}, "gone.safetensors"},
    {"latents_of_another_name", {REPLAY, "-n", "1", "--latents", "@noise2.safetensors"}, "latents"},
    {"latents_of_three_dimensions", {REPLAY, "-n", "1", "--latents", "@latents3d.safetensors"}, "latents"},
    {"latents_of_five_channels", {REPLAY, "-n", "1", "--latents", "@latents5.safetensors"}, "latents"},
    {"latents_of_another_size",
     {REPLAY, "-n", "1", "--latents", "@latents.safetensors", "--size", "32x32"},
     "latents"},
    {"latents_none", {REPLAY, "-n", "1", "--latents", "@latents0.safetensors"}, "latents"},
    {"noise_for_fewer_images",
     {REPLAY, "-n", "3", "--latents", "@latents.safetensors", "--noise", "@noise2.safetensors"},
     "noise"},
    {"noise_of_another_size", {REPLAY, "-n", "2", "-i", "@good.png", "--noise", "@noise2.safetensors"}, "noise"},
    {"noise_a_text", {REPLAY, "-n", "2", "-i", "@good.png", "--noise", "@text.png"}, "text.png"},
    {"in_missing", {FORWARD, "@gone.safetensors"}, "gone.safetensors"},
    {"in_without_a_tensor", {FORWARD, "@latents.safetensors"}, "clean|noisy|timesteps"},
    {"in_of_wrong_rank", {FORWARD, "@clean4d.safetensors"}, "clean|noisy|timesteps"},
    {"component_without_weights",
     {"forward", "@model", "--component", "clip", "--in", "@latents.safetensors", "--out", "@out/y.safetensors"},
     "clip"},
    {"unet_of_another_kind",
     {"forward", "@model/vae", "--component", "unet", "--in", "@latents.safetensors", "--out",
      "@out/y.safetensors"},
     NULL},
    {"config_missing", {"train", "@gone.json"}, "gone.json"},
    {"config_no_json", {"train", "@text.png"}, "text.png"},
    {"config_an_array", {"train", "@array.json"}, "array.json"},
    {"config_deep", {"train", "@deep.json"}, "deep.json"},
    {"config_unknown_key", {"train", "@unknown.json"}, "learning_rate"},
    {"config_key_out_of_range", {"train", "@range.json"}, "steps"},
    {"config_key_of_another_type", {"train", "@type.json"}, "lr"},
    {"config_without_output", {"train", "@train.json", "--set", "steps=1"}, "output"},
    {"set_without_equals", {"train", "@train.json", "--set", "steps"}, "steps"},
    {"set_unknown_key", {"train", "@train.json", "--set", "stesp=3"}, "steps"},
    {"set_out_of_range", {"train", "@train.json", "--set", "steps=0"}, "steps"},
    {"train_data_missing", {"train", "@train.json", "--set", "output=@out/run", "--set", "data=@gone"}, "gone"},
    {"train_data_empty", {"train", "@train.json", "--set", "output=@out/run", "--set", "data=@empty"}, "empty"},
    {"train_from_nowhere", {"train", "@train.json", "--set", "output=@out/run", "--set", "from=@gone"}, "gone"},
    {"resume_nothing", {"train", "@train.json", "--resume", "--set", "output=@out/run"}, NULL},
    {"check_missing", {"data", "check", "@gone"}, "gone"},
    {"check_empty", {"data", "check", "@empty"}, "empty"},
    {"check_broken_shard", {"data", "check", "@text.tar"}, "text.tar"},
    {"check_unknown_kind", {"data", "check", "cocoa", "@empty"}, "coco"},
    {"check_option_without_kind", {"data", "check", "@empty", "--views", "3"}, "views"},
    {"import_without_output", {"data", "import", "folders", "@empty"}, "-o"},
    {"import_without_source", {"data", "import", "folders", OUT}, "KIND SRC"},
    {"import_unknown_kind", {"data", "import", "imagenet", "@empty", OUT}, "objaverse"},
    {"import_missing", {"data", "import", "coco", "@gone", OUT}, "gone"},
    {"import_empty_folder", {"data", "import", "folders", "@empty", OUT}, "no set"},
    {"import_views_without_list", {"data", "import", "objaverse", "@empty", OUT}, "valid_paths.json"},
    {"import_steps_without_text", {"data", "import", "vgsi", "@empty", OUT}, "WikihowText_data.json"},
    {"import_coco_without_annotations", {"data", "import", "coco", "@empty", OUT}, "instances_train"},
    {"import_coco_of_no_json", {"data", "import", "coco", "@text.png", OUT}, "text.png"},
    {"import_broken_shard", {"data", "import", "shards", "@text.tar", OUT}, "text.tar"},
    {"import_captions", {"data", "import", "cc12m", "@captions.tsv", OUT}, "m2m data mis"},
    {"import_size_out_of_range", {"data", "import", "folders", "@empty", OUT, "--size", "99999"}, "size"},
    {"import_bad_background", {"data", "import", "folders", "@empty", OUT, "--background", "red"}, "background|red"},
    {"compose_no_pool", {"data", "compose", "@gone", OUT, "--sets", "1"}, "gone"},
    {"bench_missing", {"bench", "@gone", "--runs", "1"}, "gone"},
    {"bench_guided_of_a_set", {"bench", "@model/unet", "--component", "guided", "--runs", "1"}, "guided|m2m"},
    {"bench_bad_size", {"bench", "@model/unet", "--size", "wide", "--runs", "1"}, "size|wide"},
    {"info_missing", {"info", "@gone"}, "gone"},
    {"info_a_text", {"info", "@text.png"}, "text.png"},
};

/* ---- The files that the cases name ---- */

static void write_images(void)
{
    m2m_image img = {0};
    m2m_error err = {0};
    assert_int_equal(m2m_image_new(&img, 40, 30, 3, &err), 0);
    uint32_t random = 1;
    for (int i = 0; i < 40 * 30 * 3; i++) img.data[i] = (uint8_t)((random = random * 1664525u + 1013904223u) >> 24);
    static const char *const names[] = {"good.png", "good.jpg", "good.webp"};
    for (int i = 0; i < 3; i++) {
        if (m2m_image_save(&img, in_scratch("%s", names[i]), NULL, 0, &err)) fail_msg("%s", err.msg);
        size_t size;
        char *data = read_file(in_scratch("%s", names[i]), &size);
        write_file(in_scratch("cut%s", strchr(names[i], '.')), data, size / 2);
        free(data);
    }
    m2m_image_free(&img);
    size_t size;
    char *data = read_file(in_scratch("good.png"), &size);
    write_file(in_scratch("cut8.png"), data, 8);
    data[size / 2] ^= 0x55;
    write_file(in_scratch("damaged.png"), data, size);
    data[size / 2] ^= 0x55;
    // IHDR: width at 16, height at 20. The checksum is wrong then too, which is as good a reason.
    memcpy(data + 16, "\0\0\0\0", 4);
    write_file(in_scratch("wide0.png"), data, size);
    memcpy(data + 16, "\0\0\xb0\0\0\0\xb0\0", 8);
    write_file(in_scratch("huge.png"), data, size);
    free(data);
    write_text(in_scratch("image.gif"), "GIF89a\1\0\1\0\200\0\0");
}

static void write_configs(void)
{
    char text[4096];
    int n = snprintf(text, sizeof text,
                     "{\"from\": \"%s\", \"data\": \"%s\", \"sets\": 1, \"images\": 2, \"size\": 32}",
                     in_scratch("model"), in_scratch("empty"));
    write_file(in_scratch("train.json"), text, (size_t)n);
    write_text(in_scratch("array.json"), "[1, 2]");
    write_text(in_scratch("unknown.json"), "{\"learning_rate\": 1}");
    write_text(in_scratch("range.json"), "{\"steps\": 0}");
    write_text(in_scratch("type.json"), "{\"lr\": \"fast\"}");
    char *deep = malloc(100001);
    assert_non_null(deep);
    memset(deep, '[', 100000);
    deep[100000] = 0;
    write_text(in_scratch("deep.json"), deep);
    free(deep);
}

static int prepare(void **state)
{
    if (scratch_make(state)) return -1;
    mkdir(in_scratch("out"), 0755);
    mkdir(in_scratch("empty"), 0755);
    copy_tree(in_tests("golden/models/m2m_self"), in_scratch("model"));
    write_file(in_scratch("empty.png"), "", 0);
    write_text(in_scratch("text.png"), "This is no image.\n");
    write_text(in_scratch("text.tar"), "This is no tar.\n");
    write_text(in_scratch("captions.tsv"), "http://example.org/1.jpg\ta cat\n");
    write_images();
    write_configs();
    st_write_one(in_scratch("latents.safetensors"), "latents", 4, (int[]){2, 4, 8, 8});
    st_write_one(in_scratch("latents0.safetensors"), "latents", 4, (int[]){0, 4, 8, 8});
    st_write_one(in_scratch("latents5.safetensors"), "latents", 4, (int[]){2, 5, 8, 8});
    st_write_one(in_scratch("latents3d.safetensors"), "latents", 3, (int[]){4, 8, 8});
    st_write_one(in_scratch("noise2.safetensors"), "noise", 4, (int[]){2, 4, 8, 8});
    st_write_one(in_scratch("clean4d.safetensors"), "clean", 4, (int[]){2, 4, 8, 8});
    return 0;
}

/* The arguments with the paths that @ stands for. */
static void run_case(outcome *o, const char *const *given)
{
    const char *args[21] = {0};
    for (int i = 0; i < 20 && given[i]; i++) {
        const char *at = strchr(given[i], '@');
        if (!at) args[i] = given[i];
        else if (at == given[i]) args[i] = in_scratch("%s", at + 1);
        else {
            char head[64];
            snprintf(head, sizeof head, "%.*s", (int)(at - given[i]), given[i]);
            const char *path = in_scratch("%s", at + 1);
            char *joined = (char *)(uintptr_t)in_scratch("x");
            snprintf(joined, 1024, "%s%s", head, path);
            args[i] = joined;
        }
    }
    program_run(o, &(way){0}, args);
}

static void is_refused(void **state)
{
    const input_case *c = *state;
    outcome o;
    run_case(&o, c->args);
    expect_refused(&o, c->named);
    int left = count_files(in_scratch("out"));
    remove_tree(in_scratch("out"));
    mkdir(in_scratch("out"), 0755);
    assert_int_equal(left, 0);
}

/* What the cases spoil works unspoilt. */
static void good_input_works(void **state)
{
    (void)state;
    outcome o;
    run_case(&o, (const char *const[]){GENERATE, "-i", "@good.png", "-i", "@good.jpg", "-i", "@good.webp", NULL});
    expect_success(&o);
    assert_int_equal(count_files(in_scratch("out")), 2);
    run_case(&o, (const char *const[]){REPLAY, "-n", "2", "--latents", "@latents.safetensors", "--noise",
                                       "@noise2.safetensors", NULL});
    expect_success(&o);
    assert_null(strstr(o.out, "earlier run"));
    run_case(&o, (const char *const[]){GENERATE, "-i", "@good.png", NULL});      /* one, where two were made before */
    expect_success(&o);
    assert_non_null(strstr(o.out, "001.png and what follows it is of an earlier run"));
    remove_tree(in_scratch("out"));
    mkdir(in_scratch("out"), 0755);
}

int main(void)
{
    enum { CASES = sizeof cases / sizeof cases[0] };
    static struct CMUnitTest tests[CASES + 1] = {cmocka_unit_test(good_input_works)};
    for (int i = 0; i < CASES; i++)
        tests[i + 1] = (struct CMUnitTest){.name = cases[i].name, .test_func = is_refused,
                                           .initial_state = (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests_name("bad input", tests, prepare, scratch_remove);
}
