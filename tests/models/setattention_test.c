/* Image-set attention (spec 4, 10, 11): the causal mask by perturbation, image 0, the context cache against the
 * training graph, the zero image against many, recomputation against storing, anchors and context noise. On
 * tests/golden/models/m2m_self, with the CPU backend. */
#include "base/rng.h"
#include "cpu/cpu.h"
#include "diffusion/rollout.h"
#include "models/component.h"
#include "models/m2m.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 8, IMAGES = 4, CHANNELS = 4, LATENT = CHANNELS * SIDE * SIDE };

typedef struct fixture {
    unet_model m;
    backend *be;
    float clean[IMAGES * LATENT], noisy[IMAGES * LATENT];
} fixture;

static void ok(int status, const m2m_error *err)
{
    if (status) fail_msg("%s", err->msg);
}

static int set_up(void **state)
{
    m2m_error err;
    fixture *f = calloc(1, sizeof *f);
    ok(unet_model_open(&f->m, TEST_DIR "/golden/models/m2m_self", true, &err), &err);
    f->be = backend_cpu_open(2, NULL, &err);
    assert_non_null(f->be);
    rng_normal(1, RNG_NOISE, 0, f->clean, IMAGES * LATENT);
    rng_normal(1, RNG_NOISE, 1, f->noisy, IMAGES * LATENT);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    f->be->close(f->be);
    unet_model_close(&f->m);
    free(f);
    return 0;
}

/* The training graph's prediction for one set of n images at timestep t, whose clean images were noised to levels. */
static void predict_at(fixture *f, const float *clean, const float *noisy, int n, float t, const float *levels,
                       float *out)
{
    m2m_error err;
    train_graph g;
    train_shape s = {.sets = 1, .images = n, .draws = 1, .height = SIDE, .width = SIDE};
    float times[2 * IMAGES];
    ok(train_graph_build(&g, &f->m.config, f->m.params, &s, false, false, &err), &err);
    exec *x = exec_new(g.g, f->be, &g.prediction, 1, &err);
    assert_non_null(x);
    for (int i = 0; i < n; i++) times[n + i] = t;
    clean_timesteps(&f->m.config, &s, times + n, times);
    for (int i = 0; i < n; i++) times[i] += levels[i];
    ok(exec_write(x, g.context, clean, &err), &err);
    ok(exec_write(x, g.noisy, noisy, &err), &err);
    ok(exec_write(x, g.timesteps, times, &err), &err);
    ok(train_graph_write_lens(&g, x, &err), &err);
    ok(exec_run(x, &err), &err);
    exec_read(x, g.prediction, out);
    exec_free(x);
    train_graph_free(&g);
}

static void predict(fixture *f, const float *clean, const float *noisy, int n, float t, float *out)
{
    static const float clean_levels[IMAGES];
    predict_at(f, clean, noisy, n, t, clean_levels, out);
}

static float distance(const float *a, const float *b, int n)
{
    float most = 0;
    for (int i = 0; i < n; i++) most = fmaxf(most, fabsf(a[i] - b[i]));
    return most;
}

/* Clean image j changes the predictions of images i > j, and not a bit of those i <= j. */
static void clean_images_are_seen_by_later_ones_only(void **state)
{
    fixture *f = *state;
    float base[IMAGES * LATENT], moved[IMAGES * LATENT], clean[IMAGES * LATENT];
    predict(f, f->clean, f->noisy, IMAGES, 500, base);
    for (int j = 0; j < IMAGES; j++) {
        memcpy(clean, f->clean, sizeof clean);
        for (int i = 0; i < LATENT; i++) clean[j * LATENT + i] += 1.0f;
        predict(f, clean, f->noisy, IMAGES, 500, moved);
        for (int i = 0; i < IMAGES; i++) {
            float d = distance(base + i * LATENT, moved + i * LATENT, LATENT);
            if (i <= j) assert_true(d == 0.0f);
            else assert_true(d > 1e-4f);
        }
    }
}

/* Noisy images never see each other. */
static void noisy_images_are_alone(void **state)
{
    fixture *f = *state;
    float base[IMAGES * LATENT], moved[IMAGES * LATENT], noisy[IMAGES * LATENT];
    predict(f, f->clean, f->noisy, IMAGES, 500, base);
    memcpy(noisy, f->noisy, sizeof noisy);
    for (int i = 0; i < LATENT; i++) noisy[LATENT + i] += 1.0f;
    predict(f, f->clean, noisy, IMAGES, 500, moved);
    for (int i = 0; i < IMAGES; i++) {
        float d = distance(base + i * LATENT, moved + i * LATENT, LATENT);
        assert_true(i == 1 ? d > 1e-4f : d == 0.0f);
    }
}

