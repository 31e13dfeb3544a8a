/* m2m train of a CLIP and of an image encoder, from fresh weights on made-up colours: they learn, go on after a stop,
 * and leave directories that the other commands take. */
#include "program.h"

#include "data/shard.h"
#include "m2m.h"
#include "tensor/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SIDE = 16, SETS = 6, EACH = 3 };

static const char *const captions[SETS] = {"red, flat style", "green, flat style", "blue, flat style",
    "red, dotted style", "green, dotted style", "blue, dotted style"};

/* The colour of set s, a little different in image k; dotted in the second half of the sets. */
static char *picture(int s, int k, size_t *size)
{
    m2m_image img = {0};
    assert_int_equal(m2m_image_new(&img, SIDE, SIDE, 3, NULL), 0);
    for (int i = 0; i < SIDE * SIDE * 3; i++) {
        const bool dot = s >= SETS / 2 && (i / 3 + i / 3 / SIDE) % 2;
        img.data[i] = (uint8_t)(i % 3 == s % 3 ? 200 + 10 * k : dot ? 120 : 20 + 10 * k);
    }
    assert_int_equal(m2m_image_save(&img, in_scratch("one.png"), NULL, 0, NULL), 0);
    m2m_image_free(&img);
    return read_file(in_scratch("one.png"), size);
}

static void write_shard(const char *path, bool captioned)
{
    shard_writer *w;
    assert_int_equal(shard_create(&w, path, NULL), 0);
    for (int s = 0; s < SETS; s++) {
        const char *const suffixes[] = {"00.png", "01.png", "02.png", "json", "txt"};
        shard_field f[5];
        char json[300], key[8], *png[EACH];
        const char *style = s < SETS / 2 ? "flat" : "dotted";
        snprintf(json, sizeof json, "{\"styles\": [\"%s\", \"%s\", \"%s\"]}", style, style, style);
        snprintf(key, sizeof key, "%d", s);
        for (int k = 0; k < EACH; k++) {
            png[k] = picture(s, k, &f[k].size);
            f[k].data = png[k];
        }
        f[3] = (shard_field){.data = json, .size = strlen(json)};
        f[4] = (shard_field){.data = captions[s], .size = strlen(captions[s])};
        for (int i = 0; i < 5; i++) f[i].suffix = suffixes[i];
        assert_int_equal(shard_add(w, key, f, captioned ? 5 : 4, NULL), 0);
        for (int k = 0; k < EACH; k++) free(png[k]);
    }
    assert_int_equal(shard_finish(&w, NULL), 0);
}

static void write_run(const char *name, const char *kind, const char *more)
{
    char text[2000];
    snprintf(text, sizeof text,
        "{\"kind\": \"%s\", \"config\": \"%s\", \"data\": \"%s\", \"val_data\": \"%s\", \"output\": \"%s\", \"size\": "
        "%d,"
        " \"sets\": %d, \"images\": %d, \"steps\": 60, \"lr\": 3e-3, \"ema_decay\": 0, \"val_every\": 1000, "
        "\"val_sets\": %d,"
        " \"sample_every\": 1000, \"save_every\": 1000, \"vary\": 0.2, \"flip\": true, \"seed\": 3%s}",
        kind, in_scratch("%s", name), in_scratch("sets.tar"), in_scratch("sets.tar"), in_scratch("run_%s", name), SIDE,
        SETS, EACH, SETS, more);
    write_text(in_scratch("%s.json", name), text);
}

#define TOWER "\"hidden_size\": 16, \"intermediate_size\": 32, \"num_hidden_layers\": 1, \"num_attention_heads\": 2"
#define PROCESSOR                                                                                                 \
    "{\"image_processor_type\": \"%s\", \"do_resize\": true, \"size\": {\"shortest_edge\": 16}, \"resample\": 3," \
    " \"do_center_crop\": true, \"crop_size\": {\"height\": 16, \"width\": 16}, \"do_rescale\": true,"            \
    " \"rescale_factor\": 0.00392156862745098, \"do_normalize\": true, \"image_mean\": [0.5, 0.4, 0.5],"          \
    " \"image_std\": [0.5, 0.5, 0.25], \"do_convert_rgb\": true}"

