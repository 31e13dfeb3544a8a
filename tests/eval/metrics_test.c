/* FID, KID, inception score and PRDC against what scipy, torch-fidelity and the definitions give
 * (tools/golden/make_metrics_golden.py), m2m_metrics' answers and refusals, .npz statistics. */
#include "base/file.h"
#include "base/json.h"
#include "eval/gaussian.h"
#include "eval/scores.h"
#include "m2m_train.h"
#include "scratch_dir.h"
#include "tensor/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN TEST_DIR "/golden/metrics/"

static void ok(int status, const m2m_error *err)
{
    if (status) fail_msg("%s", err->msg);
}

static void close_to(const char *what, double found, double wanted, double relative, double absolute)
{
    const double apart = fabs(found - wanted);
    print_message("             %s: %.12g, %.2g from the reference\n", what, found, apart);
    if (!(apart <= relative * fabs(wanted) + absolute)) fail_msg("%s: %.15g, wanted %.15g", what, found, wanted);
}

static double number(const cJSON *o, const char *key)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, key);
    if (!cJSON_IsNumber(n)) fail_msg("no number %s", key);
    return n->valuedouble;
}

static void keep_line(void *user, const char *text)
{
    char **kept = user;
    assert_null(*kept);
    *kept = strdup(text);
}

static cJSON *metrics_of(const char *path)
{
    m2m_error err;
    char *line = NULL;
    m2m_calls calls = {.user = &line, .line = keep_line};
    ok(m2m_metrics(path, &calls, &err), &err);
    assert_non_null(line);
    cJSON *answer = NULL;
    ok(json_parse(&answer, line, strlen(line), &err), &err);
    free(line);
    return answer;
}

/* A file of the golden folder: *s keeps the tensors. */
static rows table(safetensors *s, const char *name)
{
    const tensor *t;
    m2m_error err;
    ok(safetensors_need(s, name, NULL, &t, &err), &err);
    return (rows){t->data, t->shape.dim[0], (int)t->shape.dim[1]};
}

/* Measured: all within 1e-14, far_from_zero's kid (2e15) within 1e-9 relative; 1e-9 leaves room for other BLAS.
 * far_from_zero: means of 4000 against spreads of 0.3 lose half the digits where sums of squares are kept. */
static void pairs_agree(void **state)
{
    (void)state;
    m2m_error err;
    cJSON *cases;
    ok(json_load(&cases, GOLDEN "cases.json", &err), &err);
    int seen = 0;
    for (cJSON *c = cases->child; c; c = c->next) {
        char path[512];
        snprintf(path, sizeof path, GOLDEN "%s.safetensors", c->string);
        print_message("  %s\n", c->string);
        cJSON *answer = metrics_of(path);
        const bool logits = !strcmp(c->string, "logits");
        assert_int_equal(cJSON_GetArraySize(answer), 2);
        for (const cJSON *a = answer->child; a; a = a->next)
            close_to(a->string, a->valuedouble, number(c, a->string), 1e-9, 1e-9);
        assert_non_null(cJSON_GetObjectItem(answer, logits ? "inception_score_mean" : "fid"));
        cJSON_Delete(answer);
        seen++;
    }
    assert_int_equal(seen, 7);
    cJSON_Delete(cases);
}

static void errors_and_neighbours_agree(void **state)
{
    (void)state;
    m2m_error err;
    cJSON *cases;
    int seen = 0;
    ok(json_load(&cases, GOLDEN "cases.json", &err), &err);
    for (cJSON *c = cases->child; c; c = c->next) {
        const cJSON *wanted = cJSON_GetObjectItem(c, "prdc");
        char path[512];
        safetensors *s;
        kid_score k;
        prdc_score p;
        if (!wanted) continue;
        snprintf(path, sizeof path, GOLDEN "%s.safetensors", c->string);
        ok(safetensors_open(&s, path, &err), &err);
        const rows a = table(s, "features_a"), b = table(s, "features_b");
        ok(kid(a, b, 0, 0, 0, &k, &err), &err);
        close_to("kid_error", k.error, number(c, "kid_error"), 1e-8, 1e-12);
        ok(prdc(a, b, 5, &p, &err), &err);
        close_to("precision", p.precision, number(wanted, "precision"), 1e-12, 0);
        close_to("recall", p.recall, number(wanted, "recall"), 1e-12, 0);
        close_to("density", p.density, number(wanted, "density"), 1e-12, 0);
        close_to("coverage", p.coverage, number(wanted, "coverage"), 1e-12, 0);
        safetensors_close(&s);
        seen++;
    }
    assert_int_equal(seen, 5);
    cJSON_Delete(cases);
}

