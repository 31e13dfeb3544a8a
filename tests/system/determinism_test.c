/* What a seed promises: the same images from the same arguments; image k from (seed, k) and its context alone; exact
 * replay from tensors; and a record in each PNG that says what was used. */
#include "program.h"

#include "base/sha256.h"
#include "image/codec.h"
#include "m2m.h"
#include "tensor/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 6, LATENT = 4 * 8 * 8 };      /* the golden pipeline's latents in these cases */

typedef struct run {
    float *latents, *trajectory;             /* [n, LATENT], [n, STEPS+1, LATENT] */
    int64_t n;
} run;

static float *floats(const safetensors *s, const char *name)
{
    const tensor *t = safetensors_find(s, name);
    assert_non_null(t);
    int64_t n = shape_count(t->shape);
    float *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    to_f32(x, t->data, t->type, n);
    return x;
}

/* Runs generate into DIR=name with more arguments (NULL at the end) and reads the saved latents. */
static run generate(const char *name, const char *const *more)
{
    outcome o;
    const char *args[32] = {
        "generate",       in_tests("golden/models/m2m_self"), "--steps", "6", "-o", in_scratch("%s", name),
        "--save-latents", in_scratch("%s.safetensors", name)};
    int k = 8;
    for (int i = 0; more[i]; i++) args[k++] = more[i];
    program_run(&o, &(way){0}, args);
    expect_success(&o);
    safetensors *s = NULL;
    assert_int_equal(safetensors_open(&s, in_scratch("%s.safetensors", name), NULL), 0);
    run r = {floats(s, "latents"), floats(s, "trajectory"), safetensors_find(s, "latents")->shape.dim[0]};
    safetensors_close(&s);
    return r;
}

#define GENERATE(name, ...) generate(name, (const char *const[]){__VA_ARGS__, NULL})

static void run_free(run *r)
{
    free(r->latents);
    free(r->trajectory);
}

static bool same_image(const run *a, int i, const run *b, int j)
{
    size_t one = LATENT * sizeof(float), path = (STEPS + 1) * one;
    return !memcmp(a->latents + i * LATENT, b->latents + j * LATENT, one) &&
           !memcmp((char *)a->trajectory + (size_t)i * path, (char *)b->trajectory + (size_t)j * path, path);
}

static double relative(const float *a, const float *b, int n)
{
    double apart = 0, norm = 0;
    for (int i = 0; i < n; i++) {
        apart += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += (double)b[i] * b[i];
    }
    return sqrt(apart / norm);
}

static void same_seed_same_bits(void **state)
{
    (void)state;
    run a = GENERATE("a", "-i", in_scratch("given.png"), "-n", "2", "--size", "16x16", "--seed", "5");
    run b = GENERATE("b", "-i", in_scratch("given.png"), "-n", "2", "--size", "16x16", "--seed", "5");
    run c = GENERATE("c", "-i", in_scratch("given.png"), "-n", "2", "--size", "16x16", "--seed", "6");
    assert_true(same_files(in_scratch("a.safetensors"), in_scratch("b.safetensors")));
    assert_true(same_files(in_scratch("a/000.png"), in_scratch("b/000.png")));
    assert_true(same_files(in_scratch("a/contact_sheet.png"), in_scratch("b/contact_sheet.png")));
    assert_false(same_image(&a, 0, &c, 0));
    assert_false(same_image(&a, 0, &a, 1));
    run_free(&a);
    run_free(&b);
    run_free(&c);
}

static void an_image_does_not_depend_on_how_many_follow(void **state)
{
    (void)state;
    run one = GENERATE("one", "-i", in_scratch("given.png"), "-n", "1", "--size", "16x16");
    run three = GENERATE("three", "-i", in_scratch("given.png"), "-n", "3", "--size", "16x16");
    run two = GENERATE("two", "-i", in_scratch("given.png"), "-n", "2", "--size", "16x16");
    assert_int_equal(three.n, 3);
    assert_true(same_image(&one, 0, &three, 0));
    assert_true(same_image(&two, 1, &three, 1));
    run_free(&one);
    run_free(&two);
    run_free(&three);
}

/* Threads may change how sums are rounded, never what is drawn. Measured when set: no difference at all; 1e-4 is
 * far above rounding and far below another noise. */
static void the_number_of_threads_does_not_change_the_noise(void **state)
{
    (void)state;
    run a = GENERATE("t1", "-i", in_scratch("given.png"), "-n", "1", "--size", "16x16", "--threads", "1");
    run b = GENERATE("t2", "-i", in_scratch("given.png"), "-n", "1", "--size", "16x16", "--threads", "2");
    assert_memory_equal(a.trajectory, b.trajectory, LATENT * sizeof(float));
    print_message("             1 and 2 threads: relative L2 %.2g\n", relative(a.latents, b.latents, LATENT));
    assert_true(relative(a.latents, b.latents, LATENT) < 1e-4);
    run_free(&a);
    run_free(&b);
}

