/* Latents that sets bring along are those that encoding their images would give, row by row; others are refused. */
#include "train/latents.h"

#include "data/shard.h"
#include "image/codec.h"
#include "lib/device.h"
#include "tensor/npy.h"

#include "scratch_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { SETS = 3, SIDE = 32 };

static scratch_dir dir;
static vae_model vae;
static backend *be;
static const dataset_view view = {SIDE, SIDE, FIT_CROP, {255, 255, 255}};

static int images_of(int set)
{
    return set + 2;
}

static int prepare(void **state)
{
    (void)state;
    m2m_error err;
    if (scratch_dir_make(&dir)) return -1;
    be = device_open("cpu", 1, (device_way){0}, NULL, &err);
    return !be || vae_model_open(&vae, TEST_DIR "/golden/models/vae", true, &err);
}

static int finish(void **state)
{
    (void)state;
    vae_model_close(&vae);
    be->close(be);
    scratch_dir_remove_tree(dir.path);
    return 0;
}

/* A shard of sets of 2, 3 and 4 images; rows: [9, floats] float16 to store with them, or NULL. spoiled: the set
 * whose latents lack a row. */
static const char *write_sets(const char *name, const uint16_t *rows, shape one, int spoiled)
{
    shard_writer *w;
    int64_t floats = shape_count(one), row = 0;
    assert_int_equal(shard_create(&w, scratch_dir_file(&dir, name), NULL), 0);
    for (int s = 0; s < SETS; s++) {
        char key[16];
        int n = images_of(s);
        char suffix[4][8];
        shard_field f[5];
        str npy = {0};
        for (int k = 0; k < n; k++) {
            m2m_image img;
            uint8_t *data;
            assert_int_equal(m2m_image_new(&img, SIDE, SIDE, 3, NULL), 0);
            for (int i = 0; i < SIDE * SIDE * 3; i++) img.data[i] = (uint8_t)(i * (s + 3) / (k + 1) + 50 * k);
            snprintf(suffix[k], sizeof suffix[k], "%02d.png", k);
            f[k].suffix = suffix[k];
            assert_int_equal(image_encode(&img, IMAGE_PNG, NULL, 0, &data, &f[k].size, NULL), 0);
            f[k].data = data;
            m2m_image_free(&img);
        }
        one.dim[0] = n - (s == spoiled);
        tensor t = {.type = DT_F16, .shape = one, .data = rows ? (void *)(uintptr_t)(rows + row * floats) : NULL};
        if (rows) npy_write(&npy, &t);
        f[n] = (shard_field){"latents.npy", npy.data, npy.len};
        snprintf(key, sizeof key, "%09d", s);
        assert_int_equal(shard_add(w, key, f, n + (rows != NULL), NULL), 0);
        for (int k = 0; k < n; k++) free((void *)(uintptr_t)f[k].data);
        str_free(&npy);
        row += n;
    }
    assert_int_equal(shard_finish(&w, NULL), 0);
    return scratch_dir_file(&dir, name);
}

static shape latent_shape(void)
{
    int f = vae_factor(&vae.config);
    return SHAPE(1, vae.config.latent_channels, SIDE / f, SIDE / f);
}

static void stored_ones_are_the_encoded_ones(void **state)
{
    (void)state;
    dataset *plain, *with;
    latents encoded, stored;
    m2m_error err = {0};
    int64_t total = 9, floats = shape_count(latent_shape());
    assert_int_equal(dataset_open(&plain, write_sets("plain.tar", NULL, latent_shape(), -1), 2, &err), 0);
    latents_source from = {.vae = &vae};
    if (latents_open(&encoded, scratch_dir_file(&dir, "cache"), plain, &view, &from, false, be, NULL, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(encoded.floats, floats);
    assert_int_equal(dataset_open(&with, write_sets("with.tar", encoded.data, latent_shape(), -1), 2, &err), 0);
    if (latents_open_stored(&stored, with, &view, &vae, &err)) fail_msg("%s", err.msg);
    assert_int_equal(dataset_total(with), total);
    float *x = malloc((size_t)floats * sizeof *x), *y = malloc((size_t)floats * sizeof *y);
    for (int64_t i = 0; i < total; i++) {
        assert_int_equal(stored.good[i], 1);
        latents_get(&encoded, i, false, x);
        latents_get(&stored, i, false, y);
        assert_memory_equal(x, y, (size_t)floats * sizeof *x);
    }
    free(x);
    free(y);
    latents_close(&encoded);
    latents_close(&stored);
    dataset_close(&plain);
    dataset_close(&with);
}

static void others_are_refused(void **state)
{
    (void)state;
    static uint16_t zeros[9 * 4 * SIDE * SIDE];
    dataset *d;
    latents l;
    m2m_error err = {0};
    assert_int_equal(dataset_open(&d, write_sets("short.tar", zeros, latent_shape(), 1), 2, &err), 0);
    assert_int_equal(latents_open_stored(&l, d, &view, &vae, &err), M2M_EFORMAT);
    assert_non_null(strstr(err.msg, "set 000000001: .latents.npy is F16"));
    latents_close(&l);
    dataset_close(&d);
    assert_int_equal(dataset_open(&d, write_sets("none.tar", NULL, latent_shape(), -1), 2, &err), 0);
    assert_int_equal(latents_open_stored(&l, d, &view, &vae, &err), M2M_EFORMAT);
    assert_non_null(strstr(err.msg, "set 000000000: has no member .latents.npy"));
    latents_close(&l);
    dataset_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_ones_are_the_encoded_ones),
        cmocka_unit_test(others_are_refused),
    };
    return cmocka_run_group_tests(tests, prepare, finish);
}