static rollout *roll(fixture *f, const schedule *s, int images, int window, double guidance, bool no_cache)
{
    m2m_error err;
    rollout_options o = {.steps = 50, .guidance = guidance, .sampler = "ddim", .window = window, .no_cache = no_cache};
    rollout *r = rollout_new(&f->m.config, f->m.params, f->be, s, SIDE, SIDE, &o, &err);
    if (!r) fail_msg("%s", err.msg);
    for (int i = 0; i < images; i++) ok(rollout_add(r, &(context_image){.content = f->clean + i * LATENT}, &err), &err);
    return r;
}

static void load_schedule(schedule *s)
{
    m2m_error err;
    ok(schedule_load(s, TEST_DIR "/golden/models/m2m_self/scheduler/scheduler_config.json", &err), &err);
}

/* Identity 10.1: the cached step predicts what the whole graph predicts for the last image of the set. */
static void cache_equals_the_whole_graph(void **state)
{
    fixture *f = *state;
    m2m_error err;
    schedule s;
    const float *cached;
    load_schedule(&s);
    for (int seen = 0; seen < IMAGES; seen++) {
        float whole[IMAGES * LATENT], noisy[IMAGES * LATENT] = {0};
        const float *sample = f->noisy + seen * LATENT;
        rollout *r = roll(f, &s, seen, IMAGES, 1.0, false);
        memcpy(noisy + seen * LATENT, sample, LATENT * sizeof(float));
        predict(f, f->clean, noisy, seen + 1, 981, whole);
        ok(rollout_predict(r, sample, NULL, 0, &cached, &err), &err);       /* the first of 50 steps: t = 981 */
        assert_true(distance(cached, whole + seen * LATENT, LATENT) < 1e-5f);
        rollout_free(r);
    }
    schedule_free(&s);
}

/* Identity 10.2: guidance with one zero image equals eq. 6 with as many zero images as the context has. */
static void one_zero_image_equals_many(void **state)
{
    fixture *f = *state;
    m2m_error err;
    schedule s;
    const float *guided;
    const int seen = IMAGES - 1;
    float with[IMAGES * LATENT], without[IMAGES * LATENT], zero[IMAGES * LATENT] = {0}, noisy[IMAGES * LATENT] = {0};
    load_schedule(&s);
    memcpy(noisy + seen * LATENT, f->noisy, LATENT * sizeof(float));
    predict(f, f->clean, noisy, IMAGES, 981, with);
    predict(f, zero, noisy, IMAGES, 981, without);
    rollout *r = roll(f, &s, seen, IMAGES, 2.0, false);
    ok(rollout_predict(r, f->noisy, NULL, 0, &guided, &err), &err);
    for (int i = 0; i < LATENT; i++) {
        float a = without[seen * LATENT + i], b = with[seen * LATENT + i];
        assert_true(fabsf(guided[i] - (a + 2.0f * (b - a))) < 1e-5f);
    }
    rollout_free(r);
    schedule_free(&s);
}

static void make(rollout *r, const float *noise, float *latent)
{
    m2m_error err;
    ok(rollout_make(r, &(rollout_image){.noise = noise, .latent = latent}, &err), &err);
    ok(rollout_add_made(r, &(context_image){.content = latent}, 0, 0, &err), &err);
}

/* A whole image, and the next one that has it in its context: the same with the cache and without; each image is
 * encoded once. */
static void cache_on_equals_cache_off(void **state)
{
    fixture *f = *state;
    schedule s;
    float on[2 * LATENT], off[2 * LATENT];
    load_schedule(&s);
    rollout *a = roll(f, &s, 2, 2, 7.5, false), *b = roll(f, &s, 2, 2, 7.5, true);
    for (int i = 0; i < 2; i++) {
        make(a, f->noisy + i * LATENT, on + i * LATENT);
        make(b, f->noisy + i * LATENT, off + i * LATENT);
    }
    assert_true(distance(on, off, 2 * LATENT) < 1e-5f);
    assert_int_equal(rollout_encoded(a), 4);              /* two given, one made, one zero image */
    assert_int_equal(rollout_encoded(b), 2 * 50 * 3);
    rollout_free(a);
    rollout_free(b);
    schedule_free(&s);
}

/* Context noise: given images are read clean, made ones noised by (seed, index) to t0 with t0 as their timestep, which
 * is what training shows; still each is encoded once, and the unconditional branch has its one zero image. */
