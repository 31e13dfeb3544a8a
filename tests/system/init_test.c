/* m2m init: what is kept is kept bit for bit, what is new is drawn as torch.nn.Linear draws it, and a failure leaves
 * nothing. */
#include "base/lock.h"
#include "tensor/weights.h"

#include "program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNET_FILE "diffusion_pytorch_model.safetensors"

/* A text-to-image directory of the golden models: this U-Net, the VAE, a schedule. */
static void make_source(const char *name, const char *unet)
{
    mkdir(in_scratch("%s", name), 0755);
    copy_tree(in_tests(unet), in_scratch("%s/unet", name));
    copy_tree(in_tests("golden/models/vae"), in_scratch("%s/vae", name));
    mkdir(in_scratch("%s/scheduler", name), 0755);
    write_text(in_scratch("%s/scheduler/scheduler_config.json", name),
               "{\"_class_name\": \"PNDMScheduler\", \"beta_start\": 0.00085, \"beta_end\": 0.012,"
               " \"skip_prk_steps\": true, \"beta_schedule\": \"scaled_linear\","
               " \"steps_offset\": 1, \"set_alpha_to_one\": false}");
    write_text(in_scratch("%s/model_index.json", name), "{\"_class_name\": \"StableDiffusionPipeline\"}");
}

static int prepare(void **state)
{
    if (scratch_make(state)) return -1;
    make_source("sd", "golden/models/unet_conv");
    return 0;
}

static weights *open_weights(const char *path)
{
    m2m_error err;
    weights *w;
    if (weights_open(&w, path, &err)) fail_msg("%s", err.msg);
    return w;
}

static float *floats(const tensor *t)
{
    float *x = malloc((size_t)shape_count(t->shape) * sizeof *x);
    assert_non_null(x);
    to_f32(x, t->data, t->type, shape_count(t->shape));
    return x;
}

static bool equal_values(const tensor *a, const tensor *b)
{
    float *x = floats(a), *y = floats(b);
    bool same = shape_count(a->shape) == shape_count(b->shape) &&
                !memcmp(x, y, (size_t)shape_count(a->shape) * sizeof *x);
    free(x);
    free(y);
    return same;
}

/* Every tensor of `from` that is not attn2 is in `made`, and nothing else but attn2; how many of those. */
static int kept_all(const weights *from, const weights *made)
{
    int fresh = 0;
    assert_int_equal(weights_count(from), weights_count(made));
    for (int i = 0; i < weights_count(made); i++) {
        const char *name = weights_name(made, i);
        const tensor *old = weights_find(from, name), *now = weights_at(made, i);
        assert_non_null(old);
        fresh += strstr(name, ".attn2.") != NULL;
        if (equal_values(old, now) == (strstr(name, ".attn2.") != NULL)) fail_msg("%s: kept, or not kept", name);
    }
    return fresh;
}

/* All new tensors together, each divided by its bound 1/sqrt(fan_in): uniform in -1..1. */
static void drawn_as_linear(const weights *made)
{
    double n = 0, sum = 0, squares = 0, most = 0;
    int tensors = 0;
    for (int i = 0; i < weights_count(made); i++) {
        const char *name = weights_name(made, i), *at = strstr(name, ".attn2.");
        const tensor *t = weights_at(made, i);
        if (!at) continue;
        char weight[300];
        snprintf(weight, sizeof weight, "%.*s.attn2.to_q.weight", (int)(at - name), name);
        int64_t width = weights_find(made, weight)->shape.dim[1];
        if (t->shape.rank == 2) assert_true(t->shape.dim[0] == width && t->shape.dim[1] == width);
        float *x = floats(t);
        for (int64_t k = 0; k < shape_count(t->shape); k++) {
            double u = x[k] * sqrt((double)width);
            n++;
            sum += u;
            squares += u * u;
            if (fabs(u) > most) most = fabs(u);
        }
        free(x);
        tensors++;
    }
    assert_int_equal(tensors, 7 * 5);
    /* 3596 numbers: the mean's deviation is 0.0096, that of the mean square 0.005 */
    if (most > 1.000001 || most < 0.99 || fabs(sum / n) > 0.04 || fabs(squares / n - 1.0 / 3) > 0.02)
        fail_msg("%g numbers to %g, mean %g, mean square %g", n, most, sum / n, squares / n);
}

static void all_but_attn2_is_kept(void **state)
{
    (void)state;
    outcome o;
    RUN(&o, "init", "--from", in_scratch("sd"), "-o", in_scratch("start"));
    expect_success(&o);
    weights *from = open_weights(in_scratch("sd/unet")), *made = open_weights(in_scratch("start/unet"));
    assert_int_equal(kept_all(from, made), 35);
    drawn_as_linear(made);
    weights_close(&from);
    weights_close(&made);
    from = open_weights(in_scratch("sd/vae"));
    made = open_weights(in_scratch("start/vae"));
    assert_int_equal(kept_all(from, made), 0);
    weights_close(&from);
    weights_close(&made);
    RUN(&o, "info", in_scratch("start"));
    expect_success(&o);
    assert_non_null(strstr(o.out, "M2M-Self"));
    st_write_one(in_scratch("given.safetensors"), "latents", 4, (const int[]){1, 4, 8, 8});
    RUN(&o, "generate", in_scratch("start"), "--latents", in_scratch("given.safetensors"), "-n", "1", "--steps", "1",
        "--size", "32x32", "-o", in_scratch("made"));
    expect_success(&o);
}

