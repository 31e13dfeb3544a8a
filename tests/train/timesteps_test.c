/* Training's chance: a function of place alone, uniform where it must be, never the same for two uses. */
#include "train/timesteps.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const draw_plan plan = {
    .seed = 7, .sets = 3, .draws = 2, .images = 4, .t_first = 0, .t_last = 999, .drop = 0.1};

static void one_timestep_per_draw_or_per_image(void **state)
{
    (void)state;
    float t[24], again[24];
    draw_timesteps(&plan, 5, t);
    draw_timesteps(&plan, 5, again);
    assert_memory_equal(t, again, sizeof t);
    int different = 0;
    for (int row = 0; row < 24; row++) {
        assert_true(t[row] >= 0 && t[row] <= 999 && t[row] == floorf(t[row]));
        assert_true(t[row] == t[row / 4 * 4]);
        if (row % 4 == 0 && row && t[row] != t[row - 4]) different++;
    }
    assert_true(different >= 4); /* of 5 neighbours; fixed by the seed */
    draw_plan each = plan;
    each.per_image = true;
    draw_timesteps(&each, 5, again);
    int changed = 0;
    for (int row = 0; row < 24; row++) changed += again[row] != again[row / 4 * 4];
    assert_true(changed >= 16);
    draw_timesteps(&plan, 6, again);
    assert_memory_not_equal(t, again, sizeof t);
}

/* What makes accumulation, resuming and other batch sizes agree: set s draws the same whoever sits beside it. */
static void draws_do_not_depend_on_company(void **state)
{
    (void)state;
    draw_plan small = plan;
    small.sets = 1;
    small.draws = 1;
    small.images = 2;
    float t[24], few[2], noise[24][5], fewer[2][5];
    bool dropped[3], first;
    draw_timesteps(&plan, 11, t);
    draw_timesteps(&small, 11, few);
    assert_true(few[0] == t[0] && few[1] == t[1]);
    draw_noise(&plan, 11, 5, noise[0]);
    draw_noise(&small, 11, 5, fewer[0]);
    assert_memory_equal(noise, fewer, sizeof fewer);
    draw_dropped(&plan, 11, dropped);
    draw_dropped(&small, 11, &first);
    assert_int_equal(first, dropped[0]);
}

static void timesteps_are_uniform(void **state)
{
    (void)state;
    enum { BINS = 10, BATCHES = 2000 };
    int count[BINS] = {0};
    draw_plan p = plan;
    bool low = false, high = false;
    for (int batch = 0; batch < BATCHES; batch++) {
        float t[24];
        draw_timesteps(&p, batch, t);
        for (int row = 0; row < 24; row += 4) {
            count[(int)t[row] * BINS / 1000]++;
            low |= t[row] == 0;
            high |= t[row] == 999;
        }
    }
    double chi = 0, wanted = BATCHES * 6.0 / BINS;
    for (int i = 0; i < BINS; i++) chi += (count[i] - wanted) * (count[i] - wanted) / wanted;
    assert_true(chi < 27.9); /* 9 degrees of freedom, p = 0.001; fixed by the seed */
    assert_true(low && high);
    p.t_first = 600;
    p.t_last = 601;
    int upper = 0;
    for (int batch = 0; batch < 100; batch++) {
        float t[24];
        draw_timesteps(&p, batch, t);
        assert_true(t[0] == 600 || t[0] == 601);
        upper += t[0] == 601;
    }
    assert_in_range(upper, 30, 70);
}

static void noise_is_normal_and_never_repeated(void **state)
{
    (void)state;
    enum { N = 1000 };
    static float a[24][N], b[24][N];
    double sum = 0, square = 0, across = 0;
    draw_noise(&plan, 0, N, a[0]);
    draw_noise(&plan, 1, N, b[0]);
    for (int row = 0; row < 24; row++)
        for (int i = 0; i < N; i++) {
            sum += a[row][i];
            square += a[row][i] * a[row][i];
            across += a[row][i] * (b[row][i] + a[(row + 1) % 24][i]);
        }
    assert_true(fabs(sum / (24 * N)) < 0.02);        /* three sigma: 0.019 */
    assert_true(fabs(square / (24 * N) - 1) < 0.03); /* 0.027 */
    assert_true(fabs(across / (24 * N)) < 0.03);     /* 0.027 */
    draw_plan other = plan;
    other.purpose = DRAW_VALIDATE;
    draw_noise(&other, 0, N, b[0]);
    assert_memory_not_equal(a, b, sizeof a[0]);
    other = plan;
    other.seed = 7 + (1ull << 32);
    draw_noise(&other, 0, N, b[0]);
    assert_memory_not_equal(a, b, sizeof a[0]);
    draw_noise(&plan, 1ll << 32, N, b[0]); /* the batch's high half counts */
    assert_memory_not_equal(a, b, sizeof a[0]);
}

static void a_tenth_is_dropped_and_half_is_mirrored(void **state)
{
    (void)state;
    int drops = 0, flips = 0, both = 0;
    for (int batch = 0; batch < 4000; batch++) {
        bool dropped[3], flip[3];
        draw_dropped(&plan, batch, dropped);
        draw_flips(&plan, batch, flip);
        for (int set = 0; set < 3; set++)
            drops += dropped[set], flips += flip[set], both += dropped[set] && flip[set];
    }
    assert_in_range(drops, 1100, 1300); /* 1200, three sigma: 99 */
    assert_in_range(flips, 5836, 6164);
    assert_in_range(both, 528, 672); /* independent of each other */
    draw_plan p = plan;
    bool dropped[3];
    for (int batch = 0; batch < 200; batch++) {
        p.drop = 0;
        draw_dropped(&p, batch, dropped);
        assert_false(dropped[0] || dropped[1] || dropped[2]);
        p.drop = 1;
        draw_dropped(&p, batch, dropped);
        assert_true(dropped[0] && dropped[1] && dropped[2]);
    }
}

/* The condition is dropped in its own share of sets, whatever happens to the context. */
static void conditions_are_dropped_alone(void **state)
{
    (void)state;
    int alone = 0, context = 0, both = 0;
    draw_plan p = plan;
    p.drop = 0.1;
    p.drop_condition = 0.05;
    for (int batch = 0; batch < 4000; batch++) {
        bool all[3], condition[3];
        draw_dropped(&p, batch, all);
        draw_condition_dropped(&p, batch, condition);
        for (int set = 0; set < 3; set++)
            context += all[set], alone += condition[set], both += all[set] && condition[set];
    }
    assert_in_range(context, 1100, 1300);
    assert_in_range(alone, 528, 672);    /* 600, three sigma: 72 */
    assert_in_range(both, 36, 84);       /* 60: independent */
}

/* Seeds keep their meaning: these numbers were written down when the function was made, and change no more. */
static void seeds_keep_their_meaning(void **state)
{
    (void)state;
    float t[24], noise[24];
    draw_timesteps(&plan, 0, t);
    draw_noise(&plan, 0, 1, noise);
    assert_true(t[0] == 62 && t[4] == 958 && t[23] == 473);
    assert_true(fabsf(noise[0] - 0.161396801f) < 1e-6f && fabsf(noise[23] - 0.337977052f) < 1e-6f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_timestep_per_draw_or_per_image),
        cmocka_unit_test(draws_do_not_depend_on_company),
        cmocka_unit_test(timesteps_are_uniform),
        cmocka_unit_test(noise_is_normal_and_never_repeated),
        cmocka_unit_test(a_tenth_is_dropped_and_half_is_mirrored),
        cmocka_unit_test(conditions_are_dropped_alone),
        cmocka_unit_test(seeds_keep_their_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
