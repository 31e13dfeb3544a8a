/* Shapes, element types, and conversions, the 16-bit ones for all their values. */
#include "tensor/tensor.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void shapes(void **state)
{
    (void)state;
    char buf[64], little[4];
    int64_t n = -1;
    shape s = SHAPE(2, 3, 4), none = {0};
    assert_int_equal(shape_count(s), 24);
    assert_int_equal(shape_last(s), 4);
    assert_int_equal(shape_rows(s), 6);
    assert_int_equal(shape_count(none), 1);
    assert_int_equal(shape_last(none), 1);
    assert_int_equal(shape_rows(none), 1);
    assert_true(shape_equal(s, SHAPE(2, 3, 4)));
    assert_false(shape_equal(s, SHAPE(2, 3)));
    assert_false(shape_equal(s, SHAPE(2, 3, 5)));
    assert_string_equal(shape_text(s, buf, sizeof buf), "[2, 3, 4]");
    assert_string_equal(shape_text(none, buf, sizeof buf), "[]");
    assert_string_equal(shape_text(s, little, sizeof little), "[2,");
    assert_true(shape_count_checked(s, &n) && n == 24);
    assert_true(shape_count_checked(SHAPE(5, 0), &n) && n == 0);
    assert_false(shape_count_checked(SHAPE(-1), &n));
    assert_false(shape_count_checked(SHAPE(INT64_MAX, 2), &n));
    assert_false(shape_count_checked(SHAPE(INT64_MAX, 2, 0), &n));
    assert_false(shape_count_checked(SHAPE(0, INT64_MAX, 2), &n));
}

static void names(void **state)
{
    (void)state;
    dtype t;
    for (int i = 0; i < DT_COUNT; i++) {
        assert_true(dtype_parse(dtype_name((dtype)i), &t));
        assert_int_equal(t, i);
    }
    assert_false(dtype_parse("f32", &t));
    assert_false(dtype_parse("", &t));
    assert_int_equal(dtype_size(DT_BF16), 2);
    assert_int_equal(dtype_size(DT_U64), 8);
    assert_true(dtype_is_float(DT_F8_E4M3));
    assert_false(dtype_is_float(DT_I16));
}