/* Subsets of all rows are the whole; smaller ones scatter around it by what their own spread allows. */
/* The order of NumPy's RandomState(2020).permutation, and torch-fidelity's score of rows in it. */
static void rows_are_shuffled_as_numpy_does(void **state)
{
    (void)state;
    m2m_error err = {0};
    safetensors *golden;
    double mean, deviation;
    ok(safetensors_open(&golden, TEST_DIR "/golden/eval.safetensors", &err), &err);
    const tensor *order = safetensors_find(golden, "permutation"), *logits = safetensors_find(golden, "logits");
    const double *wanted = safetensors_find(golden, "inception_score")->data;
    const int64_t n = shape_count(order->shape), all = shape_count(logits->shape);
    float *numbers = malloc((size_t)n * sizeof *numbers), *mine = malloc((size_t)all * sizeof *mine);
    assert_true(numbers && mine);
    for (int64_t i = 0; i < n; i++) numbers[i] = (float)i;
    shuffle_rows(numbers, n, 1, 2020);
    for (int64_t i = 0; i < n; i++) assert_int_equal((int)numbers[i], ((const int32_t *)order->data)[i]);
    memcpy(mine, logits->data, (size_t)all * sizeof *mine);
    shuffle_rows(mine, logits->shape.dim[0], (int)logits->shape.dim[1], 2020);
    const rows shuffled = {mine, logits->shape.dim[0], (int)logits->shape.dim[1]};
    ok(inception_score(shuffled, 10, &mean, &deviation, &err), &err);
    close_to("inception score", mean, wanted[0], 1e-9, 0);
    close_to("its deviation", deviation, wanted[1], 1e-9, 0);
    free(numbers);
    free(mine);
    safetensors_close(&golden);
}

static void subsets_surround_the_whole(void **state)
{
    (void)state;
    m2m_error err;
    safetensors *s;
    kid_score k, again;
    ok(safetensors_open(&s, GOLDEN "full_rank.safetensors", &err), &err);
    const rows a = table(s, "features_a"), b = table(s, "features_b");
    rows first = a;
    first.count = b.count;
    ok(kid(first, b, 3, 1000, 5, &k, &err), &err);
    assert_int_equal(k.subset_size, b.count);
    close_to("mean", k.mean, k.value, 1e-12, 0);
    assert_true(k.deviation < 1e-12);
    ok(kid(a, b, 40, 30, 5, &k, &err), &err);
    assert_true(k.deviation > 1e-3 && fabs(k.mean - k.value) < 3 * k.deviation / sqrt(40));
    ok(kid(a, b, 40, 30, 5, &again, &err), &err);
    assert_true(again.mean == k.mean && again.deviation == k.deviation);
    ok(kid(a, b, 40, 30, 6, &again, &err), &err);
    assert_true(again.mean != k.mean);
    safetensors_close(&s);
}

/* The same rows in any portions give the same bits. */
static void portions_do_not_matter(void **state)
{
    (void)state;
    m2m_error err;
    enum { N = 700, D = 9 };
    float x[N * D];
    for (int i = 0; i < N * D; i++) x[i] = 100 + sinf((float)i * 0.37f);
    gaussian whole, parts;
    moments *m = moments_new(D, &err);
    moments_add(m, x, N);
    ok(moments_take(m, &whole, &err), &err);
    moments_free(m);
    m = moments_new(D, &err);
    for (int at = 0, n = 1; at < N; at += n, n = n % 67 + 5) moments_add(m, x + at * D, n < N - at ? n : N - at);
    assert_int_equal(moments_count(m), N);
    ok(moments_take(m, &parts, &err), &err);
    moments_free(m);
    assert_memory_equal(whole.mean, parts.mean, D * sizeof(double));
    assert_memory_equal(whole.sigma, parts.sigma, D * D * sizeof(double));
    gaussian_free(&whole);
    gaussian_free(&parts);
}

static void statistics_travel(void **state)
{
    (void)state;
    m2m_error err;
    scratch_dir d;
    safetensors *s;
    gaussian own, read, narrow, again;
    double apart;
    assert_int_equal(scratch_dir_make(&d), 0);
    ok(safetensors_open(&s, GOLDEN "full_rank.safetensors", &err), &err);
    const rows a = table(s, "features_a");
    moments *m = moments_new(a.dim, &err);
    moments_add(m, a.data, a.count);
    ok(moments_take(m, &own, &err), &err);
    ok(gaussian_load(&read, GOLDEN "float64.npz", &err), &err);
    ok(gaussian_load(&narrow, GOLDEN "float32.npz", &err), &err);
    for (int i = 0; i < a.dim * a.dim; i++) assert_true(fabs(own.sigma[i] - read.sigma[i]) < 1e-14);
    ok(frechet_distance(&own, &read, &apart, &err), &err);
    close_to("numpy's float64", apart, 0, 0, 1e-12);
    ok(frechet_distance(&own, &narrow, &apart, &err), &err);
    close_to("numpy's float32, compressed", apart, 0, 0, 1e-6);
    const char *path = scratch_dir_file(&d, "own.npz");
    ok(gaussian_save(&own, path, &err), &err);
    ok(gaussian_load(&again, path, &err), &err);
    assert_memory_equal(own.mean, again.mean, (size_t)a.dim * sizeof(double));
    assert_memory_equal(own.sigma, again.sigma, (size_t)a.dim * (size_t)a.dim * sizeof(double));
    moments_free(m);
    safetensors_close(&s);
    gaussian_free(&own);
    gaussian_free(&read);
    gaussian_free(&narrow);
    gaussian_free(&again);
    scratch_dir_remove_tree(d.path);
}

