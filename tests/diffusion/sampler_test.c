/* Every sampler replays diffusers' trajectories (golden/sampler: a synthetic model's recorded
 * answers) and walks its timesteps and sigmas (golden/schedule). */
#include "diffusion/golden.h"
#include "diffusion/sampler.h"

#include "base/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N = 12 };

static sampler *make(const char *name, const schedule *s, int steps, int64_t n)
{
    m2m_error err = {0};
    sampler *p = sampler_new(name, s, steps, n, &err);
    if (!p) fail_msg("%s, %d steps: %s", name, steps, err.msg);
    assert_int_equal(sampler_steps(p), steps + (steps > 1 && !strcmp(name, "pndm")));
    return p;
}

static void near(
    const char *name, int step, const float *got, const float *wanted, int n, double tolerance)
{
    double largest = 1;
    for (int i = 0; i < n; i++) largest = fmax(largest, fabs(wanted[i]));
    for (int i = 0; i < n; i++)
        if (!(fabs((double)got[i] - wanted[i]) <= tolerance * largest))
            fail_msg("%s, step %d, element %d: %.9g, not %.9g", name, step, i, got[i], wanted[i]);
}

/* Fed with the recorded answers, a sampler must show and make what diffusers showed and made. */
static void replay(const char *name, sampler *p, double tolerance)
{
    char file[128];
    snprintf(file, sizeof file, "sampler/%s.safetensors", name);
    safetensors *f = golden_open(file);
    int steps = sampler_steps(p);
    const float *timesteps = golden_floats(f, "timesteps", steps),
                *samples = golden_floats(f, "samples", (steps + 1) * N);
    const float *inputs = golden_floats(f, "inputs", steps * N),
                *outputs = golden_floats(f, "outputs", steps * N);
    const float *noise = safetensors_find(f, "noise") ? golden_floats(f, "noise", steps * N) : NULL;
    float sample[N], input[N];
    for (int repeat = 0; repeat < 2; repeat++) { /* the second sample must not remember the first */
        sampler_reset(p);
        memcpy(sample, samples, sizeof sample);
        for (int k = 0; k < steps; k++) {
            if (sampler_timestep(p, k) != timesteps[k])
                fail_msg("%s: timestep %d is %g, not %g", name, k, (double)sampler_timestep(p, k),
                    (double)timesteps[k]);
            memcpy(input, sample, sizeof input);
            sampler_scale_input(p, k, input, N);
            near(name, k, input, inputs + k * N, N, tolerance);
            if (sampler_wants_noise(p, k)) sampler_give_noise(p, noise + k * N);
            sampler_step(p, k, outputs + k * N, sample, N);
            near(name, k, sample, samples + (k + 1) * N, N, tolerance);
        }
    }
    safetensors_close(&f);
}

static void trajectories_are_diffusers(void **state)
{
    (void)state;
    cJSON *cases = golden_json("sampler/cases.json");
    int replayed = 0;
    const cJSON *c;
    cJSON_ArrayForEach(c, json_member(cases, "cases"))
    {
        const char *name = NULL, *kind = NULL, *config = NULL;
        int64_t steps = 0;
        assert_int_equal(json_text(c, "name", &name, NULL), 0);
        assert_int_equal(json_text(c, "scheduler", &kind, NULL), 0);
        assert_int_equal(json_text(c, "config", &config, NULL), 0);
        assert_int_equal(json_int(c, "steps", 1, 1000, &steps, NULL), 0);
        schedule s = golden_schedule(cases, config);
        sampler *p = make(kind, &s, (int)steps, N);
        /* Measured 5.6e-7 (samples), 1.7e-5 of values up to 60 (inputs). Exception: Euler and PNDM on
         * the cosine schedule start at sigma 2e4, where diffusers' own float32 loses four digits;
         * measured 1.4e-4. */
        replay(name, p, (strstr(name, "euler") || strstr(name, "pndm_cosine")) && strstr(name, "cosine") ? 5e-4 : 3e-6);
        sampler_free(p);
        schedule_free(&s);
        replayed++;
    }
    assert_int_equal(replayed, 30);
    cJSON_Delete(cases);
}

