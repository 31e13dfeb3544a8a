/* Two ops that one kernel computes (kernel->fuses) give the bits of the two computed one by one, and the plan has no
 * place for what lies between them. */
#include "base/rng.h"
#include "nn/layers.h"
#include "op/harness.h"

typedef struct size {
    int64_t rows, in, out;
} size;

typedef struct made {
    float *value;
    size_t bytes;
} made;

/* integers: 0, or the bits of linear layers' products. */
static backend *open_isa(const char *isa, int integers)
{
    m2m_error err = {0};
    backend *be = backend_cpu_open(2, isa, &err);
    if (!be) fail_msg("%s", err.msg);
    if (integers) assert_true(backend_cpu_words(be, integers == 8));
    return be;
}

/* GEGLU of a linear layer to 2 * s.out; `apart`: its result is asked for too, so that it must be stored. */
static made gated(backend *be, size s, bool apart)
{
    m2m_error err = {0};
    paramset *params = paramset_new();
    nn n;
    must(nn_begin(&n, params, &err), &err);
    node *x = graph_input(n.g, "x", DT_F32, SHAPE(s.rows, s.in));
    node *wide = nn_linear(&n, "proj", x, 2 * s.out, true), *y = geglu(n.g, wide);
    must(nn_finish(&n, &err), &err);
    for (int i = 0; i < paramset_count(params); i++) {
        param *p = paramset_at(params, i);
        p->data = malloc((size_t)shape_count(p->shape) * sizeof(float));
        p->type = DT_F32;
        rng_normal(3, RNG_NOISE, (uint64_t)i, p->data, shape_count(p->shape));
    }
    float *in = malloc((size_t)(s.rows * s.in) * sizeof *in);
    rng_normal(4, RNG_NOISE, 0, in, s.rows * s.in);
    exec *e = exec_new(n.g, be, (node *[]){y, wide}, apart ? 2 : 1, &err);
    if (!e) fail_msg("%s", err.msg);
    must(exec_write(e, x, in, &err), &err);
    must(exec_run(e, &err), &err);
    const made m = {malloc((size_t)(s.rows * s.out) * sizeof(float)), exec_bytes(e)};
    exec_read(e, y, m.value);
    exec_free(e);
    free(in);
    nn_end(&n);
    for (int i = 0; i < paramset_count(params); i++) free(paramset_at(params, i)->data);
    paramset_free(params);
    return m;
}

static void check_isa(const char *isa, int integers)
{
    static const size sizes[] = {{1, 32, 32}, {7, 32, 96}, {200, 40, 20}, {385, 320, 160}, {2048, 704, 320}};
    if (!cpu_has_isa(isa)) return;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size s = sizes[i];
        backend *be = open_isa(isa, integers);
        const made one = gated(be, s, false), two = gated(be, s, true);
        be->close(be);
        if (memcmp(one.value, two.value, (size_t)(s.rows * s.out) * sizeof(float)))
            fail_msg("%s, integers of %d bits, %lld x %lld -> %lld: other bits", isa, integers, (long long)s.rows,
                     (long long)s.in, (long long)s.out);
        if (s.rows == 2048 && one.bytes + (size_t)(s.rows * s.out) * sizeof(float) > two.bytes)
            fail_msg("%s: the plan of both in one has %zu bytes, that of both %zu", isa, one.bytes, two.bytes);
        free(one.value);
        free(two.value);
    }
}

static void linear_and_geglu(void **state)
{
    (void)state;
    static const char *const isas[] = {"generic", "avx2", "avx512", "avx512vnni", "amx"};
    for (int i = 0; i < 5; i++) check_isa(isas[i], 0);
    for (int i = 1; i < 5; i++) check_isa(isas[i], 16);
    check_isa("avx512vnni", 8);
    check_isa("amx", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(linear_and_geglu)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