static void refused(const char *path, const safetensors_item *items, int n, int code, const char *words)
{
    m2m_error err = {0};
    ok(safetensors_save(path, items, n, NULL, 0, &err), &err);
    assert_int_equal(m2m_metrics(path, NULL, &err), code);
    if (!strstr(err.msg, words)) fail_msg("\"%s\" lacks \"%s\"", err.msg, words);
}

static void the_worlds_faults_are_named(void **state)
{
    (void)state;
    scratch_dir d;
    float x[60] = {0}, bad[60] = {0};
    assert_int_equal(scratch_dir_make(&d), 0);
    bad[7] = NAN;
    const char *path = scratch_dir_file(&d, "in.safetensors");
#define ITEM(name_, data_, ...) {.name = name_, .t = {.type = DT_F32, .shape = SHAPE(__VA_ARGS__), .data = data_},     \
                                 .stored = DT_F32}
    const safetensors_item lone[] = {ITEM("features_a", x, 4, 5)}, none[] = {ITEM("features", x, 4, 5)};
    const safetensors_item one[] = {ITEM("features_a", x, 1, 5), ITEM("features_b", x, 4, 5)};
    const safetensors_item odd[] = {ITEM("features_a", x, 4, 5), ITEM("features_b", x, 4, 6)};
    const safetensors_item nan_[] = {ITEM("features_a", x, 4, 5), ITEM("features_b", bad, 4, 5)};
    const safetensors_item rank[] = {ITEM("features_a", x, 4, 5, 1), ITEM("features_b", x, 4, 5)};
    const safetensors_item few[] = {ITEM("logits", x, 9, 6)};
    refused(path, lone, 1, M2M_ESHAPE, "features_b");
    refused(path, none, 1, M2M_ESHAPE, "neither features_a and features_b nor logits");
    refused(path, one, 2, M2M_EINVAL, "1 and 4 images, wanted 2 or more");
    refused(path, odd, 2, M2M_ESHAPE, "rows of 5 and of 6 features");
    refused(path, nan_, 2, M2M_EFORMAT, "features_b holds nan in row 1");
    refused(path, rank, 2, M2M_ESHAPE, "wanted 2 dimensions");
    refused(path, few, 1, M2M_EINVAL, "9 images, wanted 10 or more");
    scratch_dir_remove_tree(d.path);
}

static void bad_statistics(const char *path, const void *data, size_t size, const char *words)
{
    m2m_error err = {0};
    gaussian g;
    ok(file_write_all(path, data, size, &err), &err);
    assert_int_equal(gaussian_load(&g, path, &err), M2M_EFORMAT);
    if (!strstr(err.msg, words)) fail_msg("\"%s\" lacks \"%s\"", err.msg, words);
    assert_null(g.mean);
}

static void damaged_statistics_are_refused(void **state)
{
    (void)state;
    m2m_error err;
    scratch_dir d;
    char *good;
    size_t size;
    gaussian g;
    assert_int_equal(scratch_dir_make(&d), 0);
    const char *path = scratch_dir_file(&d, "s.npz");
    ok(file_read_all(GOLDEN "float64.npz", 1 << 20, &good, &size, &err), &err);
    bad_statistics(path, "no zip", 6, "s.npz");
    bad_statistics(path, good, size / 2, "s.npz");
    for (size_t i = 0; i + 6 < size; i++)
        if (!memcmp(good + i, "mu.npy", 6)) good[i + 1] = 'x';
    bad_statistics(path, good, size, "no array mu");
    assert_int_equal(gaussian_load(&g, GOLDEN "none.npz", &err), M2M_EIO);
    free(good);
    scratch_dir_remove_tree(d.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_agree), cmocka_unit_test(errors_and_neighbours_agree),
        cmocka_unit_test(rows_are_shuffled_as_numpy_does),
        cmocka_unit_test(subsets_surround_the_whole), cmocka_unit_test(portions_do_not_matter),
        cmocka_unit_test(statistics_travel), cmocka_unit_test(the_worlds_faults_are_named),
        cmocka_unit_test(damaged_statistics_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
