/* Shards made over several runs: cut anywhere, gone on with, and the bytes are those of one run; one run at a time. */
#include "base/file.h"
#include "data/shard.h"

#include "tiny.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { SAMPLES = 5, MEMBERS = 3 };

static scratch_dir dir;
static char path[500], part[520];

static int make_dir(void **state)
{
    (void)state;
    if (scratch_dir_make(&dir)) return -1;
    snprintf(path, sizeof path, "%s", scratch_dir_file(&dir, "a.tar"));
    snprintf(part, sizeof part, "%s.part", path);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    scratch_dir_remove_tree(dir.path);
    return 0;
}

/* Sample i; members of sizes around a tar block's. */
static int add(shard_writer *w, int i, m2m_error *err)
{
    static const char content[2000] = "content";
    char key[16];
    snprintf(key, sizeof key, "%09d", i * 3);
    shard_field f[MEMBERS] = {{"txt", key, strlen(key)}, {"00.png", content, (size_t)(510 + i)},
                              {"latents.npy", content, (size_t)(i * 400)}};
    return shard_add(w, key, f, MEMBERS, err);
}

static bytes whole(void)
{
    shard_writer *w;
    assert_int_equal(shard_create(&w, scratch_dir_file(&dir, "whole.tar"), NULL), 0);
    for (int i = 0; i < SAMPLES; i++) assert_int_equal(add(w, i, NULL), 0);
    assert_int_equal(shard_finish(&w, NULL), 0);
    return read_file(scratch_dir_file(&dir, "whole.tar"));
}

/* Goes on with the shard from what is there, and ends it. Returns how many samples were there. */
static int go_on(void)
{
    shard_writer *w;
    m2m_error err = {0};
    if (shard_continue(&w, path, MEMBERS, &err)) fail_msg("%s", err.msg);
    int kept = (int)shard_kept(w);
    for (int i = 0; i < kept; i++) assert_int_equal(atoi(shard_kept_key(w, i)), i * 3);
    for (int i = kept; i < SAMPLES; i++) assert_int_equal(add(w, i, NULL), 0);
    assert_int_equal(shard_finish(&w, NULL), 0);
    assert_null(w);
    return kept;
}

static void expect_whole(const bytes *want)
{
    bytes got = read_file(path);
    assert_int_equal(got.size, want->size);
    assert_memory_equal(got.data, want->data, want->size);
    free(got.data);
    unlink(path);
    assert_false(file_exists(part));
}

/* Bytes of sample i and those before it. */
static size_t end_of(const bytes *t, int i)
{
    char last[32];
    snprintf(last, sizeof last, "%09d.txt", i * 3);
    for (size_t at = 0; at < t->size; at += 512)
        if (!strcmp((char *)t->data + at, last)) return at + 1024;
    fail_msg("%s is not there", last);
    return 0;
}

static void in_one_run(void **state)
{
    (void)state;
    bytes want = whole();
    assert_int_equal(go_on(), 0);
    expect_whole(&want);
    free(want.data);
}

static void cut_anywhere(void **state)
{
    (void)state;
    bytes want = whole();
    for (size_t n = 0; n <= want.size; n += 61) {
        int complete = 0;
        while (complete < SAMPLES && end_of(&want, complete) <= n) complete++;
        write_file(part, want.data, n);
        assert_int_equal(go_on(), complete);
        expect_whole(&want);
    }
    free(want.data);
}

static void rubbish_behind_the_samples_is_cut_off(void **state)
{
    (void)state;
    bytes want = whole();
    size_t n = end_of(&want, 1);
    static uint8_t text[60000];
    assert_true(want.size < sizeof text);
    memset(text, 0xa5, sizeof text);
    memcpy(text, want.data, n);
    write_file(part, text, sizeof text);
    assert_int_equal(go_on(), 2);
    expect_whole(&want);
    free(want.data);
}

static void abandoned_keeps_complete_samples(void **state)
{
    (void)state;
    shard_writer *w;
    bytes want = whole();
    assert_int_equal(shard_continue(&w, path, MEMBERS, NULL), 0);
    shard_abandon(&w);
    assert_false(file_exists(part));               /* nothing in it */
    assert_int_equal(shard_continue(&w, path, MEMBERS, NULL), 0);
    assert_int_equal(add(w, 0, NULL), 0);
    assert_int_equal(add(w, 1, NULL), 0);
    assert_int_equal(file_size(part), end_of(&want, 1));           /* it is there before the writer ends */
    shard_abandon(&w);
    assert_int_equal(file_size(part), end_of(&want, 1));
    assert_int_equal(go_on(), 2);
    expect_whole(&want);
    free(want.data);
}

static void a_full_disk_loses_nothing(void **state)
{
    (void)state;
    bytes want = whole();
    signal(SIGXFSZ, SIG_IGN);
    for (size_t room = 0; room < end_of(&want, SAMPLES - 1); room += 700) {
        int complete = 0;
        while (complete < SAMPLES && end_of(&want, complete) <= room) complete++;
        struct rlimit old, limit;
        shard_writer *w;
        m2m_error err = {0};
        getrlimit(RLIMIT_FSIZE, &old);
        limit = (struct rlimit){room, old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        int rc = shard_continue(&w, path, MEMBERS, &err), i = 0;
        while (!rc && i < SAMPLES && !(rc = add(w, i, &err))) i++;
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(rc, M2M_EIO);
        assert_int_equal(i, complete);
        assert_non_null(strstr(err.msg, "a.tar"));
        assert_non_null(strstr(err.msg, "File too large"));
        shard_abandon(&w);
        assert_int_equal(go_on(), complete);
        expect_whole(&want);
    }
    free(want.data);
}

static void one_run_at_a_time(void **state)
{
    (void)state;
    shard_writer *w, *other = NULL;
    assert_int_equal(shard_continue(&w, path, MEMBERS, NULL), 0);
    assert_true(shard_is_locked(w));
    assert_int_equal(add(w, 0, NULL), 0);
    assert_int_equal(shard_continue(&other, path, MEMBERS, NULL), 1);
    assert_null(other);
    assert_false(file_exists(path));
    for (int i = 1; i < SAMPLES; i++) assert_int_equal(add(w, i, NULL), 0);
    assert_int_equal(shard_finish(&w, NULL), 0);
    assert_int_equal(shard_continue(&other, path, MEMBERS, NULL), 1);  /* finished */
    assert_true(file_exists(path));
    assert_false(file_exists(part));
    bytes want = whole();
    expect_whole(&want);
    free(want.data);
}

static void a_dead_run_holds_nothing(void **state)
{
    (void)state;
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (!pid) {
        shard_writer *w;
        if (shard_continue(&w, path, MEMBERS, NULL) || add(w, 0, NULL) || write(ready[1], "x", 1) != 1) _exit(1);
        pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    shard_writer *w;
    assert_int_equal(shard_continue(&w, path, MEMBERS, NULL), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(go_on(), 1);
    bytes want = whole();
    expect_whole(&want);
    free(want.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_one_run),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(rubbish_behind_the_samples_is_cut_off),
        cmocka_unit_test(abandoned_keeps_complete_samples),
        cmocka_unit_test(a_full_disk_loses_nothing),
        cmocka_unit_test(one_run_at_a_time),
        cmocka_unit_test(a_dead_run_holds_nothing),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
