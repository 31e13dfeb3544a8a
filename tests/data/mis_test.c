/* Image sets from captions, with a source of images made up here: the same bytes in one run, in shares, in any batch,
 * and after any number of deaths; what is left out is counted; two runs notice each other. */
#include "data/mis.h"

#include "base/error.h"
#include "base/file.h"
#include "base/opts.h"
#include "base/rng.h"
#include "data/mis_plan.h"
#include "data/shard.h"
#include "image/codec.h"
#include "tensor/npy.h"
#include "tiny.h"                     /* Trap: cmocka has a macro fail; (fail)(…) is ours */

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>

enum { SIDE = 16, ROWS = 40, GOOD = 33 };

static scratch_dir dir;
static char tsv[500], lines[8192];
static int calls_made;

/* ---- A source: words are tokens, pixels come from the seed ---- */

static int words(const void *user, const char *caption)
{
    (void)user;
    int n = 2;
    for (const char *c = caption; *c; c++) n += *c == ' ';
    return n + 1;
}

typedef struct fake {
    int pause_us;
    bool fails;                /* at the caption "caption 17 …" */
} fake;

static int make(void *user, const char *caption, const uint64_t *seeds, int n, mis_step *step, void *step_user,
                m2m_image *images, float *latents, m2m_error *err)
{
    const fake *f = user;
    calls_made++;
    if (f->fails && strstr(caption, "caption 17 ")) return (fail)(err, M2M_EDEVICE, "the device is gone");
    for (int i = 0; i < n; i++) {
        float z[SIDE * SIDE * 3];
        rng_normal(seeds[i], RNG_NOISE, 0, z, sizeof z / sizeof *z);
        if (m2m_image_new(&images[i], SIDE, SIDE, 3, err)) return M2M_ENOMEM;
        for (int k = 0; k < SIDE * SIDE * 3; k++) images[i].data[k] = (uint8_t)(int)(128 + 30 * z[k]);
        if (latents) memcpy(latents + i * 16, z, 16 * sizeof *z);
        if (f->pause_us) nanosleep(&(struct timespec){.tv_nsec = f->pause_us * 1000}, NULL);
        if (step(step_user, (i + 1.0) / n)) return (fail)(err, M2M_ECANCELLED, "stopped");
    }
    return 0;
}

static mis_source source(fake *f, int batch)
{
    return (mis_source){.user = f, .tokens = words, .make = make, .batch = batch, .max_tokens = 7, .width = SIDE,
                        .height = SIDE, .latent_channels = 4, .latent_height = 2, .latent_width = 2,
                        .model = "/models/tiny", .sha256 = "0123456789abcdef"};
}

static m2m_mis_options options(void)
{
    m2m_mis_options o;
    opts_defaults(m2m_options("mis"), &o);
    o.images = 5;
    o.shard = 7;
    o.validation = 0.2;
    o.test = 0.15;
    o.latents = 1;
    o.threads = 1;
    return o;
}

static void keep_line(void *user, const char *text)
{
    (void)user;
    strncat(lines, text, sizeof lines - strlen(lines) - 2);
    strcat(lines, "\n");
}

static const m2m_calls listen = {.line = keep_line};

static int run_with(const char *out, fake *f, int batch, const m2m_mis_options *o, m2m_error *err)
{
    char path[600];
    mis_source s = source(f, batch);
    snprintf(path, sizeof path, "%s/%s", dir.path, out);
    lines[0] = 0;
    return mis_make(&s, tsv, path, o, &listen, err);
}

static void run(const char *out, int batch, const char *share)
{
    m2m_mis_options o = options();
    m2m_error err = {0};
    o.share = share;
    if (run_with(out, &(fake){0}, batch, &o, &err)) fail_msg("%s", err.msg);
}

/* ---- Looking ---- */

static int compare_trees(const char *a, const char *b)
{
    char **names;
    int n, files = 0;
    if (dir_list(a, &names, &n, NULL)) fail_msg("%s is not there", a);
    for (int i = 0; i < n; i++) {
        char x[700], y[700];
        snprintf(x, sizeof x, "%.400s/%.250s", a, names[i]);
        snprintf(y, sizeof y, "%.400s/%.250s", b, names[i]);
        if (dir_exists(x)) {
            files += compare_trees(x, y);
            continue;
        }
        bytes p = read_file(x), q = read_file(y);
        if (p.size != q.size || (p.size && memcmp(p.data, q.data, p.size))) fail_msg("%s and %s differ", x, y);
        free(p.data);
        free(q.data);
        files++;
    }
    names_free(&names, n);
    return files;
}

