/* Single-file checkpoints of real size: every tensor of SD 1 (with averages) and SD 2 goes where diffusers puts it
 * (tests/golden/ldm), and the configurations read off the shapes are those that the tensors fit. The files are holes:
 * a header over sparse zeros. */
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "models/component.h"
#include "models/config.h"
#include "models/ldm.h"
#include "scratch_dir.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 2000 };

typedef struct line {
    char *name, *sizes, *targets;
} line;

typedef struct listing {
    scratch_dir dir;
    char *text;
    line lines[MOST];
    int n;
} listing;

static void read_listing(listing *l, const char *file)
{
    m2m_error err;
    char path[512];
    snprintf(path, sizeof path, TEST_DIR "/golden/ldm/%s", file);
    l->n = 0;
    if (file_read_all(path, 1 << 20, &l->text, NULL, &err)) fail_msg("%s", err.msg);
    for (char *at = l->text; *at;) {
        line *e = &l->lines[l->n++];
        assert_true(l->n < MOST);
        e->name = strsep(&at, "\t");
        e->sizes = strsep(&at, "\t");
        e->targets = strsep(&at, "\n");
    }
}

static int64_t elements(const char *sizes)
{
    int64_t n = 1;
    for (char *end; *sizes; sizes = *end ? end + 1 : end) n *= strtoll(sizes, &end, 10);
    return n;
}

/* All tensors of the listing as F16 in a file without data; `but` is left out. */
static const char *write_holes(listing *l, const char *name, const char *but)
{
    str s = {0};
    int64_t at = 0;
    str_add(&s, "{");
    for (int i = 0; i < l->n; i++) {
        if (but && !strcmp(l->lines[i].name, but)) continue;
        int64_t bytes = 2 * elements(l->lines[i].sizes);
        str_printf(&s, "%s\"%s\":{\"dtype\":\"F16\",\"shape\":[%s],\"data_offsets\":[%lld,%lld]}", at ? "," : "",
                   l->lines[i].name, l->lines[i].sizes, (long long)at, (long long)(at + bytes));
        at += bytes;
    }
    str_add(&s, "}");
    while (s.len % 8) str_add(&s, " ");
    const char *path = scratch_dir_file(&l->dir, name);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    uint64_t length = s.len;
    assert_true(fd >= 0 && write(fd, &length, 8) == 8 && write(fd, s.data, s.len) == (ssize_t)s.len);
    assert_int_equal(ftruncate(fd, (off_t)(8 + s.len) + at), 0);
    close(fd);
    str_free(&s);
    return path;
}

static bool of(const char *target, const char *component)
{
    bool text = !strncmp(target, "text_model.", 11);
    bool vae = !strncmp(target, "encoder.", 8) || !strncmp(target, "decoder.", 8) || strstr(target, "quant_conv");
    return !strcmp(component, text ? "text_encoder" : vae ? "vae" : "unet");
}

/* Tensor `target` is part number `third` (of `parts`) of the rows of the file's tensor. */
static void lies_there(const weights *w, const char *target, const line *from, int third, int parts)
{
    const tensor *found = weights_find(w, target), *whole = safetensors_find(weights_file(w, 0), from->name);
    assert_non_null(whole);
    if (!found) fail_msg("%s, from %s, is missing", target, from->name);
    int64_t count = elements(from->sizes) / parts;
    assert_int_equal(shape_count(found->shape), count);
    assert_int_equal((char *)found->data - (char *)whole->data, 2 * count * third);
}

/* Every tensor that diffusers makes is there, in its place, and no other. */
static void component_is_diffusers(const listing *l, const char *path, const char *component)
{
    m2m_error err;
    weights *w;
    cJSON *config;
    int wanted = 0;
    if (ldm_open(&w, &config, path, component, &err)) fail_msg("%s", err.msg);
    for (int i = 0; i < l->n; i++) {
        char targets[600], *at = targets;
        snprintf(targets, sizeof targets, "%s", l->lines[i].targets);
        if (!*targets || !of(targets, component)) continue;
        int parts = strchr(targets, ',') ? 3 : 1;
        for (int k = 0; k < parts; k++, wanted++) lies_there(w, strsep(&at, ","), &l->lines[i], k, parts);
    }
    assert_true(wanted > 100);
    assert_int_equal(weights_count(w), wanted);
    cJSON_Delete(config);
    weights_close(&w);
}

/* Configurations that were read off the shapes: all tensors used, none missing; and what no shape tells. */
static void models_open(const char *path, int context, int heads0, int heads3, bool linear)
{
    m2m_error err;
    unet_model u;
    vae_model v;
    if (unet_model_open(&u, path, true, &err)) fail_msg("%s", err.msg);
    assert_int_equal(u.config.cross_dim, context);
    assert_int_equal(u.config.heads[0], heads0);
    assert_int_equal(u.config.heads[3], heads3);
    assert_int_equal(u.config.linear_projection, linear);
    assert_int_equal(u.config.variant, SET_NONE);
    assert_int_equal(u.config.sample_size, 64);
    if (vae_model_open(&v, path, true, &err)) fail_msg("%s", err.msg);
    assert_int_equal(vae_factor(&v.config), 8);
    assert_true(v.config.scaling_factor == 0.18215f);
    assert_int_equal(paramset_elements(v.params), 83653863);
    unet_model_close(&u);
    vae_model_close(&v);
}