static void write_models(void)
{
    static const char *const vocabulary[] = {
        "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"};
    char text[1000];
    mkdir(in_scratch("clip"), 0755);
    mkdir(in_scratch("eyes"), 0755);
    write_text(in_scratch("clip/config.json"),
        "{\"model_type\": \"clip\", \"projection_dim\": 16, \"text_config\": {" TOWER
        ", \"vocab_size\": 2048, \"max_position_embeddings\": 12, \"eos_token_id\": 2047}, \"vision_config\": {" TOWER
        ", \"image_size\": 16, \"patch_size\": 4}}");
    write_text(in_scratch("eyes/config.json"),
        "{\"model_type\": \"dinov2\", \"hidden_size\": 16, \"num_hidden_layers\": 1, \"num_attention_heads\": 2,"
        " \"mlp_ratio\": 2, \"image_size\": 16, \"patch_size\": 4}");
    snprintf(text, sizeof text, PROCESSOR, "CLIPImageProcessor");
    write_text(in_scratch("clip/preprocessor_config.json"), text);
    snprintf(text, sizeof text, PROCESSOR, "BitImageProcessor");
    write_text(in_scratch("eyes/preprocessor_config.json"), text);
    for (int i = 0; i < 4; i++) {
        char from[600];
        size_t size;
        snprintf(from, sizeof from, SOURCE_DIR "/recipes/emoji-clip/%s", vocabulary[i]);
        char *content = read_file(from, &size);
        write_file(in_scratch("clip/%s", vocabulary[i]), content, size);
        free(content);
    }
}

static int prepare(void **state)
{
    if (scratch_make(state)) return -1;
    write_shard(in_scratch("sets.tar"), true);
    write_shard(in_scratch("silent.tar"), false);
    write_models();
    write_run("clip", "clip", "");
    write_run("eyes", "image_encoder", ", \"alike\": \"set,styles\", \"head_width\": 8");
    return 0;
}

/* The figure of the run's last validation. */
static double last_figure(const char *run, const char *name)
{
    size_t size;
    double value = NAN;
    char *log = read_file(in_scratch("%s/log.jsonl", run), &size), *rest = log;
    for (char *line; (line = strsep(&rest, "\n"));) {
        cJSON *o = cJSON_Parse(line);
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
        if (v) value = v->valuedouble;
        cJSON_Delete(o);
    }
    free(log);
    return value;
}

/* Six captions, six images a batch: chance finds a sixth. */
static void clip_learns_what_goes_together(void **state)
{
    (void)state;
    outcome o;
    RUN(&o, "train", in_scratch("clip.json"));
    expect_success(&o);
    assert_true(last_figure("run_clip", "val_text_to_image") >= 0.99);
    assert_true(last_figure("run_clip", "val_image_to_text") >= 0.99);
    assert_true(there(in_scratch("run_clip/samples/step-0000060.png")));
    RUN(&o, "preprocess", in_scratch("run_clip/model"), "--component", "clip", "--out", in_scratch("x.safetensors"),
        in_scratch("one.png"));
    expect_success(&o);
    RUN(&o, "forward", in_scratch("run_clip/model"), "--component", "clip", "--in", in_scratch("x.safetensors"),
        "--out", in_scratch("y.safetensors"));
    expect_success(&o);
    write_text(in_scratch("lines.txt"), "red, flat style\n");
    RUN(&o, "tokenize", in_scratch("run_clip/model"), in_scratch("lines.txt"));
    expect_success(&o);
    RUN(&o, "info", in_scratch("run_clip/model/text_encoder"));
    assert_true(there(in_scratch("run_clip/model/text_encoder/model.safetensors")));
}

