/* Varied images: nothing at strength 0, mirrored by the fifth number, never outside -1..1. */
#include "train/vary.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 9, FLOATS = 3 * SIDE * SIDE };

static void make(float *x)
{
    for (int i = 0; i < FLOATS; i++) x[i] = (float)((i * 37) % 200) / 100 - 1;
}

static void nothing_at_strength_zero(void **state)
{
    (void)state;
    float from[FLOATS], to[FLOATS], u[VARY_DRAWS] = {.9f, .1f, .8f, .2f, .9f, .7f, .3f, .6f};
    make(from);
    vary_image(to, from, SIDE, &(variation){.strength = 0, .mirror = true}, u);
    for (int i = 0; i < FLOATS; i++) assert_float_equal(to[i], from[i], 1e-5);
    u[4] = .1f;
    vary_image(to, from, SIDE, &(variation){.strength = 0, .mirror = true}, u);
    for (int r = 0; r < 3 * SIDE; r++)
        for (int j = 0; j < SIDE; j++) assert_float_equal(to[r * SIDE + j], from[r * SIDE + SIDE - 1 - j], 1e-5);
}

/* A shift alone: half a unit of the third number is an eighth of the side, to the right. */
static void moves_by_its_numbers(void **state)
{
    (void)state;
    float from[FLOATS], to[FLOATS], u[VARY_DRAWS] = {.5f, .5f, 1, .5f, .5f, .5f, .5f, .5f};
    make(from);
    vary_image(to, from, SIDE, &(variation){.strength = 8.0f / 9}, u);
    for (int r = 0; r < 3 * SIDE; r++)
        for (int j = 0; j < SIDE; j++) assert_float_equal(to[r * SIDE + j], from[r * SIDE + (j ? j - 1 : 0)], 1e-4);
}

static void stays_within_range(void **state)
{
    (void)state;
    float from[FLOATS], to[FLOATS], u[VARY_DRAWS];
    make(from);
    for (int k = 0; k < 200; k++) {
        for (int i = 0; i < VARY_DRAWS; i++) u[i] = (float)((k * (i + 3) * 7919) % 1000) / 1000;
        vary_image(to, from, SIDE, &(variation){.strength = 1, .mirror = true}, u);
        for (int i = 0; i < FLOATS; i++) assert_true(to[i] >= -1 && to[i] <= 1);
    }
    assert_memory_not_equal(to, from, sizeof to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_at_strength_zero),
        cmocka_unit_test(moves_by_its_numbers), cmocka_unit_test(stays_within_range)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
