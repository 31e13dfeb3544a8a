/* Model directories that are missing, damaged, hostile or wrong in one place: each is refused with one line that names
 * the trouble, and nothing is left at the output. The good directory that each case changes works (first test). */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNET "unet/diffusion_pytorch_model.safetensors"
#define ONE_F32(offsets) "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":" offsets "}}"

typedef struct model_case {
    const char *name;
    void (*spoil)(const char *text);
    const char *text;            /* for spoil: a key and value, or a header */
    const char *named;           /* in the message; a|b: one of them */
} model_case;

static const char *in_model(const char *name)
{
    return in_scratch("model/%s", name);
}

/* ---- Ways to spoil the weights ---- */

static void remove_it(const char *name)
{
    assert_int_equal(unlink(in_model(name)), 0);
}

static void make_empty(const char *name)
{
    write_file(in_model(name), "", 0);
}

static void make_folder(const char *name)
{
    remove_it(name);
    assert_int_equal(mkdir(in_model(name), 0755), 0);
}

static void cut_to(const char *bytes)
{
    long n = atol(bytes);
    size_t size;
    free(read_file(in_model(UNET), &size));
    assert_int_equal(truncate(in_model(UNET), n < 0 ? (off_t)size + n : n), 0);
}

static void append_byte(const char *text)
{
    size_t size;
    char *data = read_file(in_model(UNET), &size);
    data[size] = text[0];
    write_file(in_model(UNET), data, size + 1);
    free(data);
}

/* The length field alone. */
static void length_field(const char *hex)
{
    size_t size;
    char *data = read_file(in_model(UNET), &size);
    uint64_t length = strtoull(hex, NULL, 16);
    memcpy(data, &length, 8);
    write_file(in_model(UNET), data, size);
    free(data);
}

static void header(const char *text)
{
    st_write_raw(in_model(UNET), 0, text, 16);
}

static void deep_header(const char *opening)
{
    enum { DEEP = 200000 };
    size_t n = strlen(opening);
    char *text = malloc(DEEP * n + 1);
    assert_non_null(text);
    for (size_t i = 0; i < DEEP; i++) memcpy(text + i * n, opening, n);
    text[DEEP * n] = 0;
    st_write_raw(in_model(UNET), 0, text, 16);
    free(text);
}

static void rename_tensor(const char *name)
{
    stfile f;
    st_read(&f, in_model(UNET));
    cJSON *t = cJSON_DetachItemFromObjectCaseSensitive(f.header, name);
    assert_non_null(t);
    cJSON_AddItemToObject(f.header, "stranger.weight", t);
    st_write(&f, in_model(UNET));
    st_free(&f);
}

/* Another shape of the same number of elements. */
static void reshape_tensor(const char *name)
{
    stfile f;
    st_read(&f, in_model(UNET));
    cJSON *shape = cJSON_GetObjectItem(cJSON_GetObjectItemCaseSensitive(f.header, name), "shape");
    assert_non_null(shape);
    double first = cJSON_GetArrayItem(shape, 0)->valuedouble;
    cJSON_SetNumberValue(cJSON_GetArrayItem(shape, 0), first / 2);
    cJSON_AddItemToArray(shape, cJSON_CreateNumber(2));
    st_write(&f, in_model(UNET));
    st_free(&f);
}

static void integer_tensor(const char *name)
{
    stfile f;
    st_read(&f, in_model(UNET));
    cJSON *t = cJSON_GetObjectItemCaseSensitive(f.header, name);
    assert_non_null(t);
    cJSON_ReplaceItemInObject(t, "dtype", cJSON_CreateString("I32"));
    st_write(&f, in_model(UNET));
    st_free(&f);
}

/* Moves a tensor onto the place of the first one. */
static void overlap_tensor(const char *name)
{
    stfile f;
    st_read(&f, in_model(UNET));
    cJSON *at = cJSON_GetObjectItem(cJSON_GetObjectItemCaseSensitive(f.header, name), "data_offsets");
    assert_non_null(at);
    double size = cJSON_GetArrayItem(at, 1)->valuedouble - cJSON_GetArrayItem(at, 0)->valuedouble;
    cJSON_SetNumberValue(cJSON_GetArrayItem(at, 0), 0);
    cJSON_SetNumberValue(cJSON_GetArrayItem(at, 1), size);
    st_write(&f, in_model(UNET));
    st_free(&f);
}

static void extra_tensor(const char *name)
{
    stfile f;
    st_read(&f, in_model(UNET));
    int n = (int)f.size, shape[1] = {1};
    f.data = realloc(f.data, f.size + 4);
    assert_non_null(f.data);
    memset(f.data + f.size, 0, 4);
    f.size += 4;
    cJSON *t = cJSON_AddObjectToObject(f.header, name);
    cJSON_AddStringToObject(t, "dtype", "F32");
    cJSON_AddItemToObject(t, "shape", cJSON_CreateIntArray(shape, 1));
    cJSON_AddItemToObject(t, "data_offsets", cJSON_CreateIntArray((int[]){n, n + 4}, 2));
    st_write(&f, in_model(UNET));
    st_free(&f);
}