static void the_cache_changes_nothing(void **state)
{
    (void)state;
    run a = GENERATE("cached", "-i", in_scratch("given.png"), "-n", "2", "--size", "16x16");
    run b = GENERATE("uncached", "-i", in_scratch("given.png"), "-n", "2", "--size", "16x16", "--no-cache");
    print_message("             cache on and off: relative L2 %.2g\n", relative(a.latents, b.latents, 2 * LATENT));
    assert_true(relative(a.latents, b.latents, 2 * LATENT) < 1e-4);
    run_free(&a);
    run_free(&b);
}

static void write_latents(const char *name, const char *tensor_name, const float *x, int n)
{
    safetensors_item item = {
        .name = tensor_name,
        .t = {.type = DT_F32, .shape = SHAPE(n, 4, 8, 8), .data = (void *)(uintptr_t)x},
        .stored = DT_F32,
    };
    assert_int_equal(safetensors_save(in_scratch("%s", name), &item, 1, NULL, 0, NULL), 0);
}

/* A generated latent enters the context as it is: giving it back as a given one, with the noise of the next image,
 * makes the next image again, bit for bit. */
static void saved_latents_replay_exactly(void **state)
{
    (void)state;
    float given[3 * LATENT];
    for (int i = 0; i < 2 * LATENT; i++) given[i] = sinf((float)i * 1.7f);
    write_latents("k2.safetensors", "latents", given, 2);
    run a = GENERATE("replay_a", "--latents", in_scratch("k2.safetensors"), "-n", "2", "--seed", "9", "--window", "3");
    memcpy(given + 2 * LATENT, a.latents, LATENT * sizeof(float));
    write_latents("k3.safetensors", "latents", given, 3);
    write_latents("noise.safetensors", "noise", a.trajectory + (STEPS + 1) * LATENT,
                  1); // DDIM starts from the noise itself
    run b = GENERATE("replay_b", "--latents", in_scratch("k3.safetensors"), "--noise",
                     in_scratch("noise.safetensors"), "-n", "1", "--window", "3");
    assert_true(same_image(&a, 1, &b, 0));
    run_free(&a);
    run_free(&b);
}

static cJSON *record_of(const char *path)
{
    m2m_text *texts = NULL;
    int n = 0;
    assert_int_equal(image_read_texts(path, &texts, &n, NULL), 0);
    const char *parameters = image_text_find(texts, n, "parameters"), *json = image_text_find(texts, n, "m2m");
    assert_true(parameters && json);
    assert_non_null(strstr(parameters, "Steps: 6, Sampler: DDIM, CFG scale: 7.5, Seed: 4, Size: 16x16, Model hash: "));
    cJSON *o = cJSON_Parse(json);
    assert_non_null(o);
    image_texts_free(&texts, n);
    return o;
}

static void every_png_says_how_it_was_made(void **state)
{
    (void)state;
    run a = GENERATE("record", "-i", in_scratch("given.png"), "-n", "3", "--size", "16x16", "--seed", "4",
                     "--window", "2");
    run_free(&a);
    static const char *const roles[3][2] = {{"user", NULL}, {"user", "generated"}, {"generated", "generated"}};
    for (int k = 0; k < 3; k++) {
        cJSON *o = record_of(in_scratch("record/%03d.png", k));
        cJSON *context = cJSON_GetObjectItem(o, "context");
        assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(o, "index")), k);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(o, "variant")), "m2m-self");
        assert_int_equal(strlen(cJSON_GetStringValue(cJSON_GetObjectItem(o, "model_sha256"))), 64);
        assert_int_equal(cJSON_GetArraySize(context), k ? 2 : 1);
        for (int i = 0; i < cJSON_GetArraySize(context); i++)
            assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(context, i), "role")),
                                roles[k][i]);
        cJSON_Delete(o);
    }
    // The hash of a context image is that of the image beside it.
    m2m_image img = {0};
    char hash[SHA256_HEX];
    assert_int_equal(m2m_image_load(&img, in_scratch("record/001.png"), NULL), 0);
    sha256_of(img.data, (size_t)img.width * (size_t)img.height * (size_t)img.channels, hash);
    m2m_image_free(&img);
    cJSON *o = record_of(in_scratch("record/002.png"));
    cJSON *last = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "context"), 1);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(last, "sha256")), hash);
    cJSON_Delete(o);
}

static int prepare(void **state)
{
    if (scratch_make(state)) return -1;
    m2m_image img = {0};
    if (m2m_image_new(&img, 16, 16, 3, NULL)) return -1;
    for (int i = 0; i < 16 * 16 * 3; i++) img.data[i] = (uint8_t)(i * 7);
    int failed = m2m_image_save(&img, in_scratch("given.png"), NULL, 0, NULL);
    m2m_image_free(&img);
    return failed;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_bits),
        cmocka_unit_test(an_image_does_not_depend_on_how_many_follow),
        cmocka_unit_test(the_number_of_threads_does_not_change_the_noise),
        cmocka_unit_test(the_cache_changes_nothing),
        cmocka_unit_test(saved_latents_replay_exactly),
        cmocka_unit_test(every_png_says_how_it_was_made),
    };
    return cmocka_run_group_tests_name("determinism", tests, prepare, scratch_remove);
}