/* What a 16-bit pattern means, by its definition. */
static double meaning(uint16_t bits, int exponent_bits)
{
    int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
    int exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1),
        mantissa = bits & ((1 << mantissa_bits) - 1);
    double v;
    if (exponent == (1 << exponent_bits) - 1)
        v = mantissa ? NAN : INFINITY;
    else if (exponent)
        v = ldexp((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
    else
        v = ldexp(mantissa, 1 - bias - mantissa_bits);
    return bits >> 15 ? -v : v;
}

static void all_of_16_bits(void **state)
{
    (void)state;
    static const struct {
        dtype type;
        int exponent_bits;
    } types[] = {{DT_F16, 5}, {DT_BF16, 8}};
    enum { N = 65536 };
    static uint16_t in[N], back[N];
    static float wide[N];
    for (int i = 0; i < N; i++) in[i] = (uint16_t)i;
    for (int k = 0; k < 2; k++) {
        to_f32(wide, in, types[k].type, N);
        from_f32(back, wide, types[k].type, N);
        for (int i = 0; i < N; i++) {
            double want = meaning(in[i], types[k].exponent_bits);
            if (isnan(want)) {
                assert_true(isnan(wide[i]));
                assert_true(isnan(meaning(back[i], types[k].exponent_bits)));
            } else if ((double)wide[i] != want || !signbit(wide[i]) != !signbit(want) ||
                       back[i] != in[i]) {
                fail_msg("%s %04x: got %g and %04x, wanted %g", dtype_name(types[k].type), in[i],
                    (double)wide[i], back[i], want);
            }
        }
    }
}

/* Between two neighbours the nearer is taken, half way the even one. */
static void rounding_to_16_bits(void **state)
{
    (void)state;
    static const struct {
        dtype type;
        uint16_t largest;
        int exponent_bits;
    } types[] = {{DT_F16, 0x7bff, 5}, {DT_BF16, 0x7f7f, 8}};
    for (int k = 0; k < 2; k++) {
        for (uint16_t i = 0; i < types[k].largest; i = (uint16_t)(i + 1)) {
            double a = meaning(i, types[k].exponent_bits),
                   b = meaning((uint16_t)(i + 1), types[k].exponent_bits);
            float half = (float)((a + b) / 2),
                  f[3] = {nextafterf(half, -INFINITY), half, nextafterf(half, INFINITY)};
            if ((double)half != (a + b) / 2) continue; /* too small for a float */
            uint16_t got[3], want[3] = {i, (uint16_t)(i + (i & 1)), (uint16_t)(i + 1)};
            from_f32(got, f, types[k].type, 3);
            for (int j = 0; j < 3; j++) {
                if (got[j] != want[j])
                    fail_msg("%s %a: got %04x, wanted %04x", dtype_name(types[k].type),
                        (double)f[j], got[j], want[j]);
            }
        }
    }
    float f[4] = {65519.0f, 65520.0f, 1e9f, -INFINITY};
    uint16_t h[4];
    const uint32_t quiet_bits = 0x7f800001; /* a NaN whose upper half looks like infinity */
    memcpy(&f[0], &quiet_bits, 4);
    from_f32(h, f, DT_BF16, 1);
    assert_true((h[0] & 0x7f80) == 0x7f80 && (h[0] & 0x7f));
    f[0] = 65519.0f;
    from_f32(h, f, DT_F16, 4);
    assert_int_equal(h[0], 0x7bff);
    assert_int_equal(h[1], 0x7c00);
    assert_int_equal(h[2], 0x7c00);
    assert_int_equal(h[3], 0xfc00);
}

static void eight_bits(void **state)
{
    (void)state;
    const uint8_t in[] = {0x00, 0x80, 0x01, 0x38, 0x7e, 0x7f, 0xff, 0x08, 0xb8};
    const float want[] = {0, -0.0f, 0x1p-9f, 1, 448, NAN, NAN, 0x1p-6f, -1};
    float got[9];
    to_f32(got, in, DT_F8_E4M3, 9);
    for (int i = 0; i < 9; i++) assert_true(isnan(want[i]) ? isnan(got[i]) : got[i] == want[i]);
    const uint8_t in5[] = {0x3c, 0x7b, 0x7c, 0x7e, 0x01, 0xbc};
    const float want5[] = {1, 57344, INFINITY, NAN, 0x1p-16f, -1};
    to_f32(got, in5, DT_F8_E5M2, 6);
    for (int i = 0; i < 6; i++) assert_true(isnan(want5[i]) ? isnan(got[i]) : got[i] == want5[i]);
}

static void integers_and_doubles(void **state)
{
    (void)state;
    const float f[] = {0, 1.5f, 2.5f, -3.7f, 300, -300, 1e20f, -1e20f, NAN, INFINITY};
    uint8_t u8[10];
    int8_t i8[10];
    int32_t i32[10];
    int64_t i64[10];
    uint64_t u64[10];
    double f64[10];
    uint8_t b[10];
    from_f32(u8, f, DT_U8, 10);
    assert_memory_equal(u8, ((uint8_t[]){0, 2, 2, 0, 255, 0, 255, 0, 0, 255}), 10);
    from_f32(i8, f, DT_I8, 10);
    assert_memory_equal(i8, ((int8_t[]){0, 2, 2, -4, 127, -128, 127, -128, 0, 127}), 10);
    from_f32(i32, f, DT_I32, 10);
    assert_int_equal(i32[6], INT32_MAX);
    assert_int_equal(i32[7], INT32_MIN);
    from_f32(i64, f, DT_I64, 10);
    assert_true(i64[6] == INT64_MAX && i64[7] == INT64_MIN && i64[8] == 0 && i64[3] == -4);
    from_f32(u64, f, DT_U64, 10);
    assert_true(u64[6] == UINT64_MAX && u64[7] == 0 && u64[8] == 0 && u64[1] == 2);
    from_f32(f64, f, DT_F64, 10);
    assert_true(f64[3] == (double)-3.7f);
    from_f32(b, f, DT_BOOL, 10);
    assert_memory_equal(b, ((uint8_t[]){0, 1, 1, 1, 1, 1, 1, 1, 1, 1}), 10);
    float back[4];
    to_f32(back, (const int16_t[]){-2, 7}, DT_I16, 2);
    assert_true(back[0] == -2 && back[1] == 7);
    to_f32(back, (const uint32_t[]){4000000000u}, DT_U32, 1);
    assert_true(back[0] == 4e9f);
    to_f32(back, (const uint8_t[]){0, 1, 2}, DT_BOOL, 3);
    assert_true(back[0] == 0 && back[1] == 1 && back[2] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),
        cmocka_unit_test(names),
        cmocka_unit_test(all_of_16_bits),
        cmocka_unit_test(rounding_to_16_bits),
        cmocka_unit_test(eight_bits),
        cmocka_unit_test(integers_and_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
