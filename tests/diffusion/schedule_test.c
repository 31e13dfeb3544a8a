/* The noise schedule against diffusers' numbers (golden/schedule, golden/sampler), and what it refuses. */
#include "diffusion/golden.h"

#include "base/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void abar_is_diffusers_to_the_bit(void **state)
{
    (void)state;
    static const char *const configs[] = {"sd", "pndm", "cosine_v", "linear_sample"};
    cJSON *cases = golden_json("sampler/cases.json");
    safetensors *f = golden_open("sampler/abar.safetensors");
    for (int c = 0; c < 4; c++) {
        schedule s = golden_schedule(cases, configs[c]);
        const float *abar = golden_floats(f, configs[c], s.train_steps);
        /* Not a tolerance: every sigma and every noise level of a replay depends on these. */
        for (int t = 0; t < s.train_steps; t++)
            if (s.abar[t] != abar[t])
                fail_msg("%s: abar[%d] is %.9g, not %.9g", configs[c], t, s.abar[t], abar[t]);
        schedule_free(&s);
    }
    safetensors_close(&f);
    cJSON_Delete(cases);
}

static void configs_say_what_they_mean(void **state)
{
    (void)state;
    cJSON *cases = golden_json("sampler/cases.json");
    schedule sd = golden_schedule(cases, "sd"), pndm = golden_schedule(cases, "pndm");
    schedule cosine = golden_schedule(cases, "cosine_v"),
             linear = golden_schedule(cases, "linear_sample");
    assert_int_equal(sd.train_steps, 1000);
    assert_int_equal(sd.steps_offset, 1);
    assert_int_equal(sd.prediction, PREDICT_EPSILON);
    assert_int_equal(sd.spacing, SPACING_LEADING);
    assert_false(sd.set_alpha_to_one);
    assert_int_equal(pndm.spacing, SPACING_DEFAULT);
    assert_int_equal(cosine.train_steps, 400);
    assert_int_equal(cosine.prediction, PREDICT_V);
    assert_int_equal(cosine.spacing, SPACING_TRAILING);
    assert_true(cosine.set_alpha_to_one);
    assert_int_equal(linear.prediction, PREDICT_SAMPLE);
    assert_int_equal(linear.spacing, SPACING_LINSPACE);
    assert_int_equal(linear.steps_offset, 0);
    schedule_free(&sd);
    schedule_free(&pndm);
    schedule_free(&cosine);
    schedule_free(&linear);
    cJSON_Delete(cases);
}

static void noise_is_added_as_diffusers_does(void **state)
{
    (void)state;
    schedule s;
    m2m_error err = {0};
    if (schedule_load(&s, TEST_DIR "/golden/models/m2m_self/scheduler/scheduler_config.json", &err))
        fail_msg("%s", err.msg);
    safetensors *f = golden_open("schedule/tables.safetensors");
    const int64_t *t = golden_ints(f, "add_noise.timesteps", 5);
    const float *clean = golden_floats(f, "add_noise.clean", 30),
                *noise = golden_floats(f, "add_noise.noise", 30);
    const float *wanted = golden_floats(f, "add_noise.noisy", 30);
    for (int i = 0; i < 5; i++) {
        float noisy[6];
        memcpy(noisy, noise + 6 * i, sizeof noisy);
        schedule_add_noise(&s, (int)t[i], clean + 6 * i, noisy, noisy, 6); /* in place */
        /* Ours is rounded once, PyTorch's four times; measured 2.4e-7. */
        for (int k = 0; k < 6; k++) assert_true(fabsf(noisy[k] - wanted[6 * i + k]) < 1e-6f);
    }
    safetensors_close(&f);
    schedule_free(&s);
}

static void targets_invert_the_noise(void **state)
{
    (void)state;
    cJSON *cases = golden_json("sampler/cases.json");
    schedule s = golden_schedule(cases, "sd");
    const float clean[2] = {0.7f, -1.2f}, noise[2] = {-0.4f, 2.0f};
    float target[2], zt[2];
    int t = 321;
    double signal = schedule_signal(&s, t), level = schedule_noise(&s, t);
    assert_true(fabs(signal * signal + level * level - 1) < 1e-12);
    schedule_target(&s, t, clean, noise, target, 2);
    assert_memory_equal(target, noise, sizeof noise);
    s.prediction = PREDICT_SAMPLE;
    schedule_target(&s, t, clean, noise, target, 2);
    assert_memory_equal(target, clean, sizeof clean);
    s.prediction = PREDICT_V;
    schedule_target(&s, t, clean, noise, target, 2);
    schedule_add_noise(&s, t, clean, noise, zt, 2);
    for (int i = 0; i < 2; i++) { /* z0 = signal zt - level v */
        assert_true(fabs(signal * zt[i] - level * target[i] - clean[i]) < 1e-6);
        assert_true(fabs(level * zt[i] + signal * target[i] - noise[i]) < 1e-6);
    }
    schedule_free(&s);
    cJSON_Delete(cases);
}

