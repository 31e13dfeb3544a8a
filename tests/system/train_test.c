/* m2m train from outside: the files that it leaves, Ctrl-C, and going on. */
#include "program.h"

#include "base/str.h"
#include "m2m.h"
#include "tensor/npy.h"
#include "tensor/safetensors.h"

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

/* The same noisy images, another answer to learn: it is written down for the sampler, and the loss is another one. */
static void another_prediction_is_trained(void **state)
{
    (void)state;
    outcome o;
    double loss[2];
    const char *const types[] = {"prediction_type=epsilon", "prediction_type=v_prediction"};
    for (int i = 0; i < 2; i++) {
        RUN(&o, "train", in_scratch("train.json"), "--set", "steps=1", "--set", types[i]);
        expect_success(&o);
        const char *at = strstr(o.out, "loss ");
        assert_non_null(at);
        loss[i] = strtod(at + 5, NULL);
        RUN(&o, "info", in_scratch("run/model"));
        assert_non_null(strstr(o.out, strchr(types[i], '=') + 1));
        RUN(&o, "generate", in_scratch("run/model"), "-i", in_scratch("sets/0/0.png"), "-n", "1", "--steps", "2",
            "-o", in_scratch("made"));
        expect_success(&o);
        remove_tree(in_scratch("run"));
    }
    assert_true(loss[0] != loss[1]);
}

#define MODEL_FILE "model/unet/diffusion_pytorch_model.safetensors"