/* Timesteps, and the sigma behind each step's input scale, for many numbers of steps. */
static void check_table(
    const safetensors *f, const char *table, const char *kind, const schedule *s, int steps)
{
    char name[64];
    sampler *p = make(kind, s, steps, 1);
    snprintf(name, sizeof name, "%s.%d.timesteps", table, steps);
    const float *t = NULL, *sigmas = NULL;
    const int64_t *whole = NULL;
    if (!strcmp(kind, "ddim")) {
        whole = golden_ints(f, name, steps);
    } else {
        t = golden_floats(f, name, steps);
        snprintf(name, sizeof name, "%s.%d.sigmas", table, steps);
        sigmas = golden_floats(f, name, steps + 1);
    }
    for (int k = 0; k < steps; k++) {
        float scale = 1;
        sampler_scale_input(p, k, &scale, 1);
        assert_true(sampler_timestep(p, k) == (t ? t[k] : (float)whole[k]));
        double sigma = sigmas ? sigmas[k] : 0;
        assert_true(fabs(scale - 1 / sqrt(sigma * sigma + 1)) < 3e-7); /* measured 1.0e-7 */
    }
    sampler_free(p);
}

static void timesteps_and_sigmas_are_diffusers(void **state)
{
    (void)state;
    static const int steps[] = {1, 3, 4, 7, 10, 20, 25, 30, 50, 100, 999, 1000};
    cJSON *cases = golden_json("sampler/cases.json"), *about = golden_json("schedule/case.json");
    safetensors *f = golden_open("schedule/tables.safetensors");
    schedule leading = golden_schedule(cases, "sd"), unsaid = golden_schedule(cases, "pndm");
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (steps[i] < 1000) check_table(f, "ddim", "ddim", &leading, steps[i]);
        check_table(f, "euler", "euler", &leading, steps[i]);
        check_table(f, "euler_linspace", "euler", &unsaid, steps[i]);
        char key[16];
        snprintf(key, sizeof key, "%d", steps[i]);
        const cJSON *row = json_member(json_member(about, "steps"), key);
        double sigma = 0;
        sampler *p = make("euler", &leading, steps[i], 1);
        assert_int_equal(json_real(row, "euler_init_noise_sigma", 0, 100, &sigma, NULL), 0);
        assert_true(fabs(sampler_init_sigma(p) / sigma - 1) < 3e-7);
        sampler_free(p);
        p = make("euler", &unsaid, steps[i], 1);
        assert_int_equal(
            json_real(row, "euler_linspace_init_noise_sigma", 0, 100, &sigma, NULL), 0);
        assert_true(fabs(sampler_init_sigma(p) / sigma - 1) < 3e-7);
        sampler_free(p);
    }
    schedule_free(&leading);
    schedule_free(&unsaid);
    safetensors_close(&f);
    cJSON_Delete(cases);
    cJSON_Delete(about);
}