/* Both directories hold the same files with the same bytes. */
static void expect_same(const char *a, const char *b)
{
    char x[600], y[600];
    snprintf(x, sizeof x, "%s/%s", dir.path, a);
    snprintf(y, sizeof y, "%s/%s", dir.path, b);
    int n = compare_trees(x, y);
    assert_true(n >= 6);               /* mis.json and five shards */
    assert_int_equal(compare_trees(y, x), n);
}

static void forget(const char *out)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir.path, out);
    scratch_dir_remove_tree(path);
}

/* ---- Tests ---- */

static int prepare(void **state)
{
    (void)state;
    if (scratch_dir_make(&dir)) return -1;
    snprintf(tsv, sizeof tsv, "%s", scratch_dir_file(&dir, "captions.tsv"));
    char text[8192] = "";
    for (int i = 0; i < ROWS; i++) {
        char line[200];
        if (i == 3) strcpy(line, "no column\n");
        else if (i == 9) strcpy(line, "http://a\t \n");
        else if (i == 11 || i == 39) snprintf(line, sizeof line, "http://a\tcaption %d %c\xff\n", i, 'x');
        else if (i % 13 == 5) snprintf(line, sizeof line, "http://a\tcaption %d with far too many words in it\n", i);
        else snprintf(line, sizeof line, "http://a/%d\tcaption %d of %d\n", i, i, i * i);
        strcat(text, line);
    }
    write_file(tsv, text, strlen(text));
    run("whole", 2, NULL);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    scratch_dir_remove_tree(dir.path);
    return 0;
}

static void what_is_left_out_is_counted(void **state)
{
    (void)state;
    run("counted", 5, NULL);
    assert_non_null(strstr(lines, "captions: 40 lines, 33 used (train "));
    assert_non_null(strstr(lines, "left out: 3 over 7 tokens, 1 without column, 1 empty, 2 not UTF-8, "
                                  "0 over-long lines"));
    assert_non_null(strstr(lines, "33 sets of 5 images made; "));
    assert_non_null(strstr(lines, " holds 33 of 33 sets in "));
    run("counted", 5, NULL);
    assert_non_null(strstr(lines, "0 sets of 5 images made, 33 were there"));
    expect_same("whole", "counted");
    forget("counted");
}

/* All sets of a split folder: checks each sample, returns how many. */
static int check_split(const char *out, const char *split, bool seen[ROWS])
{
    int sets = 0;
    for (int k = 0;; k++) {
        char path[700];
        shard *s;
        snprintf(path, sizeof path, "%s/%s/%s/mis-%05d.tar", dir.path, out, split, k);
        if (!file_exists(path)) return sets;
        assert_int_equal(shard_open(&s, path, NULL), 0);
        assert_true(shard_samples(s) >= 1 && shard_samples(s) <= 7);
        for (int64_t i = 0; i < shard_samples(s); i++, sets++) {
            int id = atoi(shard_key(s, i));
            char caption[64];
            size_t size;
            assert_int_equal(strlen(shard_key(s, i)), 9);
            assert_false(seen[id]);
            seen[id] = true;
            snprintf(caption, sizeof caption, "caption %d of %d", id, id * id);
            assert_int_equal(shard_members(s, i), 8);
            const uint8_t *text = shard_data(s, i, shard_find(s, i, "txt"), &size);
            assert_int_equal(size, strlen(caption));
            assert_memory_equal(text, caption, size);
            tensor t;
            const uint8_t *npy = shard_data(s, i, shard_find(s, i, "latents.npy"), &size);
            assert_int_equal(npy_view(&t, npy, size, "latents", NULL), 0);
            shape want = SHAPE(5, 4, 2, 2);
            assert_true(t.type == DT_F16 && shape_equal(t.shape, want));
        }
        shard_close(&s);
    }
}

static void every_caption_is_one_sample(void **state)
{
    (void)state;
    bool seen[ROWS] = {false};
    int train = check_split("whole", "train", seen), validation = check_split("whole", "validation", seen);
    int test = check_split("whole", "test", seen);
    assert_int_equal(train + validation + test, GOOD);
    assert_true(validation > 0 && test > 0 && train > validation);
    assert_true(!seen[3] && !seen[5] && !seen[39] && seen[0] && seen[38]);
}

