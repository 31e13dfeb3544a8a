/* The program against PyTorch and diffusers: every folder of tests/golden with a case.json is one test of that name.
 * Tolerances stand in case.json (issue 3); the error found is printed beside them. */
#include "program.h"

#include "tensor/safetensors.h"

#include <dirent.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CASES = 200 };

typedef struct rule {
    const char *pattern;         /* of tensor names; NULL: all */
    const char *kind;
    double value, floor;
} rule;

/* |mine - reference|, |reference| (L2) and the largest values of one tensor. */
typedef struct distance {
    double apart, norm, most_apart, largest;
    bool finite;
} distance;

static cJSON *case_load(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "golden/%s/case.json", name);
    size_t size;
    char *text = read_file(in_tests(path), &size);
    cJSON *info = cJSON_ParseWithLength(text, size);
    free(text);
    if (!info) fail_msg("%s is no JSON", path);
    return info;
}

static const char *text_of(const cJSON *o, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
    if (!text) fail_msg("case.json: %s: wanted a text", key);
    return text;
}

static rule rule_read(const cJSON *o, const char *pattern)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(o, "value");
    const cJSON *floor_ = cJSON_GetObjectItemCaseSensitive(o, "floor");
    rule r = {.pattern = pattern, .kind = text_of(o, "kind"), .value = cJSON_GetNumberValue(value)};
    if (floor_) r.floor = cJSON_GetNumberValue(floor_);
    assert_true(r.value > 0 && r.floor >= 0 && r.floor < .001);
    assert_true(r.value < (!strcmp(r.kind, "max_abs") ? .02 : .01));
    return r;
}

/* The first rule whose pattern fits, as tools/golden/compare.py takes it. */
static rule rule_of(const cJSON *info, const char *name)
{
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(info, "tolerance");
    if (cJSON_GetObjectItemCaseSensitive(all, "kind")) return rule_read(all, NULL);
    for (const cJSON *o = all ? all->child : NULL; o; o = o->next) {
        if (!fnmatch(o->string, name, 0)) return rule_read(o, o->string);
    }
    return (rule){.pattern = name, .kind = "relative", .value = 1e-4}; // parts of a loss: as the loss
}

static double *doubles(const tensor *t)
{
    int64_t n = shape_count(t->shape);
    double *x = malloc((size_t)(n + 1) * sizeof *x);
    float *f = malloc((size_t)(n + 1) * sizeof *f);
    assert_true(x && f && dtype_is_float(t->type));
    to_f32(f, t->data, t->type, n);
    for (int64_t i = 0; i < n; i++) x[i] = t->type == DT_F64 ? ((const double *)t->data)[i] : (double)f[i];
    free(f);
    return x;
}

static distance measure(const tensor *mine, const tensor *reference)
{
    distance d = {.finite = true};
    double *x = doubles(mine), *r = doubles(reference);
    for (int64_t i = 0; i < shape_count(reference->shape); i++) {
        double apart = fabs(x[i] - r[i]);
        if (!isfinite(x[i])) d.finite = false;
        d.apart += apart * apart;
        d.norm += r[i] * r[i];
        if (apart > d.most_apart) d.most_apart = apart;
        if (fabs(r[i]) > d.largest) d.largest = fabs(r[i]);
    }
    d.apart = sqrt(d.apart);
    d.norm = sqrt(d.norm);
    free(x);
    free(r);
    return d;
}

/* L2 norm of all reference tensors that share a pattern: what a floor is relative to. */
static double group_norm(const safetensors *reference, const char *pattern)
{
    double sum = 0;
    for (int i = 0; i < safetensors_count(reference); i++) {
        if (pattern && fnmatch(pattern, safetensors_name(reference, i), 0)) continue;
        distance d = measure(safetensors_at(reference, i), safetensors_at(reference, i));
        sum += d.norm * d.norm;
    }
    return sqrt(sum);
}

/* How much of the tolerance one tensor uses: above 1 it fails. */
static double used(const rule *r, const distance *d, double group)
{
    if (!d->finite) return INFINITY;
    if (!strcmp(r->kind, "max_abs")) return d->most_apart / (r->value * fmax(1, d->largest));
    if (strcmp(r->kind, "relative_l2") && strcmp(r->kind, "relative")) fail_msg("unknown tolerance \"%s\"", r->kind);
    return d->apart / (r->value * d->norm + r->floor * group + 1e-300);
}

