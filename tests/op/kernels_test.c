/* Every kernel of every backend in host memory against the double reference, on cases.h. With an argument ("time", and
 * optionally an op's name) the same loop times the kernels on speed.h instead. */
#include "op/harness.h"
#include "op/speed.h"

/* The result and the parts of a case on one backend, as floats. */
typedef struct results {
    int count;
    int64_t size[1 + MAX_PARTS];
    float *value[1 + MAX_PARTS];
} results;

static results case_run(const built *b, const op_case *c, backend *be, bool twice)
{
    results r = {.count = 1 + op_parts(c->op)};
    node *outputs[1 + MAX_PARTS] = {b->n};
    for (int k = 1; k < r.count; k++) outputs[k] = graph_part(b->n, k - 1);
    m2m_error err = {0};
    exec *x = exec_new(b->g, be, outputs, r.count, &err);
    if (!x) fail_msg("%s", err.msg);
    case_write(b, c, x);
    must(exec_run(x, &err), &err);
    if (twice) must(exec_run(x, &err), &err);
    for (int k = 0; k < r.count; k++) {
        r.size[k] = shape_count(outputs[k]->shape);
        r.value[k] = malloc((size_t)r.size[k] * sizeof(float));
        assert_non_null(r.value[k]);
        exec_read(x, outputs[k], r.value[k]);
    }
    exec_free(x);
    return r;
}

static void results_free(results r)
{
    for (int k = 0; k < r.count; k++) free(r.value[k]);
}

/* Products of floats, of 16-bit integers, and of 8-bit ones in linear layers and direct convolutions. */
typedef enum way { FLOATS, WORDS, BYTES } way;

/* What products of integers, and GELU beside them, may be off by. Measured, 16 bits: linear and attention 2e-4,
 * convolutions by Winograd's way 1.7e-3 (an image that hardly fills its tiles, 320 channels); 8 bits: 9e-3, in
 * convolutions 1.2e-2, attention in bf16 6e-3. */
static double way_tolerance(op_id op, way by)
{
    if (by == FLOATS) return 0;
    if (by == BYTES && (op == OP_linear || op == OP_conv2d)) return 1.5e-2;
    if (by == BYTES && (op == OP_attention || op == OP_attention_grad)) return op == OP_attention ? 8e-3 : 4e-3;
    if (op == OP_geglu) return 1e-4;
    return op == OP_conv2d ? 3e-3 : op == OP_linear || op == OP_attention || op == OP_attention_grad ? 5e-4 : 0;
}

/* Allowed error relative to the largest reference value (elementwise ops: to each value). */
static double tolerance_of(const op_case *c, way by)
{
    if (way_tolerance(c->op, by) > c->tolerance) return way_tolerance(c->op, by);
    if (c->tolerance > 0) return c->tolerance;
    switch (c->op) {
    case OP_add: case OP_sub: case OP_mul: case OP_scale: case OP_abs: case OP_sign: case OP_clamp: case OP_clamp_grad:
        return 2e-7;
    case OP_exp: return c->draw == BIG ? 1e-5 : 1e-6;   /* x of 90 carries 4e-6 of its own rounding */
    case OP_concat: case OP_slice: case OP_slice_grad: case OP_reshape: case OP_permute: case OP_resize_nearest:
    case OP_broadcast_to: return 0;
    case OP_conv2d: case OP_conv2d_dx: case OP_conv2d_dw: return c->draw == SHIFTED ? 5e-5 : 2e-5;   /* Winograd */
    case OP_timestep_embedding: return 1e-4;            /* angles up to 999, rounded in float as PyTorch's are */
    default: return 3e-6;
    }
}

static bool relative_to_each(op_id op)
{
    return op == OP_mul || op == OP_silu || op == OP_gelu || op == OP_exp || op == OP_geglu;
}

static double worst_error(const op_case *c, way by, const float *want, const float *have, int64_t n, int64_t *at)
{
    double top = 0, worst = 0;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(want[i])) top = fmax(top, fabs((double)want[i]));
    for (int64_t i = 0; i < n; i++) {
        if (want[i] == have[i] || (isnan(want[i]) && isnan(have[i]))) continue;
        const bool each = relative_to_each(c->op) && way_tolerance(c->op, by) == 0;
        const double unit = each ? fabs((double)want[i]) + 1e-3 * top + 1e-30 : top + 1e-30;
        double error = fabs((double)want[i] - have[i]) / unit;
        if (isnan(error)) error = INFINITY;
        if (error <= worst) continue;
        worst = error;
        *at = i;
    }
    return worst;
}

