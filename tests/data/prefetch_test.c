/* Images decoded ahead are those that reading one by one gives, in the order asked for, whatever the number of threads;
 * a bad one is told at its place. */
#include "data/prefetch.h"
#include "data/shard.h"
#include "image/image.h"

#include "tiny.h"      /* last: cmocka has a macro named fail */

enum { SETS = 6, IMAGES = 5 };

SCRATCH_DIR_FIXTURE(dir)
static const dataset_view view = {16, 16, FIT_CROP, {255, 0, 0}};

static bool is_bad(int set, int image) { return (set + image) % 7 == 3; }

static void write_sets(dataset **d)
{
    static const char *const names[IMAGES] = {"00.png", "01.png", "02.png", "03.png", "04.png"};
    const char *path = scratch_dir_file(&dir, "sets.tar");
    shard_writer *w;
    assert_int_equal(shard_create(&w, path, NULL), 0);
    for (int s = 0; s < SETS; s++) {
        shard_field f[IMAGES];
        char key[20];
        for (int i = 0; i < IMAGES; i++) {
            f[i].suffix = names[i];
            f[i].data = tiny_png(16, s * IMAGES + i, &f[i].size);
            if (is_bad(s, i)) f[i].size /= 2;
        }
        snprintf(key, sizeof key, "%d", s);
        assert_int_equal(shard_add(w, key, f, IMAGES, NULL), 0);
        for (int i = 0; i < IMAGES; i++) free((void *)f[i].data);
    }
    assert_int_equal(shard_finish(&w, NULL), 0);
    assert_int_equal(dataset_open(d, path, 2, NULL), 0);
}

static void take_and_compare(prefetch *p, const dataset *d, loader_item it)
{
    m2m_image want = {0}, got = {0};
    m2m_error why_not = {0}, why = {0};
    int wanted = dataset_read(d, it.set, it.image, &view, &want, &why_not), status = prefetch_take(p, &got, &why);
    assert_int_equal(status, wanted);
    assert_int_equal(wanted != 0, is_bad(it.set, it.image));
    assert_string_equal(why.msg, why_not.msg);
    if (!status) assert_memory_equal(got.data, want.data, 3 * 16 * 16);
    m2m_image_free(&want);
    m2m_image_free(&got);
}

static void any_number_of_threads_gives_the_same(void **state)
{
    (void)state;
    dataset *d;
    write_sets(&d);
    for (int threads = 0; threads <= 3; threads++) {
        prefetch *p;
        int asked = 0, taken = 0;
        assert_int_equal(prefetch_open(&p, d, &view, 4, threads, NULL), 0);
        for (; taken < SETS * IMAGES; taken++) {
            while (asked < SETS * IMAGES && prefetch_ask(p, (loader_item){asked / IMAGES, asked % IMAGES})) asked++;
            assert_in_range(prefetch_waiting(p), 1, 4);
            take_and_compare(p, d, (loader_item){taken / IMAGES, taken % IMAGES});
        }
        assert_int_equal(prefetch_waiting(p), 0);
        prefetch_close(&p);
        assert_null(p);
    }
    dataset_close(&d);
}

static void what_is_forgotten_is_gone(void **state)
{
    (void)state;
    dataset *d;
    write_sets(&d);
    for (int threads = 0; threads <= 2; threads++) {
        prefetch *p;
        assert_int_equal(prefetch_open(&p, d, &view, 8, threads, NULL), 0);
        for (int i = 0; i < 5; i++) assert_true(prefetch_ask(p, (loader_item){0, i}));
        take_and_compare(p, d, (loader_item){0, 0});
        prefetch_forget(p);
        assert_int_equal(prefetch_waiting(p), 0);
        assert_true(prefetch_ask(p, (loader_item){2, 0}));
        take_and_compare(p, d, (loader_item){2, 0});
        for (int i = 0; i < 5; i++) assert_true(prefetch_ask(p, (loader_item){1, i}));
        prefetch_close(&p);      /* with some in work */
    }
    dataset_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads_gives_the_same),
        cmocka_unit_test(what_is_forgotten_is_gone),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