static void compare(const cJSON *info, const safetensors *mine, const safetensors *reference)
{
    int bad = 0;
    double worst = 0, group = 0;
    char worst_name[256] = "", group_of[64] = "?";
    for (int i = 0; i < safetensors_count(reference); i++) {
        const char *name = safetensors_name(reference, i);
        const tensor *r = safetensors_at(reference, i), *m = safetensors_find(mine, name);
        if (!m || !shape_equal(m->shape, r->shape)) {
            char found[128] = "nothing", wanted[128];
            if (m) shape_text(m->shape, found, sizeof found);
            print_error("%s: found %s, wanted %s\n", name, found, shape_text(r->shape, wanted, sizeof wanted));
            bad++;
            continue;
        }
        rule allowed = rule_of(info, name);
        if (allowed.floor > 0 && strcmp(group_of, allowed.pattern ? allowed.pattern : "")) {
            group = group_norm(reference, allowed.pattern);
            snprintf(group_of, sizeof group_of, "%s", allowed.pattern ? allowed.pattern : "");
        }
        distance d = measure(m, r);
        double share = used(&allowed, &d, group);
        if (!(share <= 1)) {
            bad++;
            print_error("%s: largest difference %g, relative L2 %g: %g times the tolerance\n", name, d.most_apart,
                        d.apart / d.norm, share);
        }
        if (!(share <= worst)) {
            worst = share;
            snprintf(worst_name, sizeof worst_name, "%s", name);
        }
    }
    for (int i = 0; i < safetensors_count(mine); i++) {
        if (safetensors_find(reference, safetensors_name(mine, i))) continue;
        print_error("%s: is in the output, not in the reference\n", safetensors_name(mine, i));
        bad++;
    }
    print_message("             %d tensors; worst %s: %.3f of its tolerance\n", safetensors_count(reference),
                  worst_name, worst);
    if (bad) fail_msg("%d of %d tensors", bad, safetensors_count(reference));
}

static const char *in_case(const char *name, const char *file)
{
    char path[512];
    snprintf(path, sizeof path, "golden/%s/%s", name, file);
    return in_tests(path);
}

static bool ends_in(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a >= b && !strcmp(text + a - b, end);
}

/* The command line that a case asks for (tools/golden/run_cases.py is the same for people). */
static void case_run(outcome *o, const char *name, const cJSON *info, const char *out)
{
    const char *args[48] = {0}, *command = text_of(info, "command");
    int n = 0;
    char dir[512];
    snprintf(dir, sizeof dir, "golden/%s", text_of(info, "dir"));
    args[n++] = command;
    args[n++] = in_tests(dir);
    if (!strcmp(command, "generate")) {
        args[n++] = "-o";
        args[n++] = in_scratch("%s.images", name);
        args[n++] = "--save-latents";
    } else if (!strcmp(command, "forward") || !strcmp(command, "optimize")) {
        args[n++] = "--in";
        args[n++] = in_case(name, "in.safetensors");
        args[n++] = "--out";
    } else if (!strcmp(command, "preprocess")) {
        args[n++] = in_case(name, text_of(info, "image"));
        args[n++] = "--out";
    } else {
        fail_msg("case.json: unknown command \"%s\"", command);
    }
    args[n++] = out;
    if (!strcmp(command, "forward") || !strcmp(command, "preprocess")) {
        args[n++] = "--component";
        args[n++] = text_of(info, "component");
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(info, "backward"))) args[n++] = "--backward";
    }
    const cJSON *arg, *more = cJSON_GetObjectItemCaseSensitive(info, "args");
    cJSON_ArrayForEach(arg, more) {
        const char *text = cJSON_GetStringValue(arg);
        assert_true(text && n < 46);
        args[n++] = ends_in(text, ".safetensors") ? in_case(name, text) : text;
    }
    program_run(o, &(way){0}, args);
}

static void agrees(void **state)
{
    const char *name = *state;
    cJSON *info = case_load(name);
    outcome o;
    const char *out = in_scratch("%s.safetensors", name);
    case_run(&o, name, info, out);
    expect_success(&o);
    safetensors *mine = NULL, *reference = NULL;
    m2m_error err = {0};
    if (safetensors_open(&mine, out, &err) || safetensors_open(&reference, in_case(name, "out.safetensors"), &err))
        fail_msg("%s", err.msg);
    compare(info, mine, reference);
    safetensors_close(&mine);
    safetensors_close(&reference);
    cJSON_Delete(info);
}

/* Tables, not runs of the program ("command": null), are for the unit tests of what they describe. */
static bool is_run(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "golden/%s/case.json", name);
    if (!there(in_tests(path))) return false;
    cJSON *info = case_load(name);
    bool run = !cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(info, "command"));
    cJSON_Delete(info);
    return run;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct CMUnitTest *)a)->name, ((const struct CMUnitTest *)b)->name);
}

int main(int argc, char **argv)
{
    static struct CMUnitTest tests[MOST_CASES];
    size_t n = 0;
    DIR *d = opendir(in_tests("golden"));
    for (struct dirent *e; d && (e = readdir(d)) && n < MOST_CASES;) {
        if (e->d_name[0] == '.' || !is_run(e->d_name)) continue;
        if (argc > 1 && fnmatch(argv[1], e->d_name, 0)) continue;
        char *name = strdup(e->d_name);
        tests[n++] = (struct CMUnitTest){.name = name, .test_func = agrees, .initial_state = name};
    }
    if (d) closedir(d);
    if (argc == 1 && n < 30) {
        fprintf(stderr, "tests/golden has %zu cases, wanted 30 or more\n", n);
        return 1;
    }
    qsort(tests, n, sizeof *tests, by_name);
    return _cmocka_run_group_tests("golden", tests, n, scratch_make, scratch_remove);
}
