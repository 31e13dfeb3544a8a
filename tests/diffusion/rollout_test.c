/* Guidance and the context cache where images have task conditions, and M2M-DINO's identities (spec 6, 10.3, 10.4), on
 * the tiny models of tests/golden. That the predictions are right is system/golden's matter; here, which are computed,
 * and that what is left out changes nothing. */
#include "base/rng.h"
#include "cpu/cpu.h"
#include "diffusion/rollout.h"
#include "models/component.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 8, LATENT = 4 * SIDE * SIDE, TOKENS = 17, DIM = 24, FEATURES = TOKENS * DIM, IMAGES = 3, STEPS = 4 };

typedef struct fixture {
    unet_model m;
    schedule schedule;
    backend *be;
    float content[IMAGES][FEATURES];     /* latents use the first LATENT of each */
    float condition[IMAGES + 1][12];
    float noise[LATENT];
} fixture;

static void ok(int status, const m2m_error *err)
{
    if (status) fail_msg("%s", err->msg);
}

static fixture *open_fixture(const char *model)
{
    m2m_error err;
    char path[512];
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(path, sizeof path, TEST_DIR "/golden/models/%s", model);
    ok(unet_model_open(&f->m, path, true, &err), &err);
    ok(schedule_load(&f->schedule, TEST_DIR "/golden/models/m2m_self/scheduler/scheduler_config.json", &err), &err);
    f->be = backend_cpu_open(2, NULL, &err);
    assert_non_null(f->be);
    rng_normal(3, RNG_NOISE, 0, f->content[0], IMAGES * FEATURES);
    rng_normal(3, RNG_NOISE, 1, f->condition[0], (IMAGES + 1) * 12);
    rng_normal(3, RNG_NOISE, 2, f->noise, LATENT);
    return f;
}

static void close_fixture(fixture *f)
{
    f->be->close(f->be);
    schedule_free(&f->schedule);
    unet_model_close(&f->m);
    free(f);
}

/* conditioned: how many of the images, counted from the last, have a condition. */
static rollout *roll(fixture *f, int images, double guidance, double condition_guidance, int conditioned, bool no_cache)
{
    m2m_error err;
    rollout_options o = {.steps = STEPS, .guidance = guidance, .condition_guidance = condition_guidance,
                         .conditioned = conditioned > 0, .sampler = "ddim", .window = IMAGES, .tokens = TOKENS,
                         .no_cache = no_cache};
    rollout *r = rollout_new(&f->m.config, f->m.params, f->be, &f->schedule, SIDE, SIDE, &o, &err);
    if (!r) fail_msg("%s", err.msg);
    for (int i = 0; i < images; i++) {
        context_image image = {f->content[i], i >= images - conditioned ? f->condition[i] : NULL, 0};
        ok(rollout_add(r, &image, &err), &err);
    }
    return r;
}

static void predict(fixture *f, rollout *r, bool conditioned, float *out)
{
    m2m_error err;
    const float *guided;
    ok(rollout_predict(r, f->noise, conditioned ? f->condition[IMAGES] : NULL, 0, &guided, &err), &err);
    memcpy(out, guided, LATENT * sizeof *out);
}

/* One guided prediction of `images` images of context. */
static int guided(fixture *f, int images, double s_i, double s_c, int conditioned, float *out)
{
    rollout *r = roll(f, images, s_i, s_c, conditioned, false);
    int branches = rollout_branches(r);
    predict(f, r, conditioned > 0, out);
    rollout_free(r);
    return branches;
}

static float distance(const float *a, const float *b, int n)
{
    float most = 0;
    for (int i = 0; i < n; i++) most = fmaxf(most, fabsf(a[i] - b[i]));
    return most;
}

static const char *const conditioned_models[] = {"m2m_self_camera", "m2m_dino_position"};

