/* Images from text states: what a loop over the plain U-Net gives, and the same bits in any batch and place. */
#include "diffusion/painter.h"

#include "base/rng.h"
#include "diffusion/guide.h"
#include "lib/device.h"
#include "models/component.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SIDE = 16, TOKENS = 7, STEPS = 3, IMAGES = 5 };

static unet_model model;
static schedule plan;
static backend *be;
static float *text, *negative, *noise;
static size_t floats, states;

static float *draw(uint64_t seed, size_t n)
{
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    rng_normal(seed, RNG_NOISE, 0, x, n);
    return x;
}

static int prepare(void **state)
{
    (void)state;
    m2m_error err = {0};
    be = device_open("cpu", 2, (device_way){0}, NULL, &err);
    if (!be || unet_model_open(&model, TEST_DIR "/golden/models/unet_text", true, &err) ||
        schedule_load(&plan, TEST_DIR "/golden/models/m2m_self/scheduler/scheduler_config.json", &err)) {
        print_error("%s\n", err.msg);
        return -1;
    }
    floats = (size_t)model.config.in_channels * SIDE * SIDE;
    states = (size_t)TOKENS * (size_t)model.config.cross_dim;
    text = draw(1, states);
    negative = draw(2, states);
    noise = draw(3, IMAGES * floats);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    free(text);
    free(negative);
    free(noise);
    schedule_free(&plan);
    unet_model_close(&model);
    be->close(be);
    return 0;
}

static painter *open_painter_with(painter_options o, int batch, double guidance, const char *method)
{
    o.batch = batch;
    o.tokens = TOKENS;
    o.steps = STEPS;
    o.guidance = guidance;
    o.sampler = method;
    m2m_error err = {0};
    painter *p = painter_new(&model.config, model.params, be, &plan, SIDE, SIDE, &o, &err);
    if (!p) fail_msg("%s", err.msg);
    return p;
}

static painter *open_painter(int batch, double guidance, const char *method)
{
    return open_painter_with((painter_options){0}, batch, guidance, method);
}

/* All latents, in batches. */
static const uint64_t seeds[IMAGES] = {11, 7, 1ULL << 40, 3, 11};

static float *paint(int batch, double guidance, const char *method)
{
    painter *p = open_painter(batch, guidance, method);
    float *all = malloc(IMAGES * floats * sizeof *all);
    for (int i = 0; i < IMAGES; i += batch) {
        int n = IMAGES - i < batch ? IMAGES - i : batch;
        painter_seeds(p, seeds + i, NULL);
        assert_int_equal(painter_make(p, text, negative, noise + (size_t)i * floats, n, all + (size_t)i * floats, NULL,
                                      NULL, NULL, NULL), 0);
    }
    painter_free(p);
    return all;
}

static void batches_change_no_bit(void **state)
{
    (void)state;
    static const int batches[] = {2, 3, 5};
    static const char *const methods[] = {"euler", "dpmpp_2m", "pndm", "euler_ancestral"};    /* remember; draw noise */
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        float *one = paint(1, 7.5, methods[m]);
        for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
            float *many = paint(batches[i], 7.5, methods[m]);
            assert_memory_equal(one, many, IMAGES * floats * sizeof *one);
            free(many);
        }
        free(one);
    }
}

/* The U-Net's answer for one latent and one text. */
static void answer(const float *sample, float t, const float *tokens, float *out)
{
    text_graph g;
    assert_int_equal(text_graph_build(&g, &model.config, model.params, 1, SIDE, SIDE, TOKENS, 0, NULL), 0);
    exec *x = exec_new(g.g, be, &g.prediction, 1, NULL);
    assert_int_equal(exec_write(x, g.sample, sample, NULL), 0);
    assert_int_equal(exec_write(x, g.timestep, &t, NULL), 0);
    assert_int_equal(exec_write(x, g.tokens, tokens, NULL), 0);
    assert_int_equal(exec_run(x, NULL), 0);
    exec_read(x, g.prediction, out);
    exec_free(x);
    text_graph_free(&g);
}