static void what_would_be_ignored_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
        const char *said;
    } bad[] = {
        {"[]", M2M_EFORMAT, "not a JSON object"},
        {"{\"clip_sample\": true}", M2M_EUNSUPPORTED, "clip_sample is true"},
        {"{\"thresholding\": true}", M2M_EUNSUPPORTED, "thresholding"},
        {"{\"rescale_betas_zero_snr\": true}", M2M_EUNSUPPORTED, "rescale_betas_zero_snr"},
        {"{\"use_karras_sigmas\": true}", M2M_EUNSUPPORTED, "use_karras_sigmas"},
        {"{\"interpolation_type\": \"log_linear\"}", M2M_EUNSUPPORTED, "wanted one of linear"},
        {"{\"final_sigmas_type\": \"sigma_min\"}", M2M_EUNSUPPORTED, "wanted one of zero"},
        {"{\"trained_betas\": [0.1, 0.2]}", M2M_EUNSUPPORTED, "trained_betas"},
        {"{\"beta_schedule\": \"sigmoid\"}", M2M_EUNSUPPORTED, "sigmoid"},
        {"{\"prediction_type\": \"flow\"}", M2M_EUNSUPPORTED, "epsilon, sample, v_prediction"},
        {"{\"timestep_spacing\": \"default\"}", M2M_EUNSUPPORTED, "leading, trailing, linspace"},
        {"{\"prediction_type\": 3}", M2M_EFORMAT, "prediction_type"},
        {"{\"num_train_timesteps\": 0}", M2M_EFORMAT, "num_train_timesteps"},
        {"{\"num_train_timesteps\": 10.5}", M2M_EFORMAT, "num_train_timesteps"},
        {"{\"num_train_timesteps\": 1e9}", M2M_EFORMAT, "num_train_timesteps"},
        {"{\"steps_offset\": -1}", M2M_EFORMAT, "steps_offset"},
        {"{\"beta_end\": 2}", M2M_EFORMAT, "beta_end"},
        {"{\"beta_start\": \"small\"}", M2M_EFORMAT, "beta_start"},
        {"{\"set_alpha_to_one\": 1}", M2M_EFORMAT, "set_alpha_to_one"},
        {"{\"beta_end\": 1, \"beta_start\": 1}", M2M_EFORMAT, "nothing is left"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cJSON *config = cJSON_Parse(bad[i].text);
        schedule s;
        m2m_error err = {0};
        int code = schedule_from_json(&s, config, &err);
        if (code != bad[i].code || !strstr(err.msg, bad[i].said))
            fail_msg("%s: %d \"%s\"", bad[i].text, code, err.msg);
        assert_null(s.abar);
        cJSON_Delete(config);
    }
    schedule s;
    m2m_error err = {0};
    assert_int_equal(schedule_load(&s, "/nowhere/scheduler_config.json", &err), M2M_EIO);
    assert_non_null(strstr(err.msg, "/nowhere"));
    schedule_free(&s);
}

static void one_timestep_is_a_schedule(void **state)
{
    (void)state;
    cJSON *config =
        cJSON_Parse("{\"num_train_timesteps\": 1, \"unknown_key\": {}, \"trained_betas\": null}");
    schedule s;
    assert_int_equal(schedule_from_json(&s, config, NULL), 0);
    assert_true(s.abar[0] == 1.0f - 0.0001f);
    schedule_free(&s);
    cJSON_Delete(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(abar_is_diffusers_to_the_bit),
        cmocka_unit_test(configs_say_what_they_mean),
        cmocka_unit_test(noise_is_added_as_diffusers_does),
        cmocka_unit_test(targets_invert_the_noise),
        cmocka_unit_test(what_would_be_ignored_is_refused),
        cmocka_unit_test(one_timestep_is_a_schedule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