/* Prints what differs too much; returns how many results do. */
static int compare(const op_case *c, const backend *be, way by, results want, results have)
{
    int wrong = 0;
    for (int k = 0; k < want.count; k++) {
        int64_t at = 0;
        const double error = worst_error(c, by, want.value[k], have.value[k], want.size[k], &at);
        char text[256];
        if (error <= tolerance_of(c, by)) continue;
        print_error("%s (%s), draw %d, result %d: element %lld is %g, wanted %g: error %.2g over %.2g\n",
                    case_text(c, text, sizeof text), be->detail, c->draw, k, (long long)at, have.value[k][at],
                    want.value[k][at], error, tolerance_of(c, by));
        wrong++;
    }
    return wrong;
}

static void check_backend(backend *be, way by)
{
    backend *reference = backend_reference_open(true);
    assert_non_null(reference);
    int wrong = 0;
    for (int i = 0; i < CASES; i++) {
        const op_case *c = &cases[i];
        built *b = case_build(c);
        for (int round = 0; round < (c->weight == DT_BOOL ? 1 : 2); round++) {
            if (round) {   /* a changed weight must be packed again */
                for (int64_t k = 0; k < shape_count(b->weight.shape); k++) b->data[1][k] *= -0.5f;
                from_f32(b->weight_data, b->data[1], c->weight, shape_count(b->weight.shape));
                b->weight.version++;
            }
            results want = case_run(b, c, reference, false), have = case_run(b, c, be, true);
            wrong += compare(c, be, by, want, have);
            results_free(want);
            results_free(have);
        }
        case_free(b);
    }
    reference->close(reference);
    if (wrong) fail_msg("%d results differ", wrong);
}

static void test_every_op_has_a_case(void **state)
{
    (void)state;
    bool seen[OP_COUNT] = {false};
    for (int i = 0; i < CASES; i++) seen[cases[i].op] = true;
    for (int op = OP_PART + 1; op < OP_COUNT; op++)
        if (!seen[op]) fail_msg("op %s has no case in tests/op/cases.h", op_name(op));
}

static void test_reference_f32(void **state)
{
    (void)state;
    backend *be = backend_reference_open(false);
    check_backend(be, FLOATS);
    be->close(be);
}

static void check_isa(const char *isa, int threads)
{
    if (!cpu_has_isa(isa)) skip();
    m2m_error err = {0};
    backend *be = backend_cpu_open(threads, isa, &err);
    if (!be) fail_msg("%s", err.msg);
    check_backend(be, FLOATS);
    backend_cpu_exact(be, true);
    check_backend(be, FLOATS);
    be->close(be);
}

static void test_generic(void **state) { (void)state; check_isa("generic", 1); }
static void test_avx2(void **state) { (void)state; check_isa("avx2", 2); }
static void test_avx2_threads(void **state) { (void)state; check_isa("avx2", 3); }
static void test_avx512(void **state) { (void)state; check_isa("avx512", 2); }

static void test_avx512vnni(void **state) { (void)state; check_isa("avx512vnni", 2); }
static void test_amx(void **state) { (void)state; check_isa("amx", 2); }

/* Products of integers by each instruction set that has them, convolutions with and without Winograd. */
static void check_integers(way by)
{
    static const char *const isas[] = {"avx2", "avx512", "avx512vnni", "amx"};
    m2m_error err = {0};
    backend *be = backend_cpu_open(1, "generic", &err);
    assert_false(backend_cpu_words(be, by == BYTES));
    be->close(be);
    for (int i = 0; i < 4 && cpu_has_isa(isas[i]); i++) {
        be = backend_cpu_open(3, isas[i], &err);
        assert_true(backend_cpu_words(be, by == BYTES));
        check_backend(be, by);
        backend_cpu_exact(be, true);
        check_backend(be, by);
        be->close(be);
    }
}

static void test_words(void **state) { (void)state; check_integers(WORDS); }
static void test_bytes(void **state) { (void)state; check_integers(BYTES); }

static void test_bad_arguments(void **state)
{
    (void)state;
    m2m_error err = {0};
    assert_null(backend_cpu_open(0, NULL, &err));
    assert_int_equal(err.code, M2M_EINVAL);
    assert_null(backend_cpu_open(1, "mmx", &err));
    assert_int_equal(err.code, M2M_EUNSUPPORTED);
}