static void noisy_context_is_what_training_shows(void **state)
{
    enum { T0 = 150, SEED = 5 };
    fixture *f = *state;
    m2m_error err;
    schedule s;
    const float *guided, levels[IMAGES] = {0, T0, T0, 0}, none[IMAGES] = {0};
    float clean[IMAGES * LATENT], zero[IMAGES * LATENT] = {0}, noisy[IMAGES * LATENT] = {0};
    float with[IMAGES * LATENT], without[IMAGES * LATENT], plain[LATENT], *last = noisy + 3 * LATENT;
    load_schedule(&s);
    rollout_options o = {.steps = 50, .guidance = 2, .sampler = "ddim", .window = IMAGES, .context_noise = T0};
    rollout *r = rollout_new(&f->m.config, f->m.params, f->be, &s, SIDE, SIDE, &o, &err);
    assert_non_null(r);
    memcpy(clean, f->clean, sizeof clean);
    memcpy(last, f->noisy, LATENT * sizeof *last);
    ok(rollout_add(r, &(context_image){.content = clean}, &err), &err);
    for (int i = 1; i < 3; i++) {
        float *image = clean + i * LATENT, noise[LATENT];
        ok(rollout_add_made(r, &(context_image){.content = image}, SEED, (uint32_t)i, &err), &err);
        rng_normal(SEED, RNG_CONTEXT, (uint32_t)i, noise, LATENT);
        schedule_add_noise(&s, T0, image, noise, image, LATENT);
    }
    predict_at(f, clean, noisy, IMAGES, 981, levels, with);
    predict_at(f, zero, noisy, IMAGES, 981, none, without);
    for (int i = 0; i < LATENT; i++) plain[i] = 2 * with[3 * LATENT + i] - without[3 * LATENT + i];
    for (int i = 0; i < 2; i++) ok(rollout_predict(r, last, NULL, 0, &guided, &err), &err);
    assert_true(distance(guided, plain, LATENT) < 2e-5f);      /* measured: 1e-6 */
    assert_int_equal(rollout_encoded(r), 4);
    predict_at(f, clean, noisy, IMAGES, 981, none, with);      /* the timestep is told: without it, another answer */
    for (int i = 0; i < LATENT; i++) plain[i] = 2 * with[3 * LATENT + i] - without[3 * LATENT + i];
    assert_true(distance(guided, plain, LATENT) > 1e-3f);
    rollout_free(r);
    schedule_free(&s);
}

static void context_noise_wants_clean_timesteps(void **state)
{
    fixture *f = *state;
    m2m_error err;
    schedule s;
    load_schedule(&s);
    rollout_options o = {.steps = 50, .guidance = 2, .sampler = "ddim", .window = 4, .context_noise = 1000};
    assert_null(rollout_new(&f->m.config, f->m.params, f->be, &s, SIDE, SIDE, &o, &err));
    assert_non_null(strstr(err.msg, "1000"));
    unet_config same = f->m.config;
    same.clean_timestep = CLEAN_TIMESTEP_SAME;
    o.context_noise = 100;
    assert_null(rollout_new(&same, f->m.params, f->be, &s, SIDE, SIDE, &o, &err));
    assert_non_null(strstr(err.msg, "clean_timestep"));
    o = (rollout_options){.steps = 50, .guidance = 2, .sampler = "ddim", .window = 2, .anchors = 3};
    assert_null(rollout_new(&f->m.config, f->m.params, f->be, &s, SIDE, SIDE, &o, &err));
    assert_non_null(strstr(err.msg, "anchors: 3"));
    schedule_free(&s);
}

static void expect_choice(int count, int given, int window, int anchors, const char *wanted)
{
    int index[8];
    char text[32];
    int n = context_choose(count, given, window, anchors, index), at = 0;
    for (int i = 0; i < n; i++) at += snprintf(text + at, sizeof text - (size_t)at, "%d", index[i]);
    text[at] = '\0';
    assert_string_equal(text, wanted);
}

static void anchors_stay_and_the_last_fill_up(void **state)
{
    (void)state;
    expect_choice(0, 0, 4, -1, "");
    expect_choice(3, 2, 4, 1, "012");        /* all, while they fit */
    expect_choice(4, 2, 4, 2, "0123");
    expect_choice(9, 4, 4, 0, "5678");       /* the spec's plain window */
    expect_choice(9, 4, 4, 1, "0678");
    expect_choice(9, 4, 6, -1, "012378");
    expect_choice(9, 2, 4, 3, "0178");       /* no more are given */
    expect_choice(9, 6, 4, -1, "0123");      /* no room for more */
    expect_choice(9, 4, 4, 4, "0123");
    expect_choice(9, 0, 4, -1, "5678");
}