/* ---- Ways to spoil the configuration ---- */

static void replace_key(const char *file, const char *assignment)
{
    size_t size;
    char *text = read_file(in_model(file), &size), key[64];
    size_t n = strcspn(assignment, "=");
    snprintf(key, sizeof key, "%.*s", (int)n, assignment);
    cJSON *o = cJSON_Parse(text), *value = cJSON_Parse(assignment + n + 1);
    assert_true(o && value);
    cJSON_DeleteItemFromObjectCaseSensitive(o, key);
    cJSON_AddItemToObject(o, key, value);
    char *changed = cJSON_Print(o);
    write_text(in_model(file), changed);
    cJSON_free(changed);
    cJSON_Delete(o);
    free(text);
}

static void config(const char *assignment)
{
    replace_key("unet/config.json", assignment);
}

static void scheduler(const char *assignment)
{
    replace_key("scheduler/scheduler_config.json", assignment);
}

static void config_text(const char *text)
{
    write_text(in_model("unet/config.json"), text);
}

/* ---- An index of shards in the place of the one file ---- */

static void index_text(const char *text)
{
    write_text(in_model("unet/diffusion_pytorch_model.safetensors.index.json"), text);
    remove_it(UNET);
}

static const model_case cases[] = {
    {"weights_missing", remove_it, UNET, "unet"},
    {"weights_empty", make_empty, UNET, UNET},
    {"weights_a_folder", make_folder, UNET, "unet"},
    {"weights_seven_bytes", cut_to, "7", UNET},
    {"weights_only_a_length", cut_to, "8", UNET},
    {"weights_cut_in_the_header", cut_to, "500", UNET},
    {"weights_cut_in_the_data", cut_to, "-1000", UNET},
    {"weights_cut_by_one_byte", cut_to, "-1", UNET},
    {"weights_one_byte_more", append_byte, "x", UNET},
    {"header_of_2_gigabytes", length_field, "80000000", UNET},
    {"header_of_zero_bytes", length_field, "0", UNET},
    {"header_length_overflows", length_field, "ffffffffffffffff", UNET},
    {"header_length_overflows_by_eight", length_field, "fffffffffffffff8", UNET},
    {"header_no_json", header, "not json at all", UNET},
    {"header_cut_json", header, "{\"a\":{\"dtype\":\"F32\"", UNET},
    {"header_an_array", header, "[1,2,3]", UNET},
    {"header_deep_arrays", deep_header, "[", UNET},
    {"header_deep_objects", deep_header, "{\"a\":", UNET},
    {"header_not_utf8", header, "{\"\xff\xfe\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", UNET},
    {"header_name_breaks_the_line", header,
     "{\"a\\nm2m: b\\u001b[2J\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", "a"},
    {"tensor_no_offsets", header, "{\"a\":{\"dtype\":\"F32\",\"shape\":[4]}}", "a"},
    {"tensor_no_shape", header, "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,16]}}", "a"},
    {"tensor_twice", header,
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}", "a"},
    {"dtype_unknown", header, "{\"a\":{\"dtype\":\"F31\",\"shape\":[4],\"data_offsets\":[0,16]}}", "F31"},
    {"dtype_a_number", header, "{\"a\":{\"dtype\":7,\"shape\":[4],\"data_offsets\":[0,16]}}", "dtype"},
    {"offsets_beyond_the_file", header, ONE_F32("[1000000,1000016]"), "a"},
    {"offsets_backwards", header, ONE_F32("[16,0]"), "a"},
    {"offsets_negative", header, ONE_F32("[-16,0]"), "a"},
    {"offsets_overflow", header, ONE_F32("[18446744073709551600,18446744073709551616]"), "a"},
    {"offsets_fraction", header, ONE_F32("[0.5,16.5]"), "a"},
    {"offsets_huge_exponent", header, ONE_F32("[0,1e308]"), "a"},
    {"offsets_three", header, ONE_F32("[0,8,16]"), "a"},
    {"offsets_leave_a_hole", header,
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}", "b|a"},
    {"shape_disagrees_with_offsets", header, "{\"a\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,16]}}", "a"},
    {"shape_overflows", header,
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4],\"data_offsets\":[0,16]}}", "a"},
    {"shape_negative", header, "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2,-2],\"data_offsets\":[0,16]}}", "a"},
    {"shape_fraction", header, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2.5],\"data_offsets\":[0,16]}}", "a"},
    {"shape_of_40_dimensions", header,
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
     "1,1,1,1,1,1,1,4],"
     "\"data_offsets\":[0,16]}}", "a"},
    {"tensor_missing", header,
     "{\"conv_in.bias\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", "conv_in"},
    {"tensor_renamed", rename_tensor, "mid_block.resnets.0.conv1.weight",
     "stranger.weight|mid_block.resnets.0.conv1.weight"},
    {"tensor_reshaped", reshape_tensor, "conv_in.bias", "conv_in.bias"},
    {"tensor_of_integers", integer_tensor, "conv_in.bias", "conv_in.bias"},
    {"tensor_on_another", overlap_tensor, "conv_norm_out.bias", UNET},
    {"tensor_unknown", extra_tensor, "stranger.bias", "stranger.bias"},
    {"index_no_json", index_text, "oops", "index.json"},
    {"index_without_map", index_text, "{\"metadata\":{}}", "weight_map"},
    {"index_names_a_missing_shard", index_text, "{\"weight_map\":{\"conv_in.bias\":\"gone.safetensors\"}}",
     "gone.safetensors"},
    {"index_leaves_the_folder", index_text,
     "{\"weight_map\":{\"conv_in.bias\":\"../vae/diffusion_pytorch_model.safetensors\"}}", "../vae"},
    {"index_absolute", index_text, "{\"weight_map\":{\"conv_in.bias\":\"/etc/passwd\"}}", "/etc/passwd"},
    {"config_missing", remove_it, "unet/config.json", "config.json"},
    {"config_empty", make_empty, "unet/config.json", "config.json"},
    {"config_no_json", config_text, "block_out_channels = 8", "config.json"},
    {"config_an_array", config_text, "[]", "config.json"},
    {"config_trailing_text", config_text, "{} {}", "config.json"},
    {"config_other_class", config, "_class_name=\"Transformer2DModel\"", "Transformer2DModel"},
    {"config_channels_a_text", config, "block_out_channels=\"8,8,16\"", "block_out_channels"},
    {"config_channels_none", config, "block_out_channels=[]", "block_out_channels|down_block_types|attention_head_dim"},
    {"config_channels_negative", config, "block_out_channels=[-8,8,16]", "block_out_channels"},
    {"config_channels_fraction", config, "block_out_channels=[8.5,8,16]", "block_out_channels"},
    {"config_channels_huge", config, "block_out_channels=[8000000,8000000,8000000]", "block_out_channels|conv_in"},
    {"config_channels_too_few", config, "block_out_channels=[8,8]",
     "block_out_channels|down_block_types|attention_head_dim"},
    {"config_other_channels", config, "block_out_channels=[8,8,32]", "tensor|shape|wanted"},
    {"config_groups_that_do_not_divide", config, "norm_num_groups=3", "norm_num_groups|group"},
    {"config_groups_zero", config, "norm_num_groups=0", "norm_num_groups"},
    {"config_heads_zero", config, "attention_head_dim=0", "attention_head_dim"},
    {"config_heads_that_do_not_divide", config, "attention_head_dim=[3,3,3]", "attention_head_dim|head"},
    {"config_block_unknown", config,
     "down_block_types=[\"CrossAttnDownBlock2D\",\"SkipDownBlock2D\",\"DownBlock2D\"]", "SkipDownBlock2D"},
    {"config_layers_huge", config, "layers_per_block=1000000000", "layers_per_block"},
    {"config_activation_unknown", config, "act_fn=\"snake\"", "snake"},
    {"config_variant_unknown", config, "image_set_attention={\"variant\":\"both\"}", "both|variant"},
    {"config_clean_timestep_unknown", config,
     "image_set_attention={\"variant\":\"self\",\"clean_timestep\":\"other\",\"condition\":null}", "clean_timestep"},
    {"scheduler_beta_schedule_unknown", scheduler, "beta_schedule=\"cubic\"", "cubic"},
    {"scheduler_prediction_unknown", scheduler, "prediction_type=\"magic\"", "magic"},
    {"scheduler_no_steps", scheduler, "num_train_timesteps=0", "num_train_timesteps"},
};