/* Step by step as diffusers' pipeline does: scale, predict twice, guide, rescale, step. */
static void loop(painter_options o, double guidance, const char *name, float *trajectory)
{
    sampler *s = sampler_new(name, &plan, STEPS, (int64_t)floats, NULL);
    float *z = malloc(3 * floats * sizeof *z), *none = z + floats, *full = none + floats;
    for (size_t i = 0; i < floats; i++) z[i] = noise[i] * sampler_init_sigma(s);
    memcpy(trajectory, z, floats * sizeof *z);
    for (int k = 0; k < STEPS; k++) {
        float *scaled = malloc(floats * sizeof *scaled);
        memcpy(scaled, z, floats * sizeof *z);
        sampler_scale_input(s, k, scaled, (int64_t)floats);
        answer(scaled, sampler_timestep(s, k), negative, none);
        answer(scaled, sampler_timestep(s, k), text, full);
        if (guidance != 1 && guide_applies(&o.interval, (double)sampler_timestep(s, k))) {
            guide_two(none, none, full, guidance, (int64_t)floats);
            guide_rescale(none, full, o.rescale, (int64_t)floats);
            memcpy(full, none, floats * sizeof *full);
        }
        sampler_step(s, k, full, z, (int64_t)floats);
        memcpy(trajectory + (size_t)(k + 1) * floats, z, floats * sizeof *z);
        free(scaled);
    }
    free(z);
    sampler_free(s);
}

static void each_step_is_that_of_the_plain_loop(void **state)
{
    (void)state;
    static const struct {
        double guidance;
        const char *sampler;
        painter_options o;
    } cases[] = {{7.5, "euler", {0}},
                 {7.5, "ddim", {.rescale = 0.7}},
                 {1, "euler", {0}},
                 {0, "dpmpp_2m", {0}},
                 {7.5, "ddim", {.interval = {true, 100, 600}, .rescale = 0.3}},
                 {7.5, "euler", {.interval = {true, 5, 5}}}};
    float *want = malloc((STEPS + 1) * floats * sizeof *want), *got = malloc((STEPS + 1) * floats * sizeof *got);
    float *latent = malloc(floats * sizeof *latent);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        painter *p = open_painter_with(cases[i].o, 1, cases[i].guidance, cases[i].sampler);
        loop(cases[i].o, cases[i].guidance, cases[i].sampler, want);
        assert_int_equal(painter_make(p, text, negative, noise, 1, latent, got, NULL, NULL, NULL), 0);
        assert_memory_equal(want, got, (STEPS + 1) * floats * sizeof *want);
        assert_memory_equal(latent, got + STEPS * floats, floats * sizeof *latent);
        painter_free(p);
    }
    free(want);
    free(got);
    free(latent);
}

/* What comes before the first text is computed once; keys and values of texts are not part of a step. */
static void branches_begin_in_common(void **state)
{
    (void)state;
    painter *guided = open_painter(1, 7.5, "ddim"), *plain = open_painter(1, 1, "ddim");
    text_graph g;
    assert_int_equal(text_graph_build(&g, &model.config, model.params, 1, SIDE, SIDE, TOKENS, 0, NULL), 0);
    double conv_in = 0;
    for (int i = 0; i < graph_size(g.g) && conv_in == 0; i++)
        if (graph_node(g.g, i)->op == OP_conv2d) conv_in = STEPS * node_flops(graph_node(g.g, i));
    assert_true(painter_flops(plain) < STEPS * graph_flops(g.g));
    assert_true(painter_flops(guided) < 2 * painter_flops(plain) - conv_in);
    text_graph_free(&g);
    painter_free(guided);
    painter_free(plain);
}

static int stop_at_two(void *user, int step, int steps)
{
    assert_int_equal(steps, STEPS);
    assert_int_equal(step, ++*(int *)user);
    return step == 2;
}

static void a_step_can_cancel(void **state)
{
    (void)state;
    int seen = 0;
    m2m_error err = {0};
    painter *p = open_painter(2, 7.5, "euler");
    float *latent = malloc(floats * sizeof *latent);
    assert_int_equal(painter_make(p, text, negative, noise, 1, latent, NULL, stop_at_two, &seen, &err), M2M_ECANCELLED);
    assert_int_equal(seen, 2);
    free(latent);
    painter_free(p);
}

static void what_is_not_finite_is_refused(void **state)
{
    (void)state;
    m2m_error err = {0};
    painter *p = open_painter(1, 7.5, "euler");
    float *latent = malloc(floats * sizeof *latent), before = text[5];
    text[5] = NAN;
    assert_int_equal(painter_make(p, text, negative, noise, 1, latent, NULL, NULL, NULL, &err), M2M_EFORMAT);
    assert_non_null(strstr(err.msg, "step 1 of 3"));
    text[5] = before;
    free(latent);
    painter_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_change_no_bit),
        cmocka_unit_test(each_step_is_that_of_the_plain_loop),
        cmocka_unit_test(branches_begin_in_common),
        cmocka_unit_test(a_step_can_cancel),
        cmocka_unit_test(what_is_not_finite_is_refused),
    };
    return cmocka_run_group_tests(tests, prepare, finish);
}
