/* Image-set attention (spec 4, 10): the causal mask by perturbation, image 0, the context cache against the training
 * graph, the zero image against many, recomputation against storing. On tests/golden/models/m2m_self, with the CPU
 * backend. */
#include "base/rng.h"
#include "cpu/cpu.h"
#include "diffusion/rollout.h"
#include "models/component.h"
#include "models/m2m.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
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

/* The training graph's prediction for one set of n images at timestep t. */
static void predict(fixture *f, const float *clean, const float *noisy, int n, float t, float *out)
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
    ok(exec_write(x, g.context, clean, &err), &err);
    ok(exec_write(x, g.noisy, noisy, &err), &err);
    ok(exec_write(x, g.timesteps, times, &err), &err);
    ok(train_graph_write_lens(&g, x, &err), &err);
    ok(exec_run(x, &err), &err);
    exec_read(x, g.prediction, out);
    exec_free(x);
    train_graph_free(&g);
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
    ok(rollout_add(r, &(context_image){.content = latent}, &err), &err);
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
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