static void fresh_model(void)
{
    remove_tree(in_scratch("model"));
    copy_tree(in_tests("golden/models/m2m_self"), in_scratch("model"));
}

/* Gradients need all of a model: the U-Net, and the scheduler for the noisy latents. */
static void run_model(outcome *o)
{
    RUN(o, "forward", in_scratch("model"), "--component", "m2m", "--backward", "--in",
        in_tests("golden/m2m_self_grad/in.safetensors"), "--out", in_scratch("out/y.safetensors"));
}

static void the_unspoilt_model_works(void **state)
{
    (void)state;
    outcome o;
    fresh_model();
    run_model(&o);
    expect_success(&o);
    assert_int_equal(count_files(in_scratch("out")), 1);
    unlink(in_scratch("out/y.safetensors"));
    RUN(&o, "info", in_scratch("model"));
    expect_success(&o);
}

static void is_refused(void **state)
{
    const model_case *c = *state;
    outcome o;
    fresh_model();
    c->spoil(c->text);
    run_model(&o);
    expect_refused(&o, c->named);
    assert_int_equal(count_files(in_scratch("out")), 0);
}

static int make(void **state)
{
    return scratch_make(state) || mkdir(in_scratch("out"), 0755);
}

int main(void)
{
    enum { CASES = sizeof cases / sizeof cases[0] };
    static struct CMUnitTest tests[CASES + 1] = {cmocka_unit_test(the_unspoilt_model_works)};
    for (int i = 0; i < CASES; i++)
        tests[i + 1] = (struct CMUnitTest){.name = cases[i].name, .test_func = is_refused,
                                           .initial_state = (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests_name("spoilt models", tests, make, scratch_remove);
}