/* Styles are found in other sets when nothing else is asked for: six right ones of fifteen. */
static void encoder_learns_what_is_asked(void **state)
{
    (void)state;
    outcome o;
    char output[300];
    snprintf(output, sizeof output, "output=%s", in_scratch("styles"));
    RUN(&o, "train", in_scratch("eyes.json"), "--set", "alike=styles", "--set", output);
    expect_success(&o);
    assert_true(last_figure("styles", "val_map_styles") > 0.9);
    assert_true(isnan(last_figure("styles", "val_map_set")));
}

static void encoder_learns_and_sheds_its_heads(void **state)
{
    (void)state;
    outcome o;
    safetensors *made, *kept;
    RUN(&o, "train", in_scratch("eyes.json"));
    expect_success(&o);
    assert_true(last_figure("run_eyes", "val_map_set") > 0.9);
    assert_true(last_figure("run_eyes", "val_map_styles") > 0.5);
    assert_int_equal(safetensors_open(&made, in_scratch("run_eyes/model/model.safetensors"), NULL), 0);
    assert_int_equal(safetensors_open(&kept, in_scratch("run_eyes/checkpoint.safetensors"), NULL), 0);
    assert_non_null(safetensors_find(kept, "param.contrast.1.linear_1.weight"));
    assert_null(safetensors_find(kept, "param.contrast.2.linear_1.weight"));
    for (int i = 0; i < safetensors_count(made); i++) assert_null(strstr(safetensors_name(made, i), "contrast"));
    safetensors_close(&made);
    safetensors_close(&kept);
    RUN(&o, "preprocess", in_scratch("run_eyes/model"), "--component", "image_encoder", "--out",
        in_scratch("x.safetensors"), in_scratch("one.png"));
    expect_success(&o);
    RUN(&o, "forward", in_scratch("run_eyes/model"), "--component", "image_encoder", "--in",
        in_scratch("x.safetensors"), "--out", in_scratch("y.safetensors"));
    expect_success(&o);
}

/* Stopped at 20 of 60 and gone on with: the same bits as in one go. */
static void resuming_changes_nothing(void **state)
{
    (void)state;
    const char *const names[] = {"clip", "eyes"};
    for (int i = 0; i < 2; i++) {
        outcome o;
        char config[300], output[300];
        snprintf(config, sizeof config, "%s", in_scratch("%s.json", names[i]));
        snprintf(output, sizeof output, "output=%s", in_scratch("again_%s", names[i]));
        RUN(&o, "train", config, "--set", output, "--set", "steps=20");
        expect_success(&o);
        RUN(&o, "train", config, "--set", output, "--resume");
        expect_success(&o);
        assert_true(same_files(in_scratch("again_%s/model/model.safetensors", names[i]),
            in_scratch("run_%s/model/model.safetensors", names[i])));
    }
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    outcome o;
    char silent[300], output[300];
    snprintf(silent, sizeof silent, "data=%s", in_scratch("silent.tar"));
    snprintf(output, sizeof output, "output=%s", in_scratch("none"));
    RUN(&o, "train", in_scratch("clip.json"), "--set", output, "--set", silent);
    expect_refused(&o, "caption");
    RUN(&o, "train", in_scratch("clip.json"), "--set", output, "--set", "size=32");
    expect_refused(&o, "image_size");
    RUN(&o, "train", in_scratch("eyes.json"), "--set", output, "--set", "alike=set,subjects");
    expect_refused(&o, "subjects");
    RUN(&o, "train", in_scratch("eyes.json"), "--set", output, "--set", "images=1");
    expect_refused(&o, "images");
    RUN(&o, "train", in_scratch("eyes.json"), "--set", output, "--set", "alike=set,set,set,set,set");
    expect_refused(&o, "alike");
    assert_false(there(in_scratch("none/checkpoint.safetensors")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clip_learns_what_goes_together),
        cmocka_unit_test(encoder_learns_and_sheds_its_heads),
        cmocka_unit_test(encoder_learns_what_is_asked),
        cmocka_unit_test(resuming_changes_nothing),
        cmocka_unit_test(what_is_missing_is_named),
    };
    return cmocka_run_group_tests(tests, prepare, scratch_remove);
}