static void text_is(const char *path, const char *act, int width, int layers, int heads, int inner)
{
    m2m_error err;
    weights *w;
    cJSON *c;
    const char *found;
    if (ldm_open(&w, &c, path, "text_encoder", &err)) fail_msg("%s", err.msg);
    assert_int_equal(json_text(c, "hidden_act", &found, &err), 0);
    assert_string_equal(found, act);
    assert_int_equal(json_member(c, "hidden_size")->valueint, width);
    assert_int_equal(json_member(c, "num_hidden_layers")->valueint, layers);
    assert_int_equal(json_member(c, "num_attention_heads")->valueint, heads);
    assert_int_equal(json_member(c, "intermediate_size")->valueint, inner);
    assert_int_equal(json_member(c, "vocab_size")->valueint, 49408);
    assert_int_equal(json_member(c, "max_position_embeddings")->valueint, 77);
    cJSON_Delete(c);
    weights_close(&w);
}

static void sd1_with_averages(void **state)
{
    listing *l = *state;
    read_listing(l, "sd1.tsv");
    const char *path = write_holes(l, "sd1.safetensors", NULL);
    component_is_diffusers(l, path, "unet");
    component_is_diffusers(l, path, "vae");
    component_is_diffusers(l, path, "text_encoder");
    models_open(path, 768, 8, 8, false);
    text_is(path, "quick_gelu", 768, 12, 12, 3072);
    free(l->text);
}

static void sd2(void **state)
{
    listing *l = *state;
    read_listing(l, "sd2.tsv");
    const char *path = write_holes(l, "sd2.safetensors", NULL);
    component_is_diffusers(l, path, "unet");
    component_is_diffusers(l, path, "vae");
    component_is_diffusers(l, path, "text_encoder");
    models_open(path, 1024, 5, 20, true);
    text_is(path, "gelu", 1024, 23, 16, 4096);
    free(l->text);
}

/* What a listing lacks, or has twice, is named. */
static void incomplete_files_are_refused(void **state)
{
    static const struct { const char *file, *but, *component, *named; } cases[] = {
        {"sd1.tsv", "model_ema.diffusion_modelinput_blocks00weight", "unet",
         "input_blocks.0.0.weight has no average"},
        {"sd2.tsv", "model.diffusion_model.input_blocks.4.0.in_layers.2.bias", "unet",
         "down_blocks.1.resnets.0.conv1.bias"},
        {"sd2.tsv", "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight", "unet",
         "attn2.to_k"},
        {"sd2.tsv", "first_stage_model.decoder.up.3.block.0.norm1.weight", "vae", "decoder."},
        {"sd2.tsv", "first_stage_model.post_quant_conv.weight", "vae", "post_quant_conv.weight"},
    };
    listing *l = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        m2m_error err;
        unet_model u = {0};
        vae_model v = {0};
        read_listing(l, cases[i].file);
        const char *path = write_holes(l, "less.safetensors", cases[i].but);
        int status = strcmp(cases[i].component, "vae") ? unet_model_open(&u, path, true, &err)
                                                       : vae_model_open(&v, path, true, &err);
        assert_int_equal(status, M2M_ESHAPE);
        if (!strstr(err.msg, cases[i].named)) fail_msg("said \"%s\", wanted %s", err.msg, cases[i].named);
        assert_non_null(strstr(err.msg, "less.safetensors"));
        free(l->text);
    }
}

/* Rows that are no whole thirds, another family's width, a file without a U-Net. */
static void strange_files_are_refused(void **state)
{
    static const struct { const char *name, *sizes, *component, *named; int code; } cases[] = {
        {"cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight", "64,64", "text_encoder",
         "[64, 64]", M2M_ESHAPE},
        {"cond_stage_model.model.transformer.resblocks.0.attn.in_proj_bias", "", "text_encoder",
         "in_proj_bias", M2M_ESHAPE},
        {"something.weight", "3", "unet", "no unet", M2M_EFORMAT},
        {"model.diffusion_model.input_blocks.1.0.in_layers.2.weight", "32,32,3,3", "unet", "attn2.to_k",
         M2M_ESHAPE},
    };
    listing *l = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        m2m_error err;
        weights *w = NULL;
        cJSON *c = NULL;
        l->n = 1;
        l->lines[0] = (line){(char *)cases[i].name, (char *)cases[i].sizes, (char *)""};
        const char *path = write_holes(l, "strange.safetensors", NULL);
        assert_int_equal(ldm_open(&w, &c, path, cases[i].component, &err), cases[i].code);
        if (!strstr(err.msg, cases[i].named)) fail_msg("said \"%s\", wanted %s", err.msg, cases[i].named);
    }
}

static int set_up(void **state)
{
    listing *l = calloc(1, sizeof *l);
    *state = l;
    return l ? scratch_dir_make(&l->dir) : -1;
}

static int tear_down(void **state)
{
    listing *l = *state;
    scratch_dir_remove_tree(l->dir.path);
    free(l);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sd1_with_averages),
        cmocka_unit_test(sd2),
        cmocka_unit_test(incomplete_files_are_refused),
        cmocka_unit_test(strange_files_are_refused),
    };
    return cmocka_run_group_tests_name("ldm", tests, set_up, tear_down);
}