/* Same seed, same bytes; another seed changes attn2 alone. */
static void the_seed_is_of_attn2(void **state)
{
    (void)state;
    outcome o;
    RUN(&o, "init", "--from", in_scratch("sd"), "-o", in_scratch("again"));
    expect_success(&o);
    assert_true(same_files(in_scratch("start/unet/" UNET_FILE), in_scratch("again/unet/" UNET_FILE)));
    RUN(&o, "init", "--from", in_scratch("sd"), "-o", in_scratch("other"), "--seed", "1");
    expect_success(&o);
    weights *from = open_weights(in_scratch("start/unet")), *made = open_weights(in_scratch("other/unet"));
    assert_int_equal(kept_all(from, made), 35);
    weights_close(&from);
    weights_close(&made);
}

/* fp16 variant files and shards, 16-bit types; 16-bit output. */
static void all_forms_of_weights(void **state)
{
    (void)state;
    static const struct { const char *unet, *weights; } cases[] = {
        {"golden/models/unet_f16", "f32"}, {"golden/models/unet_sharded", "f32"}, {"golden/models/unet_f16", "f16"},
        {"golden/models/unet_bf16", "bf16"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        outcome o;
        make_source("form", cases[i].unet);
        RUN(&o, "init", "--from", in_scratch("form"), "-o", in_scratch("formed"), "--weights", cases[i].weights);
        expect_success(&o);
        weights *from = open_weights(in_scratch("form/unet")), *made = open_weights(in_scratch("formed/unet"));
        for (int k = 0; k < weights_count(made); k++)
            if (!strstr(weights_name(made, k), ".attn2."))
                assert_true(equal_values(weights_find(from, weights_name(made, k)), weights_at(made, k)));
        static const char *const names[] = {"f32", "f16", "bf16"};
        static const dtype types[] = {DT_F32, DT_F16, DT_BF16};
        for (int k = 0; k < 3; k++)
            if (!strcmp(names[k], cases[i].weights)) assert_int_equal(weights_at(made, 0)->type, types[k]);
        weights_close(&from);
        weights_close(&made);
        remove_tree(in_scratch("form"));
        remove_tree(in_scratch("formed"));
    }
}

static void rename_all(cJSON *header, const char *from, const char *to)
{
    for (cJSON *t = header->child; t; t = t->next) {
        char name[300], *at = strstr(t->string, from);
        if (!at) continue;
        snprintf(name, sizeof name, "%.*s%s%s", (int)(at - t->string), t->string, to, at + strlen(from));
        cJSON_free(t->string);
        t->string = strdup(name);
    }
}

/* The VAE's attention under its names before diffusers 0.18, as SD 2.1's own file has it. */
static void old_names_are_read(void **state)
{
    (void)state;
    outcome o;
    stfile f;
    make_source("old", "golden/models/unet_conv");
    st_read(&f, in_scratch("old/vae/" UNET_FILE));
    rename_all(f.header, ".to_q.", ".query.");
    rename_all(f.header, ".to_k.", ".key.");
    rename_all(f.header, ".to_v.", ".value.");
    rename_all(f.header, ".to_out.0.", ".proj_attn.");
    st_write(&f, in_scratch("old/vae/" UNET_FILE));
    st_free(&f);
    RUN(&o, "init", "--from", in_scratch("old"), "-o", in_scratch("renamed"));
    expect_success(&o);
    assert_true(same_files(in_scratch("start/vae/" UNET_FILE), in_scratch("renamed/vae/" UNET_FILE)));
}

/* M2M-DINO with cameras: attn2's keys are as wide as the encoder's features, cond_proj begins as zero (spec 6), the
 * encoder's files are the ones given, and the directory can be used. */
static void dino_and_a_condition(void **state)
{
    (void)state;
    outcome o;
    copy_tree(in_tests("golden/models/dinov2"), in_scratch("encoder"));
    copy_tree(in_tests("golden/models/processor_bit"), in_scratch("encoder/feature_extractor"));
    RUN(&o, "init", "--from", in_scratch("sd"), "-o", in_scratch("dino"), "--variant", "dino", "--image-encoder",
        in_scratch("encoder"), "--condition", "camera");
    expect_success(&o);
    weights *made = open_weights(in_scratch("dino/unet"));
    int projections = 0;
    for (int i = 0; i < weights_count(made); i++) {
        const tensor *t = weights_at(made, i);
        float *x = floats(t);
        if (strstr(weights_name(made, i), ".cond_proj.")) {
            projections++;
            for (int64_t k = 0; k < shape_count(t->shape); k++) assert_true(x[k] == 0);
        }
        if (strstr(weights_name(made, i), "attn2.to_k.weight")) assert_int_equal(t->shape.dim[1], 24);
        free(x);
    }
    assert_int_equal(projections, 7 * 2);
    assert_int_equal(weights_find(made, "condition_embedder.linear_1.weight")->shape.dim[1], 12);
    assert_int_equal(weights_find(made, "condition_embedder_dino.linear_2.weight")->shape.dim[0], 24);
    weights_close(&made);
    assert_true(same_files(in_scratch("encoder/model.safetensors"),
                           in_scratch("dino/image_encoder/model.safetensors")));
    m2m_image img = {0};
    assert_int_equal(m2m_image_new(&img, 40, 32, 3, NULL), 0);
    assert_int_equal(m2m_image_save(&img, in_scratch("black.png"), NULL, 0, NULL), 0);
    m2m_image_free(&img);
    RUN(&o, "generate", in_scratch("dino"), "-i", in_scratch("black.png"), "-n", "1", "--steps", "1", "--camera",
        "ring:4", "-o", in_scratch("ring"));
    expect_success(&o);
    assert_true(there(in_scratch("ring/000.png")));
}

static void failures_leave_nothing(void **state)
{
    (void)state;
    outcome o;
    int before = count_files(in_scratch("."));
    RUN(&o, "init", "--from", in_scratch("sd"), "-o", in_scratch("start"));
    expect_refused(&o, "empty");
    RUN(&o, "init", "--from", in_scratch("start"), "-o", in_scratch("new"));
    expect_refused(&o, "image-set attention");
    RUN(&o, "init", "--from", in_scratch("gone"), "-o", in_scratch("new"));
    expect_refused(&o, "gone");
    RUN(&o, "init", "--from", in_scratch("sd/unet"), "-o", in_scratch("new"));
    expect_refused(&o, NULL); // a U-Net alone has no VAE
    RUN(&o, "init", "--from", in_scratch("sd/vae/" UNET_FILE), "-o", in_scratch("new"));
    expect_refused(&o, "no unet");
    RUN(&o, "init", "--from", in_scratch("sd"), "-o", in_scratch("new"), "--clean-timestep", "1000");
    expect_refused(&o, "1000");
    RUN(&o, "init", "--from", in_scratch("sd"), "-o", in_scratch("new"), "--variant", "dino");
    expect_refused(&o, "image_encoder");
    RUN(&o, "init", "--from", in_scratch("sd"), "-o", in_scratch("new"), "--image-encoder", in_scratch("sd"));
    expect_refused(&o, "image_encoder");
    way w = {.file_limit = 100000};
    program_run(&o, &w, (const char *const[]){"init", "--from", in_scratch("sd"), "-o", in_scratch("new"), NULL});
    expect_refused(&o, UNET_FILE);
    write_text(in_scratch("sd/scheduler/scheduler_config.json"), "{\"prediction_type\": \"velocity\"}");
    RUN(&o, "init", "--from", in_scratch("sd"), "-o", in_scratch("new"));
    expect_refused(&o, "velocity");
    assert_false(there(in_scratch("new")));
    assert_int_equal(count_files(in_scratch(".")), before);
}

/* What a killed run leaves beside its output goes when the next one begins there; what somebody works on stays. */
static void leavings_are_removed(void **state)
{
    (void)state;
    outcome o;
    lock work;
    mkdir(in_scratch(".m2m-dead.tmp"), 0755);
    mkdir(in_scratch(".m2m-dead.tmp/unet"), 0755);
    write_text(in_scratch(".m2m-dead.tmp/unet/config.json"), "{");
    mkdir(in_scratch(".m2m-alive.tmp"), 0755);
    assert_int_equal(lock_open(&work, in_scratch(".m2m-alive.tmp/.lock"), NULL), 0);
    RUN(&o, "init", "--from", in_scratch("sd"), "-o", in_scratch("after"));
    expect_success(&o);
    assert_false(there(in_scratch(".m2m-dead.tmp")));
    assert_true(there(in_scratch(".m2m-alive.tmp")));
    assert_false(there(in_scratch("after/.lock")));
    lock_close(&work);
    remove_tree(in_scratch(".m2m-alive.tmp"));
    remove_tree(in_scratch("after"));
}

static void the_prediction_type_is_kept(void **state)
{
    (void)state;
    outcome o;
    write_text(in_scratch("sd/scheduler/scheduler_config.json"), "{\"prediction_type\": \"v_prediction\"}");
    RUN(&o, "init", "--from", in_scratch("sd"), "-o", in_scratch("new"));
    expect_success(&o);
    RUN(&o, "info", in_scratch("new"), "--no-sums");
    expect_success(&o);
    assert_non_null(strstr(o.out, "prediction_type v_prediction"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_but_attn2_is_kept),
        cmocka_unit_test(the_seed_is_of_attn2),
        cmocka_unit_test(all_forms_of_weights),
        cmocka_unit_test(old_names_are_read),
        cmocka_unit_test(dino_and_a_condition),
        cmocka_unit_test(leavings_are_removed),
        cmocka_unit_test(failures_leave_nothing),
        cmocka_unit_test(the_prediction_type_is_kept),
    };
    return cmocka_run_group_tests_name("init", tests, prepare, scratch_remove);
}
