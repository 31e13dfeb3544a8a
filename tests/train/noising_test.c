/* What becomes of a batch's context in training (spec 7, 11): noised to its set's level, or zeroed, or left alone. */
#include "train/noising.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { SETS = 6, IMAGES = 3, FLOATS = 8, ROWS = SETS * IMAGES };

static const bool dropped[SETS] = {false, true, false, false, true, false};

static void load_schedule(schedule *s)
{
    m2m_error err;
    int status = schedule_load(s, TEST_DIR "/golden/models/m2m_self/scheduler/scheduler_config.json", &err);
    if (status) fail_msg("%s", err.msg);
}

static void context_is_noised_to_its_level(void **state)
{
    (void)state;
    schedule s;
    draw_plan d = {.seed = 3, .sets = SETS, .draws = 1, .images = IMAGES, .t_last = 999, .context_noise = 200};
    float content[ROWS][FLOATS], context[ROWS][FLOATS], noise[FLOATS], wanted[FLOATS], zero[FLOATS] = {0};
    float times[ROWS];
    int level[SETS];
    load_schedule(&s);
    draw_noise(&d, 99, FLOATS, content[0]);
    for (int row = 0; row < ROWS; row++) times[row] = 10;
    noise_context(&d, &s, 7, FLOATS, content[0], dropped, context[0], times);
    draw_context_levels(&d, 7, level);
    for (int row = 0; row < ROWS; row++) {
        int set = row / IMAGES;
        assert_in_range(level[set], 0, 200);
        assert_true(times[row] == (float)(dropped[set] ? 10 : 10 + level[set]));
        draw_context_noise(&d, 7, set, row % IMAGES, FLOATS, noise);
        schedule_add_noise(&s, level[set], content[row], noise, wanted, FLOATS);
        assert_memory_equal(context[row], dropped[set] ? zero : wanted, sizeof zero);
    }
    d.context_noise = 0;
    noise_context(&d, &s, 8, FLOATS, content[0], dropped, context[0], times);
    for (int row = 0; row < ROWS; row++) {
        assert_true(times[row] == (float)(dropped[row / IMAGES] ? 10 : 10 + level[row / IMAGES]));
        assert_memory_equal(context[row], dropped[row / IMAGES] ? zero : content[row], sizeof zero);
    }
    schedule_free(&s);
}

/* Every level comes as often as any other, and no image's noise is another's, or that of the noisy images. */
static void levels_are_uniform_and_noise_is_new(void **state)
{
    (void)state;
    enum { BATCHES = 2000, HIGHEST = 9 };
    int count[HIGHEST + 1] = {0}, level[SETS];
    draw_plan d = {.seed = 3, .sets = SETS, .draws = 1, .images = IMAGES, .t_last = 999, .context_noise = HIGHEST};
    for (int batch = 0; batch < BATCHES; batch++) {
        draw_context_levels(&d, batch, level);
        for (int set = 0; set < SETS; set++) count[level[set]]++;
    }
    double chi = 0, wanted = BATCHES * SETS / (HIGHEST + 1.0);
    for (int i = 0; i <= HIGHEST; i++) chi += (count[i] - wanted) * (count[i] - wanted) / wanted;
    assert_true(chi < 27.9); /* 9 degrees of freedom, p = 0.001; fixed by the seed */
    float noisy[ROWS][FLOATS], context[ROWS][FLOATS];
    draw_noise(&d, 7, FLOATS, noisy[0]);
    for (int row = 0; row < ROWS; row++) draw_context_noise(&d, 7, row / IMAGES, row % IMAGES, FLOATS, context[row]);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < ROWS; j++) {
            assert_memory_not_equal(context[i], noisy[j], sizeof noisy[j]);
            if (i != j) assert_memory_not_equal(context[i], context[j], sizeof context[j]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_is_noised_to_its_level),
        cmocka_unit_test(levels_are_uniform_and_noise_is_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
