#include "diffusion/schedule.h"

#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STEPS = 1000000 };

/* *x = index of the value in names[] (NULL-terminated); unchanged if the key is absent. */
static int get_choice(
    const cJSON *config, const char *key, const char *const *names, int *x, m2m_error *err)
{
    const char *value = NULL;
    int code = json_or_text(config, key, &value, err);
    if (code || !value) return code;
    char all[128] = "";
    for (int i = 0; names[i]; i++) {
        if (!strcmp(names[i], value)) {
            *x = i;
            return 0;
        }
        if (*all) strcat(all, ", ");
        strcat(all, names[i]);
    }
    return fail(err, M2M_EUNSUPPORTED, "%s is \"%.40s\", wanted one of %s", key, value, all);
}

/* Refuses what diffusers' schedulers could do and ours would silently leave out. */
static int refuse_unbuilt(const cJSON *config, m2m_error *err)
{
    static const char *const flags[] = {"clip_sample", "thresholding", "rescale_betas_zero_snr",
        "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_flow_sigmas",
        "use_lu_lambdas", NULL};
    static const struct {
        const char *key, *only[2];
    } texts[] = {{"interpolation_type", {"linear"}}, {"timestep_type", {"discrete"}},
        {"final_sigmas_type", {"zero"}}};
    int code, ignored = 0;
    for (int i = 0; flags[i]; i++) {
        bool on = false;
        if ((code = json_or_bool(config, flags[i], &on, err))) return code;
        if (on) return fail(err, M2M_EUNSUPPORTED, "%s is true, wanted false", flags[i]);
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if ((code = get_choice(config, texts[i].key, texts[i].only, &ignored, err))) return code;
    if (json_member(config, "trained_betas"))
        return fail(
            err, M2M_EUNSUPPORTED, "trained_betas is given, wanted null and a beta_schedule");
    return 0;
}

/* torch.linspace in float32, to the bit: from both ends to the middle, rounded once. */
static float linspace(float first, float last, int n, int i)
{
    float step = n > 1 ? (last - first) / (float)(n - 1) : 0;
    return i < n / 2 || n == 1 ? fmaf(step, (float)i, first)
                               : fmaf(-step, (float)(n - 1 - i), last);
}

/* arXiv 2102.09672, eq. 17: abar as a squared cosine of u = t/T. */
static double cosine_abar(double u)
{
    double c = cos((u + 0.008) / 1.008 * M_PI / 2);
    return c * c;
}

enum { LINEAR, SCALED_LINEAR, SQUAREDCOS };

static float beta(int kind, double start, double end, int n, int i)
{
    if (kind == LINEAR) return linspace((float)start, (float)end, n, i);
    if (kind == SCALED_LINEAR) {
        float root = linspace((float)sqrt(start), (float)sqrt(end), n, i);
        return root * root;
    }
    double b = 1 - cosine_abar((i + 1.0) / n) / cosine_abar((double)i / n);
    return (float)fmin(b, 0.999);
}

static int make_abar(schedule *s, int kind, double start, double end, m2m_error *err)
{
    s->abar = malloc((size_t)s->train_steps * sizeof *s->abar);
    if (!s->abar) return fail(err, M2M_ENOMEM, "no memory for %d timesteps", s->train_steps);
    double product = 1;
    for (int i = 0; i < s->train_steps; i++) {
        product *= 1.0f - beta(kind, start, end, s->train_steps, i);
        s->abar[i] = (float)product;
        if (!(s->abar[i] > 0))
            return fail(err, M2M_EFORMAT,
                "nothing is left of the image at timestep %d of %d; wanted smaller betas", i,
                s->train_steps);
    }
    return 0;
}

const char *const prediction_types[] = {"epsilon", "sample", "v_prediction", NULL};

int schedule_from_json(schedule *s, const cJSON *config, m2m_error *err)
{
    static const char *const kinds[] = {"linear", "scaled_linear", "squaredcos_cap_v2", NULL};
    static const char *const spacings[] = {"leading", "trailing", "linspace", NULL};
    double start = 0.0001, end = 0.02;
    int64_t steps = 1000, offset = 0;
    int kind = LINEAR, predict = PREDICT_EPSILON, space = -1, code;

    memset(s, 0, sizeof *s);
    s->set_alpha_to_one = true;
    if (!cJSON_IsObject(config)) return fail(err, M2M_EFORMAT, "not a JSON object");
    if ((code = json_or_int(config, "num_train_timesteps", 1, MAX_STEPS, &steps, err)) ||
        (code = json_or_int(config, "steps_offset", 0, MAX_STEPS, &offset, err)) ||
        (code = json_or_real(config, "beta_start", 0, 1, &start, err)) ||
        (code = json_or_real(config, "beta_end", 0, 1, &end, err)) ||
        (code = get_choice(config, "beta_schedule", kinds, &kind, err)) ||
        (code = get_choice(config, "prediction_type", prediction_types, &predict, err)) ||
        (code = get_choice(config, "timestep_spacing", spacings, &space, err)) ||
        (code = json_or_bool(config, "set_alpha_to_one", &s->set_alpha_to_one, err)) ||
        (code = refuse_unbuilt(config, err)))
        return code;
    s->train_steps = (int)steps;
    s->steps_offset = (int)offset;
    s->prediction = (prediction)predict;
    s->spacing = (spacing)(SPACING_LEADING + space); /* absent: SPACING_DEFAULT */
    if ((code = make_abar(s, kind, start, end, err))) schedule_free(s);
    return code;
}

int schedule_load(schedule *s, const char *path, m2m_error *err)
{
    memset(s, 0, sizeof *s);
    cJSON *config = NULL;
    int code = json_load(&config, path, err);
    if (code) return code;
    code = schedule_from_json(s, config, err);
    if (code) code = fail_prefix(err, code, "%s", path);
    cJSON_Delete(config);
    return code;
}

void schedule_free(schedule *s)
{
    free(s->abar);
    memset(s, 0, sizeof *s);
}

static float abar_at(const schedule *s, int t)
{
    check(t >= 0 && t < s->train_steps, "timestep %d of %d", t, s->train_steps);
    return s->abar[t];
}

double schedule_signal(const schedule *s, int t)
{
    return sqrt(abar_at(s, t));
}

double schedule_noise(const schedule *s, int t)
{
    return sqrt(1.0 - abar_at(s, t));
}

void schedule_add_noise(
    const schedule *s, int t, const float *clean, const float *noise, float *noisy, int64_t n)
{
    double signal = schedule_signal(s, t), level = schedule_noise(s, t);
    for (int64_t i = 0; i < n; i++) noisy[i] = (float)(signal * clean[i] + level * noise[i]);
}

void schedule_target(
    const schedule *s, int t, const float *clean, const float *noise, float *target, int64_t n)
{
    double of_noise = 1, of_clean = 0;
    if (s->prediction == PREDICT_SAMPLE) of_noise = 0, of_clean = 1;
    if (s->prediction == PREDICT_V)
        of_noise = schedule_signal(s, t), of_clean = -schedule_noise(s, t);
    for (int64_t i = 0; i < n; i++) target[i] = (float)(of_noise * noise[i] + of_clean * clean[i]);
}