/* Two runs, and one or three threads: the same bits. */
static void test_same_bits(void **state)
{
    (void)state;
    m2m_error err = {0};
    backend *team = backend_cpu_open(3, NULL, &err), *single = backend_cpu_open(1, NULL, &err);
    for (int i = 0; i < CASES; i++) {
        built *b = case_build(&cases[i]);
        results want = case_run(b, &cases[i], single, false);
        for (int round = 0; round < 2; round++) {
            results have = case_run(b, &cases[i], team, false);
            for (int k = 0; k < want.count; k++)
                if (memcmp(want.value[k], have.value[k], (size_t)want.size[k] * sizeof(float)))
                    fail_msg("case %d, %s: two runs, two results", i, op_name(cases[i].op));
            results_free(have);
        }
        results_free(want);
        case_free(b);
    }
    team->close(team);
    single->close(single);
}

/* Training notices a step gone wrong by its NaNs: no kernel may swallow one. */
static void check_nan(way by)
{
    m2m_error err = {0};
    backend *be = backend_cpu_open(1, NULL, &err);
    bool seen[OP_COUNT] = {false};
    if (by != FLOATS && !backend_cpu_words(be, by == BYTES)) {
        be->close(be);
        return;
    }
    for (int i = 0; i < CASES; i++) {
        const op_id op = cases[i].op;
        const bool every = by != FLOATS && (op == OP_linear || op == OP_conv2d);   /* attention may hide what is NaN */
        if ((seen[op] && !every) || shape_count(cases[i].in[0]) < 2) continue;
        if (op == OP_sign || op == OP_clamp || op == OP_clamp_grad) continue;
        seen[op] = true;
        built *b = case_build(&cases[i]);
        b->data[0][op == OP_slice ? 1 : 0] = NAN;
        results r = case_run(b, &cases[i], be, false);
        bool found = false;
        for (int64_t k = 0; k < r.size[0]; k++) found = found || isnan(r.value[0][k]);
        if (!found) fail_msg("%s loses a NaN (%s)", op_name(op), be->detail);
        results_free(r);
        case_free(b);
    }
    be->close(be);
}

static void test_nan_stays(void **state)
{
    (void)state;
    check_nan(FLOATS);
    check_nan(WORDS);
    check_nan(BYTES);
}

/* adamw, lerp, accumulate and sum_squares against the plain ones. */
static void test_training_vectors(void **state)
{
    (void)state;
    enum { N = 40001 };
    m2m_error err = {0};
    backend *be = backend_cpu_open(2, NULL, &err), *plain = backend_reference_open(false);
    uint64_t seed = 7;
    float *v[2][4];
    for (int k = 0; k < 4; k++) {
        v[0][k] = draw_values(&seed, N, NORMAL);
        for (int i = 0; k == 3 && i < N; i++) v[0][k][i] = fabsf(v[0][k][i]);
        v[1][k] = malloc(N * sizeof(float));
        memcpy(v[1][k], v[0][k], N * sizeof(float));
    }
    const adamw o = {
        .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01, .grad_scale = 0.5, .step = 3};
    plain->adamw(plain, &o, N, v[0][0], v[0][1], v[0][2], v[0][3]);
    be->adamw(be, &o, N, v[1][0], v[1][1], v[1][2], v[1][3]);
    plain->lerp(plain, N, v[0][1], v[0][0], 0.99f);
    be->lerp(be, N, v[1][1], v[1][0], 0.99f);
    plain->accumulate(plain, N, v[0][2], v[0][1]);
    be->accumulate(be, N, v[1][2], v[1][1]);
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < N; i++) assert_float_equal(v[0][k][i], v[1][k][i], 2e-6 * (1 + fabsf(v[0][k][i])));
    const double a = plain->sum_squares(plain, N, v[0][0]), b = be->sum_squares(be, N, v[0][0]);
    assert_true(fabs(a - b) < 1e-12 * a);
    for (int k = 0; k < 8; k++) free(v[k / 4][k % 4]);
    be->close(be);
    plain->close(plain);
}

int main(int argc, char **argv)
{
    if (argc > 1) return speed_run(argc - 1, argv + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_op_has_a_case),
        cmocka_unit_test(test_reference_f32),
        cmocka_unit_test(test_generic),
        cmocka_unit_test(test_avx2),
        cmocka_unit_test(test_avx2_threads),
        cmocka_unit_test(test_avx512), cmocka_unit_test(test_avx512vnni), cmocka_unit_test(test_amx),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_nan_stays),
        cmocka_unit_test(test_training_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