static void equal_branches_are_computed_once(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        float a[LATENT], b[LATENT], e00[LATENT], ez0[LATENT], ezc[LATENT];
        fixture *f = open_fixture(conditioned_models[k]);
        assert_int_equal(guided(f, IMAGES, 0, 0, IMAGES, e00), 1);
        assert_int_equal(guided(f, IMAGES, 1, 0, IMAGES, ez0), 1);
        assert_int_equal(guided(f, IMAGES, 1, 1, IMAGES, ezc), 1);
        assert_true(distance(e00, ez0, LATENT) > 1e-3f && distance(ez0, ezc, LATENT) > 1e-3f);
        /* eq. 7 is the sum of its branches */
        assert_int_equal(guided(f, IMAGES, 3, 2, IMAGES, a), 3);
        for (int i = 0; i < LATENT; i++) b[i] = e00[i] + 3 * (ez0[i] - e00[i]) + 2 * (ezc[i] - ez0[i]);
        assert_true(distance(a, b, LATENT) < 2e-5f);
        /* s_C = s_I, or none given: both dropped together, eq. 6 */
        assert_int_equal(guided(f, IMAGES, 3, 3, IMAGES, a), 2);
        for (int i = 0; i < LATENT; i++) b[i] = e00[i] + 3 * (ezc[i] - e00[i]);
        assert_true(distance(a, b, LATENT) < 2e-5f);
        assert_int_equal(guided(f, IMAGES, 3, -1, IMAGES, b), 2);
        assert_memory_equal(a, b, sizeof a);
        /* s_C = 0 is eq. 6 of the images alone; so is a condition that is dropped */
        assert_int_equal(guided(f, IMAGES, 3, 0, IMAGES, a), 2);
        assert_int_equal(guided(f, IMAGES, 3, 2, 0, b), 2);
        assert_memory_equal(a, b, sizeof a);
        /* s_I = 1 needs no unconditional branch */
        assert_int_equal(guided(f, IMAGES, 1, 2, IMAGES, a), 2);
        for (int i = 0; i < LATENT; i++) b[i] = ez0[i] + 2 * (ezc[i] - ez0[i]);
        assert_true(distance(a, b, LATENT) < 2e-5f);
        close_fixture(f);
    }
}

/* Images are encoded once, with and without their condition; what has none is encoded once for both branches. */
static void each_image_is_encoded_once(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        float on[LATENT], off[LATENT];
        int zero = k == 0;                   /* M2M-Self's zero image; M2M-DINO has none */
        fixture *f = open_fixture(conditioned_models[k]);
        for (int conditioned = 1; conditioned <= IMAGES; conditioned++) {
            rollout *r = roll(f, IMAGES, 3, 2, conditioned, false), *s = roll(f, IMAGES, 3, 2, conditioned, true);
            for (int i = 0; i < 3; i++) predict(f, r, true, on);
            predict(f, s, true, off);
            assert_int_equal(rollout_encoded(r), IMAGES + conditioned + zero);
            assert_true(distance(on, off, LATENT) < 1e-5f);
            rollout_free(r);
            rollout_free(s);
        }
        close_fixture(f);
    }
}

/* A condition is part of what a slot holds: another one is never taken for it. */
static void another_condition_is_encoded_anew(void **state)
{
    (void)state;
    m2m_error err;
    float a[LATENT], b[LATENT], c[LATENT];
    fixture *f = open_fixture("m2m_self_camera");
    rollout *r = roll(f, 1, 1, 1, 1, false);
    predict(f, r, true, a);
    context_image other = {f->content[0], f->condition[2], 0};      /* the same image from elsewhere */
    ok(rollout_add(r, &other, &err), &err);
    predict(f, r, true, b);
    assert_int_equal(rollout_encoded(r), 2);
    assert_true(distance(a, b, LATENT) > 1e-4f);
    rollout_free(r);
    r = roll(f, 1, 1, 1, 1, true);
    ok(rollout_add(r, &other, &err), &err);
    predict(f, r, true, c);
    assert_true(distance(b, c, LATENT) < 1e-5f);
    rollout_free(r);
    close_fixture(f);
}