static void a_window_of_none_holds_twice_the_given(void **state)
{
    (void)state;
    static const int wanted[][3] = {{5, 1, 5}, {0, 0, 4}, {0, 1, 2}, {0, 3, 6}, {0, 4, 8}, {0, 6, 8}, {0, 12, 12},
                                    {-1, 0, 4}, {-1, 1, 1}, {-1, 3, 3}, {-1, 12, 12}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        assert_int_equal(context_window(wanted[i][0], wanted[i][1]), wanted[i][2]);
}

/* A set that grows by one image after another reads what a fresh one of the images chosen reads. */
static void anchored_context_is_that_of_its_images(void **state)
{
    fixture *f = *state;
    m2m_error err;
    schedule s;
    const float *out, *wanted;
    float kept[LATENT];
    load_schedule(&s);
    rollout_options o = {.steps = 50, .guidance = 2, .sampler = "ddim", .window = 2, .anchors = 1};
    rollout *r = rollout_new(&f->m.config, f->m.params, f->be, &s, SIDE, SIDE, &o, &err);
    assert_non_null(r);
    ok(rollout_add(r, &(context_image){.content = f->clean}, &err), &err);
    for (int i = 1; i < IMAGES; i++) {
        ok(rollout_add_made(r, &(context_image){.content = f->clean + i * LATENT}, 0, (uint32_t)i, &err), &err);
        ok(rollout_predict(r, f->noisy, NULL, 0, &out, &err), &err);
        memcpy(kept, out, sizeof kept);
        rollout *fresh = roll(f, &s, 1, 2, 2, true);
        ok(rollout_add(fresh, &(context_image){.content = f->clean + i * LATENT}, &err), &err);
        ok(rollout_predict(fresh, f->noisy, NULL, 0, &wanted, &err), &err);
        assert_memory_equal(kept, wanted, sizeof kept);
        rollout_free(fresh);
    }
    assert_int_equal(rollout_encoded(r), IMAGES + 1);
    rollout_free(r);
    schedule_free(&s);
}

/* The training loss and a gradient are the same bits whether activations are stored or computed again. */
static void recomputation_changes_nothing(void **state)
{
    fixture *f = *state;
    m2m_error err;
    float loss[2], gradient[2][64];
    size_t bytes[2];
    for (int k = 0; k < 2; k++) {
        train_graph g;
        train_shape s = {.sets = 1, .images = IMAGES, .draws = 1, .height = SIDE, .width = SIDE, .recompute = k};
        float times[2 * IMAGES] = {0, 0, 0, 0, 700, 700, 700, 700};
        ok(train_graph_build(&g, &f->m.config, f->m.params, &s, true, true, &err), &err);
        node *bias = g.grads[paramset_find(f->m.params, "conv_in.bias")->index], *outputs[2] = {g.loss, bias};
        exec *x = exec_new(g.g, f->be, outputs, 2, &err);
        assert_non_null(x);
        bytes[k] = exec_bytes(x);
        ok(exec_write(x, g.context, f->clean, &err), &err);
        ok(exec_write(x, g.noisy, f->noisy, &err), &err);
        ok(exec_write(x, g.target, f->noisy, &err), &err);
        ok(exec_write(x, g.timesteps, times, &err), &err);
        ok(train_graph_write_lens(&g, x, &err), &err);
        ok(exec_run(x, &err), &err);
        exec_read(x, g.loss, &loss[k]);
        exec_read(x, bias, gradient[k]);
        exec_free(x);
        train_graph_free(&g);
    }
    assert_true(loss[0] == loss[1]);
    assert_memory_equal(gradient[0], gradient[1], 8 * sizeof(float));
    assert_true(bytes[1] < bytes[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_images_are_seen_by_later_ones_only), cmocka_unit_test(noisy_images_are_alone),
        cmocka_unit_test(cache_equals_the_whole_graph),             cmocka_unit_test(one_zero_image_equals_many),
        cmocka_unit_test(cache_on_equals_cache_off),                cmocka_unit_test(recomputation_changes_nothing),
        cmocka_unit_test(noisy_context_is_what_training_shows),
        cmocka_unit_test(context_noise_wants_clean_timesteps),
        cmocka_unit_test(anchors_stay_and_the_last_fill_up),
        cmocka_unit_test(a_window_of_none_holds_twice_the_given),
        cmocka_unit_test(anchored_context_is_that_of_its_images),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