/* A model that knows the noise: one clean image, whatever the sampler, the steps and the spacing. */
static void a_perfect_model_gives_the_image_back(void **state)
{
    (void)state;
    static const spacing spacings[] = {SPACING_LEADING, SPACING_TRAILING, SPACING_LINSPACE};
    static const prediction predictions[] = {PREDICT_EPSILON, PREDICT_SAMPLE, PREDICT_V};
    cJSON *cases = golden_json("sampler/cases.json");
    schedule s = golden_schedule(cases, "sd");
    s.set_alpha_to_one = true;
    for (int i = 0; sampler_kinds[i]; i++) {
        for (int way = 0; way < 9; way++) {
            s.spacing = spacings[way / 3];
            s.prediction = predictions[way % 3];
            /* PNDM mixes answers of several timesteps: they agree for epsilon, where its steps meet its timesteps. */
            if (sampler_kinds[i]->mixes && way > 0) continue;
            sampler *p = make(sampler_kinds[i]->name, &s, 12, 1);
            const double clean = 0.8;
            float x = (float)(1.3 * sampler_init_sigma(p));
            for (int k = 0; k < sampler_steps(p); k++) {
                /* In the model's view the sample is signal z0 + level eps, signal^2 + level^2 = 1. */
                float seen = x;
                sampler_scale_input(p, k, &seen, 1);
                double t = sampler_timestep(p, k), signal = schedule_signal(&s, (int)t);
                if (t !=
                    floor(
                        t)) { /* Euler, linspace: the level between two timesteps, from the scale itself */
                    float one = 1;
                    sampler_scale_input(p, k, &one, 1);
                    signal = one;
                }
                double level = sqrt(1 - signal * signal), eps = (seen - signal * clean) / level;
                float answer = (float)eps;
                if (s.prediction == PREDICT_SAMPLE) answer = (float)clean;
                if (s.prediction == PREDICT_V) answer = (float)(signal * eps - level * clean);
                sampler_give_noise(p, &(float){0.7f});
                sampler_step(p, k, &answer, &x, 1);
            }
            if (!(fabs(x - clean) < 2e-4))
                fail_msg("%s, way %d: %g, not %g", sampler_kinds[i]->name, way, (double)x, clean);
            sampler_free(p);
        }
    }
    schedule_free(&s);
    cJSON_Delete(cases);
}

/* What a sampler remembers of a sample that overflowed must not reach the next one. */
static void a_ruined_sample_leaves_no_trace(void **state)
{
    (void)state;
    cJSON *cases = golden_json("sampler/cases.json");
    schedule s = golden_schedule(cases, "sd");
    for (int i = 0; sampler_kinds[i]; i++) {
        sampler *p = make(sampler_kinds[i]->name, &s, 5, 1);
        float x = INFINITY, output = 0.1f;
        for (int k = 0; k < sampler_steps(p); k++) {
            sampler_give_noise(p, &output);
            sampler_step(p, k, &output, &x, 1);
        }
        sampler_reset(p);
        x = 1;
        for (int k = 0; k < sampler_steps(p); k++) {
            sampler_give_noise(p, &output);
            sampler_step(p, k, &output, &x, 1);
        }
        assert_true(isfinite(x));
        sampler_free(p);
    }
    schedule_free(&s);
    cJSON_Delete(cases);
}

static void what_cannot_be_walked_is_refused(void **state)
{
    (void)state;
    cJSON *cases = golden_json("sampler/cases.json");
    schedule s = golden_schedule(cases, "sd");
    m2m_error err = {0};
    assert_null(sampler_new("heun", &s, 10, 1, &err));
    assert_int_equal(err.code, M2M_EINVAL);
    assert_non_null(strstr(err.msg, "ddim, euler, euler_ancestral, dpmpp_2m, pndm"));
    assert_null(sampler_new("ddim", &s, 0, 1, &err));
    assert_null(sampler_new("euler", &s, 1001, 1, &err));
    assert_non_null(strstr(err.msg, "1001"));
    assert_null(sampler_new(
        "ddim", &s, 1000, 1, &err)); /* offset 1: diffusers would read beyond its table */
    assert_non_null(strstr(err.msg, "at most 999"));
    assert_null(sampler_new("dpmpp_2m", &s, 1000, 1, &err));
    assert_int_equal(err.code, M2M_EINVAL);
    schedule_free(&s);
    cJSON_Delete(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trajectories_are_diffusers),
        cmocka_unit_test(timesteps_and_sigmas_are_diffusers),
        cmocka_unit_test(a_perfect_model_gives_the_image_back),
        cmocka_unit_test(a_ruined_sample_leaves_no_trace),
        cmocka_unit_test(what_cannot_be_walked_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