/* Context noise: the same bits again and when resumed, others than with a clean context, and another run. */
static void noisy_context_is_drawn_by_place(void **state)
{
    (void)state;
    outcome o;
    char output[300];
    snprintf(output, sizeof output, "output=%s", in_scratch("again"));
    RUN(&o, "train", in_scratch("train.json"), "--set", "steps=3", "--set", "context_noise=300");
    expect_success(&o);
    RUN(&o, "train", in_scratch("train.json"), "--set", "steps=2", "--set", "context_noise=300", "--set", output);
    expect_success(&o);
    RUN(&o, "train", in_scratch("train.json"), "--resume", "--set", "steps=3", "--set", output);
    expect_refused(&o, NULL);
    RUN(&o, "train", in_scratch("train.json"), "--resume", "--set", "steps=3", "--set", "context_noise=300", "--set",
        output);
    expect_success(&o);
    assert_true(same_files(in_scratch("run/" MODEL_FILE), in_scratch("again/" MODEL_FILE)));
    remove_tree(in_scratch("again"));
    RUN(&o, "train", in_scratch("train.json"), "--set", "steps=3", "--set", output);
    expect_success(&o);
    assert_false(same_files(in_scratch("run/" MODEL_FILE), in_scratch("again/" MODEL_FILE)));
    remove_tree(in_scratch("run"));
    remove_tree(in_scratch("again"));
    char from[300];
    snprintf(from, sizeof from, "from=%s", in_tests("golden/models/m2m_dino"));
    RUN(&o, "train", in_scratch("train.json"), "--set", from, "--set", "context_noise=300");
    expect_refused(&o, "context_noise");
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

/* The data of two safetensors files, whatever their metadata say. */
static bool same_tensors(const char *a, const char *b)
{
    stfile x, y;
    st_read(&x, a);
    st_read(&y, b);
    bool same = x.size == y.size && !memcmp(x.data, y.data, x.size);
    st_free(&x);
    st_free(&y);
    return same;
}

/* Less memory, the same numbers: in a file, and going on from there. */
static void an_offloaded_run_is_the_same_run(void **state)
{
    (void)state;
    outcome o;
    RUN(&o, "train", in_scratch("train.json"), "--set", "steps=4");
    expect_success(&o);
    char output[300];
    snprintf(output, sizeof output, "output=%s", in_scratch("off"));
    RUN(&o, "train", in_scratch("train.json"), "--set", output, "--set", "offload=true", "--set", "recompute=true",
        "--set", "steps=2");
    expect_success(&o);
    assert_non_null(strstr(o.out, "in a file in"));
    RUN(&o, "train", in_scratch("train.json"), "--resume", "--set", output, "--set", "offload=true", "--set",
        "steps=4");
    expect_success(&o);
    assert_true(same_tensors(in_scratch("run/checkpoint.safetensors"), in_scratch("off/checkpoint.safetensors")));
    assert_true(same_files(in_scratch("run/" MODEL_FILE), in_scratch("off/" MODEL_FILE)));
    remove_tree(in_scratch("run"));
    remove_tree(in_scratch("off"));
}

/* Frozen parameters are in the model, unchanged, and not in the checkpoint, which goes on all the same. */
static void a_part_can_be_trained(void **state)
{
    (void)state;
    outcome o;
    stfile from, made, checkpoint;
    RUN(&o, "train", in_scratch("train.json"), "--set", "train_only=attn2", "--set", "steps=2");
    expect_success(&o);
    RUN(&o, "train", in_scratch("train.json"), "--resume", "--set", "train_only=attn2,conv_in", "--set", "steps=3");
    expect_refused(&o, "another");
    RUN(&o, "train", in_scratch("train.json"), "--resume", "--set", "train_only=attn2", "--set", "steps=3");
    expect_success(&o);
    st_read(&from, in_tests("golden/models/m2m_self/unet/diffusion_pytorch_model.safetensors"));
    st_read(&made, in_scratch("run/" MODEL_FILE));
    st_read(&checkpoint, in_scratch("run/checkpoint.safetensors"));
    for (const cJSON *t = from.header->child; t; t = t->next) {
        const cJSON *now = cJSON_GetObjectItemCaseSensitive(made.header, t->string);
        const cJSON *a = cJSON_GetObjectItem(t, "data_offsets"), *b = cJSON_GetObjectItem(now, "data_offsets");
        if (!a) continue; // __metadata__
        size_t at = (size_t)a->child->valuedouble, size = (size_t)a->child->next->valuedouble - at;
        char name[300];
        snprintf(name, sizeof name, "param.%s", t->string);
        bool frozen = !strstr(t->string, "attn2");
        assert_int_equal(!memcmp(from.data + at, made.data + (size_t)b->child->valuedouble, size), frozen);
        assert_int_equal(!cJSON_GetObjectItemCaseSensitive(checkpoint.header, name), frozen);
    }
    st_free(&from);
    st_free(&made);
    st_free(&checkpoint);
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

static void train(outcome *o, const char *model, const char *more)
{
    static char from[600];
    snprintf(from, sizeof from, "from=%s", in_tests(model));
    RUN(o, "train", in_scratch("train.json"), "--set", from, "--set", "steps=2", "--set", "sample_every=2", "--set",
        "val_every=2", "--set", more);
}

/* M2M-DINO: features are made once and kept; the model made has all that generation needs. */
static void dino_trains_and_generates(void **state)
{
    (void)state;
    outcome o;
    train(&o, "golden/models/m2m_dino", "flip=true");
    expect_success(&o);
    assert_true(there(in_scratch("run/latents/train_features.safetensors")));
    assert_true(there(in_scratch("run/latents/val_features.safetensors")));
    RUN(&o, "info", in_scratch("run/model"));
    expect_success(&o);
    RUN(&o, "generate", in_scratch("run/model"), "-i", in_scratch("sets/0/0.png"), "-n", "2", "--steps", "2", "--size",
        "16x16", "-o", in_scratch("made_dino"));
    expect_success(&o);
    remove_tree(in_scratch("run"));
}

/* A camera beside each image, but for set `without`. */
static void write_cameras(int without)
{
    double pose[12] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, -2};
    tensor t = {.type = DT_F64, .shape = SHAPE(3, 4), .data = pose};
    for (int s = 0; s < 4; s++)
        for (int k = 0; k < 4; k++) {
            str npy = {0};
            pose[3] = 0.1 * k;
            npy_write(&npy, &t);
            if (s == without) unlink(in_scratch("sets/%d/%d.npy", s, k));
            else write_file(in_scratch("sets/%d/%d.npy", s, k), npy.data, npy.len);
            str_free(&npy);
        }
}

static safetensors *open_weights(const char *dir)
{
    safetensors *file;
    char path[700];
    snprintf(path, sizeof path, "%.600s/diffusion_pytorch_model.safetensors", dir);
    assert_int_equal(safetensors_open(&file, path, NULL), 0);
    return file;
}

static void expect_zero(const safetensors *file, const char *name, bool zero)
{
    const tensor *t = safetensors_find(file, name);
    if (!t) fail_msg("%s is missing", name);
    const float *x = t->data;
    bool found = true;
    for (int64_t i = 0; i < shape_count(t->shape); i++) found = found && x[i] == 0;
    assert_int_equal(found, zero);
}

/* Fine-tuning adds a condition: its projections begin with zero, all else is the base's. */
static void a_condition_is_added(void **state)
{
    (void)state;
    outcome o;
    safetensors *made, *base;
    const char *const projection = "mid_block.attentions.0.transformer_blocks.0.attn2.cond_proj.weight";
    write_cameras(-1);
    train(&o, "golden/models/m2m_self", "condition=camera");
    expect_success(&o);
    made = open_weights(in_scratch("run/model/unet"));
    expect_zero(made, projection, false);
    safetensors_close(&made);
    RUN(&o, "generate", in_scratch("run/model"), "-i", in_scratch("sets/0/0.png"), "-n", "2", "--steps", "2",
        "--camera", "ring:4", "--condition-guidance", "3", "-o", in_scratch("made_camera"));
    expect_success(&o);
    remove_tree(in_scratch("run"));
    RUN(&o, "train", in_scratch("train.json"), "--set", "condition=camera", "--set", "lr=0", "--set", "steps=1");
    expect_success(&o);
    made = open_weights(in_scratch("run/model/unet"));
    base = open_weights(in_tests("golden/models/m2m_self/unet"));
    expect_zero(made, projection, true);
    expect_zero(made, "condition_embedder.linear_1.weight", false);
    for (int i = 0; i < safetensors_count(base); i++) {
        const tensor *a = safetensors_at(base, i), *b = safetensors_find(made, safetensors_name(base, i));
        assert_non_null(b);
        assert_memory_equal(a->data, b->data, (size_t)shape_count(a->shape) * sizeof(float));
    }
    safetensors_close(&made);
    safetensors_close(&base);
    remove_tree(in_scratch("run"));
}

/* Has training changed the embedder of m2m_self_camera? Not if every set loses its condition: its gradient is 0. */
static void expect_trained(const char *dropping, bool trained)
{
    outcome o;
    static char from[600];
    const char *const name = "condition_embedder.linear_2.weight";
    snprintf(from, sizeof from, "from=%s", in_tests("golden/models/m2m_self_camera"));
    RUN(&o, "train", in_scratch("train.json"), "--set", from, "--set", "steps=2", "--set", "weight_decay=0", "--set",
        "drop=0", "--set", "drop_condition=0", "--set", "ema_decay=0", "--set", dropping);
    expect_success(&o);
    safetensors *made = open_weights(in_scratch("run/model/unet"));
    safetensors *base = open_weights(in_tests("golden/models/m2m_self_camera/unet"));
    const tensor *a = safetensors_find(made, name), *b = safetensors_find(base, name);
    assert_true(a && b);
    assert_int_equal(memcmp(a->data, b->data, (size_t)shape_count(a->shape) * sizeof(float)) != 0, trained);
    safetensors_close(&made);
    safetensors_close(&base);
    remove_tree(in_scratch("run"));
}

static void conditions_are_dropped(void **state)
{
    (void)state;
    write_cameras(-1);
    expect_trained("drop=0", true);
    expect_trained("drop=1", false);
    expect_trained("drop_condition=1", false);
}

static void images_without_camera_are_told(void **state)
{
    (void)state;
    outcome o;
    write_cameras(2);
    train(&o, "golden/models/m2m_self_camera", "flip=true");
    expect_refused(&o, "flip");
    train(&o, "golden/models/m2m_self_camera", "condition=position");
    expect_refused(&o, "condition");
    train(&o, "golden/models/m2m_self_camera", "images=2");
    expect_refused(&o, "sets/2");
    if (!strstr(o.out, "sets/2/0.npy")) fail_msg("said:\n%s", o.out);
    remove_tree(in_scratch("run"));
    for (int s = 0; s < 4; s++) write_cameras(s);
    for (int s = 0; s < 4; s++)
        for (int k = 0; k < 4; k++) unlink(in_scratch("sets/%d/%d.npy", s, k));
    train(&o, "golden/models/m2m_self_camera", "images=2");
    expect_refused(&o, "camera");
    remove_tree(in_scratch("run"));
}

static void positions_are_trained(void **state)
{
    (void)state;
    outcome o;
    train(&o, "golden/models/m2m_dino", "condition=position");
    expect_success(&o);
    RUN(&o, "generate", in_scratch("run/model"), "-i", in_scratch("sets/0/0.png"), "-n", "2", "--steps", "2", "--size",
        "16x16", "--position", "3", "-o", in_scratch("made_position"));
    expect_success(&o);
    const char *const places[] = {"2", "0"};    /* of the given image: where it stands anyway, and another */
    for (int i = 0; i < 2; i++) {
        m2m_image a = {0}, b = {0};
        RUN(&o, "generate", in_scratch("run/model"), "-i", in_scratch("sets/0/0.png"), "-n", "1", "--steps", "2",
            "--size", "16x16", "--position", "3", "--given-position", places[i], "-o", in_scratch("made_given"));
        expect_success(&o);
        assert_int_equal(m2m_image_load(&a, in_scratch("made_position/000.png"), NULL), 0);
        assert_int_equal(m2m_image_load(&b, in_scratch("made_given/000.png"), NULL), 0);
        assert_int_equal(memcmp(a.data, b.data, 3 * 16 * 16) == 0, i == 0);
        m2m_image_free(&a);
        m2m_image_free(&b);
        remove_tree(in_scratch("made_given"));
    }
    RUN(&o, "generate", in_scratch("run/model"), "-i", in_scratch("sets/0/0.png"), "--camera", "ring:4", "-o",
        in_scratch("made_wrong"));
    expect_refused(&o, "position");
    remove_tree(in_scratch("run"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_leaves_a_model),
        cmocka_unit_test(another_prediction_is_trained),
        cmocka_unit_test(noisy_context_is_drawn_by_place),
        cmocka_unit_test(interrupted_training_can_go_on),
        cmocka_unit_test(an_offloaded_run_is_the_same_run),
        cmocka_unit_test(a_part_can_be_trained),
        cmocka_unit_test(too_little_memory_is_told_first),
        cmocka_unit_test(dino_trains_and_generates),
        cmocka_unit_test(a_condition_is_added),
        cmocka_unit_test(conditions_are_dropped),
        cmocka_unit_test(images_without_camera_are_told),
        cmocka_unit_test(positions_are_trained),
    };
    return cmocka_run_group_tests_name("train", tests, prepare, scratch_remove);
}