/* Values of an independent program (Python's hashlib and integers). */
static void seeds_and_splits_are_as_documented(void **state)
{
    (void)state;
    assert_true(mis_image_seed(0, 0, 0) == 5290320199303051u);
    assert_true(mis_image_seed(42, 123456789, 24) == 7989832067841178u);
    assert_true(mis_image_seed(42949672960u, 30064771073, 3) == 4644631794982188u);
    run("splits", 5, NULL);
    assert_non_null(strstr(lines, "33 used (train 20, validation 7, test 6)"));
    bool seen[ROWS] = {false};
    assert_int_equal(check_split("splits", "test", seen), 6);
    assert_true(seen[4] && seen[7] && seen[15]);
    assert_int_equal(check_split("splits", "validation", seen), 7);
    assert_true(seen[0] && seen[1] && seen[16]);
    forget("splits");
}

static void a_part_of_another_shard_is_refused(void **state)
{
    (void)state;
    char from[700], to[700];
    m2m_error err = {0};
    m2m_mis_options o = options();
    snprintf(from, sizeof from, "%s/whole/train/mis-00000.tar", dir.path);
    snprintf(to, sizeof to, "%s/mixed/train", dir.path);
    assert_int_equal(dir_make(to, NULL), 0);
    strcat(to, "/mis-00001.tar.part");
    bytes text = read_file(from);
    write_file(to, text.data, text.size / 2);
    free(text.data);
    assert_int_equal(run_with("mixed", &(fake){0}, 5, &o, &err), M2M_EFORMAT);
    assert_non_null(strstr(err.msg, "mis-00001.tar.part: set 0 in it is \"000000002\""));
    unlink(to);
    run("mixed", 5, NULL);
    expect_same("whole", "mixed");
    forget("mixed");
}

static void an_image_can_be_made_alone(void **state)
{
    (void)state;
    char path[700];
    shard *s;
    size_t size;
    snprintf(path, sizeof path, "%s/whole/train/mis-00000.tar", dir.path);
    assert_int_equal(shard_open(&s, path, NULL), 0);
    int64_t id = atoll(shard_key(s, 1));
    uint64_t seed = mis_image_seed(0, id, 3);
    char number[32];
    snprintf(number, sizeof number, "%llu", (unsigned long long)seed);
    const uint8_t *json = shard_data(s, 1, shard_find(s, 1, "json"), &size);
    assert_non_null(memmem(json, size, number, strlen(number)));
    m2m_image want = {0};
    uint8_t *data;
    size_t n;
    const uint8_t *jpg = shard_data(s, 1, shard_find(s, 1, "03.jpg"), &size);
    float z[SIDE * SIDE * 3];
    rng_normal(seed, RNG_NOISE, 0, z, sizeof z / sizeof *z);
    assert_int_equal(m2m_image_new(&want, SIDE, SIDE, 3, NULL), 0);
    for (int k = 0; k < SIDE * SIDE * 3; k++) want.data[k] = (uint8_t)(int)(128 + 30 * z[k]);
    assert_int_equal(image_encode(&want, IMAGE_JPEG, NULL, 0, &data, &n, NULL), 0);
    assert_int_equal(n, size);
    assert_memory_equal(data, jpg, n);
    free(data);
    m2m_image_free(&want);
    shard_close(&s);
}

static void batches_and_shares_change_nothing(void **state)
{
    (void)state;
    run("one", 1, NULL);
    expect_same("whole", "one");
    forget("one");
    run("shares", 3, "2/4");
    run("shares", 5, "0/4");
    run("shares", 2, "3/4");
    assert_non_null(strstr(lines, "share 3/4: "));
    run("shares", 1, "1/4");
    assert_non_null(strstr(lines, "holds 33 of 33 sets"));
    expect_same("whole", "shares");
    forget("shares");
    run("many", 3, "5/1000");                          /* more shares than shards: some have nothing to do */
    for (int i = 0; i < 3; i++) run("many", 3, (const char *const[]){"0/3", "1/3", "2/3"}[i]);
    expect_same("whole", "many");
    forget("many");
}

static pid_t start(const char *out, const char *share, int pause_us)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid) return pid;
    m2m_mis_options o = options();
    fake f = {.pause_us = pause_us};
    o.share = share;
    _exit(run_with(out, &f, 2, &o, NULL) ? 1 : 0);
}

