/* Philox against Random123's published vectors; streams that do not depend on how much is asked for; moments; no
 * bias. */
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* kat_vectors of Random123 1.14: philox4x32 10. */
static void published_vectors(void **state)
{
    (void)state;
    static const uint32_t v[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
            0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
            0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        philox(v[i], v[i] + 4, out);
        assert_memory_equal(out, v[i] + 6, sizeof out);
    }
}

static void a_shorter_request_is_a_beginning(void **state)
{
    (void)state;
    float all[103], part[103];
    rng_normal(7, 1, 2, all, 103);
    for (size_t n = 0; n <= 103; n += 17) {
        memset(part, 0, sizeof part);
        rng_normal(7, 1, 2, part, n);
        assert_memory_equal(part, all, n * sizeof *part);
        if (n < 103) assert_true(part[n] == 0);
    }
    rng_uniform(7, 1, 2, all, 103);
    rng_uniform(7, 1, 2, part, 50);
    assert_memory_equal(part, all, 50 * sizeof *part);
}

static void every_coordinate_counts(void **state)
{
    (void)state;
    float base[8], other[8];
    rng_normal(7, 1, 2, base, 8);
    const struct {
        uint64_t seed;
        uint32_t stream, index;
    } others[] = {{8, 1, 2}, {7 + (1ull << 32), 1, 2}, {7, 2, 2}, {7, 1, 3}, {7, 2, 1}};
    for (int i = 0; i < 5; i++) {
        rng_normal(others[i].seed, others[i].stream, others[i].index, other, 8);
        for (int k = 0; k < 8; k++) assert_true(base[k] != other[k]);
    }
}

/* Values are part of what a seed means: they never change. */
static void values_are_fixed(void **state)
{
    (void)state;
    float n[8];
    rng_normal(42 + (7ull << 32), RNG_TRAIN_NOISE, 5, n, 8);
    static const float wanted[8] = {2.21025562f, 1.20255578f, 0.644821405f, -1.30835867f,
        0.39323622f, -0.456271231f, -1.18090773f, 0.559187591f};
    for (int i = 0; i < 8; i++) assert_true(n[i] == wanted[i]);
}

static void moments(void **state)
{
    (void)state;
    enum { N = 1 << 18 };
    float *x = malloc(N * sizeof *x);
    assert_non_null(x);
    rng_normal(1, 2, 3, x, N);
    double m[5] = {0}, pairs = 0;
    for (int i = 0; i < N; i++) {
        for (int k = 1; k < 5; k++) m[k] += pow((double)x[i], k) / N;
        if (i) pairs += (double)x[i] * (double)x[i - 1] / N;
    }
    /* Five standard errors: 1, sqrt 2, sqrt 15, sqrt 96 over sqrt N. */
    const double e = 5 / sqrt(N);
    assert_true(fabs(m[1]) < e && fabs(m[2] - 1) < e * sqrt(2) && fabs(m[3]) < e * sqrt(15) &&
                fabs(m[4] - 3) < e * sqrt(96));
    assert_true(fabs(pairs) < e);
    rng_uniform(1, 2, 3, x, N);
    double mean = 0;
    for (int i = 0; i < N; i++) {
        assert_true(x[i] >= 0 && x[i] < 1);
        mean += (double)x[i] / N;
    }
    assert_true(fabs(mean - 0.5) < e * sqrt(1.0 / 12));
    free(x);
}

static void sequences(void **state)
{
    (void)state;
    rng a = rng_make(5, 6, 7), b = a;
    uint32_t counts[6] = {0};
    for (int i = 0; i < 1000; i++) assert_int_equal(rng_u32(&a), rng_u32(&b));
    b = a; /* a copy goes on alike */
    assert_true(rng_real(&a) == rng_real(&b));
    for (int i = 0; i < 60000; i++) counts[rng_below(&a, 6)]++;
    for (int i = 0; i < 6; i++) assert_true(counts[i] > 9500 && counts[i] < 10500);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(rng_below(&a, 1), 0);
        double x = rng_between(&a, -2, 3);
        assert_true(x >= -2 && x < 3);
    }
    /* 3/4 of 2^32: taking words modulo n would give the lower third twice as often. */
    int low = 0;
    for (int i = 0; i < 30000; i++) low += rng_below(&a, 0xC0000000u) < 0x40000000u;
    assert_true(low > 9600 && low < 10400);
}

static void shuffles(void **state)
{
    (void)state;
    rng r = rng_make(1, 2, 3);
    int first[4] = {0};
    for (int i = 0; i < 4000; i++) {
        int list[4] = {0, 1, 2, 3}, seen = 0;
        rng_shuffle(&r, list, 4);
        for (int k = 0; k < 4; k++) seen |= 1 << list[k];
        assert_int_equal(seen, 15);
        first[list[0]]++;
    }
    for (int k = 0; k < 4; k++) assert_true(first[k] > 850 && first[k] < 1150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),
        cmocka_unit_test(a_shorter_request_is_a_beginning),
        cmocka_unit_test(every_coordinate_counts),
        cmocka_unit_test(values_are_fixed),
        cmocka_unit_test(moments),
        cmocka_unit_test(sequences),
        cmocka_unit_test(shuffles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