/* The whole training graph on one set whose last image is the one that is made. */
static void whole_graph(fixture *f, bool zeroed, float *out)
{
    m2m_error err;
    train_graph g;
    const int n = IMAGES + 1;
    train_shape s = {.sets = 1, .images = n, .draws = 1, .height = SIDE, .width = SIDE, .tokens = TOKENS};
    float *contents = calloc(n * FEATURES, sizeof *contents), *noisy = calloc(n * LATENT, sizeof *noisy);
    float times[2 * (IMAGES + 1)], *all = malloc(n * LATENT * sizeof *all);
    assert_true(contents && noisy && all);
    ok(train_graph_build(&g, &f->m.config, f->m.params, &s, false, false, &err), &err);
    exec *x = exec_new(g.g, f->be, &g.prediction, 1, &err);
    assert_non_null(x);
    if (!zeroed) memcpy(contents, f->content, IMAGES * FEATURES * sizeof(float));
    memcpy(noisy + IMAGES * LATENT, f->noise, LATENT * sizeof(float));
    for (int i = 0; i < 2 * n; i++) times[i] = 751;              /* the first of 4 steps */
    ok(exec_write(x, g.context, contents, &err), &err);
    ok(exec_write(x, g.noisy, noisy, &err), &err);
    ok(train_graph_write_times(&g, x, times, &err), &err);
    ok(train_graph_write_condition(&g, x, NULL, NULL, &err), &err);
    ok(train_graph_write_lens(&g, x, &err), &err);
    ok(exec_run(x, &err), &err);
    exec_read(x, g.prediction, all);
    memcpy(out, all + IMAGES * LATENT, LATENT * sizeof *out);
    exec_free(x);
    train_graph_free(&g);
    free(contents);
    free(noisy);
    free(all);
}

/* Identities 10.3 and 10.4: the unconditional pass, which does no set attention, equals attention to zero features; the
 * cached keys and values equal those of the whole graph. */
static void dino_needs_no_attention_without_images(void **state)
{
    (void)state;
    float whole[LATENT], cached[LATENT];
    fixture *f = open_fixture("m2m_dino");
    assert_int_equal(guided(f, IMAGES, 0, -1, 0, cached), 1);
    whole_graph(f, true, whole);
    assert_true(distance(whole, cached, LATENT) < 1e-5f);
    assert_int_equal(guided(f, IMAGES, 1, -1, 0, cached), 1);
    whole_graph(f, false, whole);
    assert_true(distance(whole, cached, LATENT) < 1e-5f);
    close_fixture(f);
}

/* Features know no timestep: encoded once for all steps, whatever clean_timestep says. */
static void dino_encodes_once_for_all_steps(void **state)
{
    (void)state;
    m2m_error err;
    const float *out;
    fixture *f = open_fixture("m2m_dino");
    f->m.config.clean_timestep = CLEAN_TIMESTEP_SAME;
    rollout *r = roll(f, IMAGES, 3, -1, 0, false);
    for (int k = 0; k < STEPS; k++) ok(rollout_predict(r, f->noise, NULL, k, &out, &err), &err);
    assert_int_equal(rollout_encoded(r), IMAGES);
    rollout_free(r);
    close_fixture(f);
}

static void make(fixture *f, rollout_options o, float *latent, int *encoded, size_t *bytes)
{
    m2m_error err;
    o.steps = STEPS;
    o.sampler = "ddim";
    o.window = IMAGES;
    o.tokens = TOKENS;
    o.condition_guidance = 2;
    o.conditioned = true;
    rollout *r = rollout_new(&f->m.config, f->m.params, f->be, &f->schedule, SIDE, SIDE, &o, &err);
    if (!r) fail_msg("%s", err.msg);
    for (int i = 0; i < IMAGES; i++)
        ok(rollout_add(r, &(context_image){f->content[i], f->condition[i], 0}, &err), &err);
    rollout_image image = {.noise = f->noise, .condition = f->condition[IMAGES], .latent = latent};
    ok(rollout_make(r, &image, &err), &err);
    float again[LATENT];
    image.latent = again;
    ok(rollout_make(r, &image, &err), &err);             /* nothing is left of the image before */
    assert_memory_equal(latent, again, sizeof again);
    *encoded = (int)rollout_encoded(r);
    *bytes = rollout_bytes(r);
    rollout_free(r);
}