static void killed_again_and_again(void **state)
{
    (void)state;
    rng r = rng_make(1, 0, 0);
    int kills = 0, status = -1;
    for (; status; kills += status != 0) {
        assert_true(kills < 1000);
        pid_t pid = start("killed", NULL, 1000);
        nanosleep(&(struct timespec){.tv_nsec = 1000000 * (long)(10 + rng_below(&r, 30))}, NULL);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    assert_true(kills >= 3);
    expect_same("whole", "killed");
    forget("killed");
}

static void runs_beside_each_other(void **state)
{
    (void)state;
    pid_t pids[4];
    int status;
    for (int i = 0; i < 4; i++) pids[i] = start("beside", (const char *const[]){"0/4", "1/4", "2/4", "3/4"}[i], 100);
    for (int i = 0; i < 4; i++) {
        waitpid(pids[i], &status, 0);
        assert_int_equal(status, 0);
    }
    expect_same("whole", "beside");
    forget("beside");
}

static void two_runs_notice_each_other(void **state)
{
    (void)state;
    m2m_error err = {0};
    m2m_mis_options o = options();
    pid_t pid = start("twice", NULL, 20000);
    char part[700];
    snprintf(part, sizeof part, "%s/twice", dir.path);
    dir_make(part, NULL);
    write_file(strcat(part, "/.m2m-0123456789abcdef.tmp"), "x", 1);     /* of a run that was killed */
    snprintf(part, sizeof part, "%s/twice/train/mis-00000.tar.part", dir.path);
    for (int i = 0; i < 500 && !file_exists(part); i++) nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(run_with("twice", &(fake){0}, 2, &o, &err), M2M_EIO);
    assert_non_null(strstr(err.msg, "mis-00000.tar.part: another run is writing it"));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    run("twice", 5, NULL);                             /* a dead one is in nobody's way */
    expect_same("whole", "twice");
    forget("twice");
}

static void a_failure_keeps_what_is_finished(void **state)
{
    (void)state;
    m2m_error err = {0};
    m2m_mis_options o = options();
    assert_int_equal(run_with("failed", &(fake){.fails = true}, 5, &o, &err), M2M_EDEVICE);
    assert_non_null(strstr(err.msg, "caption 17, image 0"));
    calls_made = 0;
    run("failed", 5, NULL);
    assert_true(calls_made < GOOD);
    expect_same("whole", "failed");
    forget("failed");
}

static int stop_later(void *user, const char *what, int64_t done, int64_t total)
{
    (void)what;
    assert_true(done <= total || !total);
    return strstr(what, "images") && ++*(int *)user > 40;
}

static void stopping_keeps_what_is_finished(void **state)
{
    (void)state;
    int steps = 0;
    char path[600];
    m2m_error err = {0};
    m2m_calls calls = {.user = &steps, .progress = stop_later};
    m2m_mis_options o = options();
    fake f = {0};
    mis_source s = source(&f, 2);
    snprintf(path, sizeof path, "%s/stopped", dir.path);
    assert_int_equal(mis_make(&s, tsv, path, &o, &calls, &err), M2M_ECANCELLED);
    assert_non_null(strstr(err.msg, "stopped after "));
    calls_made = 0;
    run("stopped", 5, NULL);
    assert_true(calls_made > 20 && calls_made < GOOD);
    expect_same("whole", "stopped");
    forget("stopped");
}

static void other_options_are_refused(void **state)
{
    (void)state;
    m2m_error err = {0};
    m2m_mis_options o = options();
    o.steps = 20;
    assert_int_equal(run_with("whole", &(fake){0}, 2, &o, &err), M2M_EINVAL);
    assert_non_null(strstr(err.msg, "made with steps 50, asked is 20"));
    o = options();
    o.share = "4/4";
    assert_int_equal(run_with("whole", &(fake){0}, 2, &o, &err), M2M_EINVAL);
    assert_non_null(strstr(err.msg, "share: found \"4/4\""));
    o.share = "1/2x";
    assert_int_equal(run_with("whole", &(fake){0}, 2, &o, &err), M2M_EINVAL);
}

static void other_captions_are_refused(void **state)
{
    (void)state;
    m2m_error err = {0};
    m2m_mis_options o = options();
    bytes text = read_file(tsv);
    assert_int_equal(run_with("changed", &(fake){.fails = true}, 5, &o, &err), M2M_EDEVICE);
    char *at = memmem(text.data, text.size, "caption 17 of", 13);
    at[2]++;
    write_file(tsv, text.data, text.size);
    assert_int_equal(run_with("changed", &(fake){0}, 5, &o, &err), M2M_EFORMAT);
    assert_non_null(strstr(err.msg, "are not those that this data set was begun with"));
    at[2]--;
    write_file(tsv, text.data, text.size - 1);
    assert_int_equal(run_with("changed", &(fake){0}, 5, &o, &err), M2M_EINVAL);
    assert_non_null(strstr(err.msg, "captions.tsv: has "));
    write_file(tsv, text.data, text.size);
    free(text.data);
    forget("changed");
}

static void a_limit_takes_the_first(void **state)
{
    (void)state;
    m2m_error err = {0};
    m2m_mis_options o = options();
    o.limit = 10;
    o.validation = o.test = 0;
    assert_int_equal(run_with("few", &(fake){0}, 5, &o, &err), 0);
    assert_non_null(strstr(lines, "captions: 14 lines, 10 used (train 10, validation 0, test 0)"));
    forget("few");
}

static void a_shard_that_cant_be_written_is_named(void **state)
{
    (void)state;
    char path[700];
    m2m_error err = {0};
    m2m_mis_options o = options();
    snprintf(path, sizeof path, "%s/blocked/train/mis-00001.tar", dir.path);
    assert_int_equal(dir_make(path, NULL), 0);
    assert_int_equal(run_with("blocked", &(fake){0}, 5, &o, &err), M2M_EIO);
    assert_non_null(strstr(err.msg, "mis-00001.tar: can't write it"));
    rmdir(path);
    calls_made = 0;
    run("blocked", 5, NULL);
    assert_true(calls_made <= GOOD - 14);              /* the finished sets of the blocked shard, too, were kept */
    expect_same("whole", "blocked");
    forget("blocked");
}

static void nothing_usable_is_an_error(void **state)
{
    (void)state;
    m2m_error err = {0};
    m2m_mis_options o = options();
    bytes text = read_file(tsv);
    write_file(tsv, "one\ntwo\nhttp://a\tlong long long long long long long caption\n", 58);
    assert_int_equal(run_with("none", &(fake){0}, 5, &o, &err), M2M_EFORMAT);
    assert_non_null(strstr(err.msg, "3 lines, 2 without that column"));
    write_file(tsv, text.data, text.size);
    free(text.data);
    forget("none");
}

static void an_estimate_scales_the_sample(void **state)
{
    (void)state;
    m2m_error err = {0};
    m2m_mis_options o = options();
    fake f = {.pause_us = 20000};
    mis_source s = source(&f, 8);
    s.flops = 80.4e12;
    lines[0] = 0;
    o.images = 25;
    assert_int_equal(mis_estimate(&s, tsv, &o, &listen, &err), 0);
    double each = 0, hours = 0;
    const char *all = strstr(lines, "all of CC12M: 12237187 captions x 25 = 305929675 images");
    assert_non_null(all);
    assert_int_equal(sscanf(strstr(lines, "measured: "), "measured: %lf s an image", &each), 1);
    assert_int_equal(sscanf(strstr(all, "here, "), "here, %lf CPU hours", &hours), 1);
    assert_true(each >= 0.02 && each < 0.1);
    assert_true(hours > 305929675.0 * 0.0199 / 3600 && hours < 305929675.0 * 0.1 / 3600);
    const char *gpu = strstr(all, "80.4 TFLOP of U-Net an image; ");           /* 305929675 x 80.4 / 50 / 3600 */
    assert_non_null(gpu);
    assert_int_equal(sscanf(strstr(gpu, "; "), "; %lf GPU hours at 50 TFLOP/s", &hours), 1);
    assert_float_equal(hours, 1.366e5, 0.001e5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_is_counted),
        cmocka_unit_test(every_caption_is_one_sample),
        cmocka_unit_test(seeds_and_splits_are_as_documented),
        cmocka_unit_test(a_part_of_another_shard_is_refused),
        cmocka_unit_test(an_image_can_be_made_alone),
        cmocka_unit_test(batches_and_shares_change_nothing),
        cmocka_unit_test(killed_again_and_again),
        cmocka_unit_test(runs_beside_each_other),
        cmocka_unit_test(two_runs_notice_each_other),
        cmocka_unit_test(a_failure_keeps_what_is_finished),
        cmocka_unit_test(stopping_keeps_what_is_finished),
        cmocka_unit_test(other_options_are_refused),
        cmocka_unit_test(other_captions_are_refused),
        cmocka_unit_test(a_limit_takes_the_first),
        cmocka_unit_test(a_shard_that_cant_be_written_is_named),
        cmocka_unit_test(nothing_usable_is_an_error),
        cmocka_unit_test(an_estimate_scales_the_sample),
    };
    return cmocka_run_group_tests(tests, prepare, remove_dir);
}