/* Everywhere, nowhere, and at some of the timesteps 751, 501, 251, 1: the same bits as guidance, none, and each step by
 * what applies to it. Outside only the conditional branch is computed: images are not encoded for the others. */
static void guidance_keeps_to_its_interval(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        fixture *f = open_fixture(conditioned_models[k]);
        float always[LATENT], everywhere[LATENT], never[LATENT], nowhere[LATENT], middle[LATENT], early[LATENT];
        int encoded[6];
        size_t bytes[6];
        rollout_options o = {.guidance = 3}, one = {.guidance = 1};
        make(f, o, always, &encoded[0], &bytes[0]);
        o.interval = (guide_interval){true, 1, 751};
        make(f, o, everywhere, &encoded[1], &bytes[1]);
        assert_memory_equal(always, everywhere, sizeof always);
        assert_int_equal(bytes[0], bytes[1]);
        o.interval = (guide_interval){true, 2, 250};
        make(f, o, nowhere, &encoded[2], &bytes[2]);
        one.interval = o.interval;
        make(f, one, never, &encoded[3], &bytes[3]);
        assert_memory_equal(nowhere, never, sizeof never);
        assert_int_equal(encoded[2], IMAGES);
        assert_true(bytes[2] < bytes[0]);
        o.interval = (guide_interval){true, 251, 501};
        make(f, o, middle, &encoded[4], &bytes[4]);
        assert_int_equal(encoded[4], encoded[0]);
        o.interval = (guide_interval){true, 501, 751};
        make(f, o, early, &encoded[5], &bytes[5]);
        assert_true(distance(middle, always, LATENT) > 1e-4f && distance(middle, never, LATENT) > 1e-4f);
        assert_true(distance(middle, early, LATENT) > 1e-4f && distance(early, always, LATENT) > 1e-4f);
        o.rescale = 0.7;
        make(f, o, middle, &encoded[4], &bytes[4]);
        assert_true(distance(middle, early, LATENT) > 1e-4f);
        close_fixture(f);
    }
}

/* golden/generate_deepcache has the numbers. */
static void deep_layers_serve_the_steps_behind(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        fixture *f = open_fixture(conditioned_models[k]);
        float whole[LATENT], one[LATENT], two[LATENT], all[LATENT], more[LATENT];
        int encoded;
        size_t bytes;
        rollout_options o = {.guidance = 3, .interval = {k == 1, 501, 751}};
        make(f, o, whole, &encoded, &bytes);
        o.deepcache = 1;
        make(f, o, one, &encoded, &bytes);
        assert_memory_equal(whole, one, sizeof one);
        o.deepcache = 2;
        make(f, o, two, &encoded, &bytes);
        o.deepcache = STEPS;
        make(f, o, all, &encoded, &bytes);
        o.deepcache = 1000;
        make(f, o, more, &encoded, &bytes);
        assert_memory_equal(all, more, sizeof more);
        assert_true(distance(whole, two, LATENT) > 1e-5f);
        /* within the interval there are two steps of each kind */
        assert_true((distance(two, all, LATENT) > 1e-5f) == (k == 0));
        close_fixture(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_branches_are_computed_once),
        cmocka_unit_test(each_image_is_encoded_once),
        cmocka_unit_test(another_condition_is_encoded_anew),
        cmocka_unit_test(dino_needs_no_attention_without_images),
        cmocka_unit_test(dino_encodes_once_for_all_steps),
        cmocka_unit_test(guidance_keeps_to_its_interval),
        cmocka_unit_test(deep_layers_serve_the_steps_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
