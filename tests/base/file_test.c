/* Files: what is written appears whole or not at all; every failure names the path and leaves no trace. */
#include "base/file.h"
#include "scratch_dir.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <cmocka.h>

SCRATCH_DIR_FIXTURE(dir)

static const char *in_dir(const char *name)
{
    return scratch_dir_file(&dir, name);
}

static void holds(const char *path, const char *wanted)
{
    char *text;
    size_t n;
    assert_int_equal(file_read_all(path, 1000, &text, &n, NULL), 0);
    assert_int_equal(n, strlen(wanted));
    assert_string_equal(text, wanted);
    free(text);
}

static void written_is_read(void **state)
{
    (void)state;
    struct stat st;
    const char *path = in_dir("a");
    mode_t mask = umask(022);
    assert_int_equal(file_write_all(path, "one", 3, NULL), 0);
    umask(mask);
    holds(path, "one");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_equal(file_write_all(path, "", 0, NULL), 0);
    holds(path, "");
    assert_int_equal(scratch_dir_count(&dir), 1);
    unlink(path);
}

static void large_writes_keep_their_order(void **state)
{
    (void)state;
    enum { N = 700000 };
    static uint8_t block[N];
    file_out *f;
    file_map m;
    size_t sizes[] = {2, 262143, 1, 262142, 3, N, 0, 100}, total = 0, at = 0;
    for (size_t i = 0; i < N; i++) block[i] = (uint8_t)(i * 7 + i / 256);
    const char *path = in_dir("big");
    assert_int_equal(file_out_open(&f, path, NULL), 0);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(file_out_write(f, block + i, sizes[i] - (sizes[i] == N ? i : 0), NULL), 0);
    assert_false(file_exists(path));
    assert_int_equal(file_out_commit(&f, NULL), 0);
    assert_null(f);
    for (size_t i = 0; i < 8; i++) total += sizes[i] - (sizes[i] == N ? i : 0);
    assert_int_equal(file_map_open(&m, path, NULL), 0);
    assert_int_equal(m.size, total);
    for (size_t i = 0; i < 8; i++) {
        size_t n = sizes[i] - (sizes[i] == N ? i : 0);
        assert_memory_equal(m.data + at, block + i, n);
        at += n;
    }
    file_map_drop(&m, 0, m.size);
    file_map_drop(&m, 1, 5000);
    file_map_drop(&m, m.size, 1);
    assert_memory_equal(m.data, block, 1);
    file_map_close(&m);
    assert_null(m.data);
    file_map_close(&m);
    unlink(path);
}

static void abandoned_leaves_nothing(void **state)
{
    (void)state;
    file_out *f;
    const char *path = in_dir("a");
    assert_int_equal(file_write_all(path, "old", 3, NULL), 0);
    assert_int_equal(file_out_open(&f, path, NULL), 0);
    assert_int_equal(scratch_dir_count(&dir), 2);
    assert_int_equal(file_out_write(f, "new", 3, NULL), 0);
    file_out_abandon(&f);
    file_out_abandon(&f);
    holds(path, "old");
    assert_int_equal(scratch_dir_count(&dir), 1);
    unlink(path);
}

/* A limit on file sizes acts like a disk that fills up in the middle. */
static void full_disk_keeps_the_old_file(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    static uint8_t block[N];
    struct rlimit old, small;
    m2m_error err = {0};
    const char *path = in_dir("a");
    assert_int_equal(file_write_all(path, "old", 3, NULL), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){1000, old.rlim_max};
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int large = file_write_all(path, block, N, &err);
    file_out *f;
    assert_int_equal(file_out_open(&f, path, NULL), 0);
    int buffered = file_out_write(f, block, 2000, NULL), commit = file_out_commit(&f, NULL);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, before);
    assert_int_equal(large, M2M_EIO);
    assert_string_equal(err.msg + strlen(path), ": can't write it: File too large");
    assert_int_equal(buffered, 0);
    assert_int_equal(commit, M2M_EIO);
    holds(path, "old");
    assert_int_equal(scratch_dir_count(&dir), 1);
    unlink(path);
}

static void devices_are_written_directly(void **state)
{
    (void)state;
    m2m_error err = {0};
    struct stat st;
    assert_int_equal(file_write_all("/dev/full", "x", 1, &err), M2M_EIO);
    assert_string_equal(err.msg, "/dev/full: can't write it: No space left on device");
    assert_int_equal(stat("/dev/full", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    assert_int_equal(file_write_all("/dev/null", "x", 1, &err), 0);
    static uint8_t block[1 << 20];
    file_out *f;
    assert_int_equal(file_out_open(&f, "/dev/full", NULL), 0);
    assert_int_equal(file_out_write(f, block, sizeof block, NULL), M2M_EIO);
    assert_int_equal(file_out_write(f, "x", 1, NULL), M2M_EIO); /* the failure sticks */
    assert_int_equal(file_out_commit(&f, NULL), M2M_EIO);
    assert_int_equal(file_append("/dev/full", "x", 1, &err), M2M_EIO);
}

static void unwritable_places_are_named(void **state)
{
    (void)state;
    m2m_error err = {0};
    file_out *f = NULL;
    assert_int_equal(file_write_all("/nonexistent/a", "x", 1, &err), M2M_EIO);
    assert_string_equal(err.msg, "/nonexistent/a: can't write it: No such file or directory");
    assert_int_equal(file_out_open(&f, "/proc/a", &err), M2M_EIO);
    assert_null(f);
    assert_int_equal(file_out_open(&f, dir.path, &err), M2M_EIO);
    assert_non_null(strstr(err.msg, "directory"));
    assert_int_equal(file_out_open(&f, in_dir(""), &err), M2M_EIO);
    assert_int_equal(file_append("/nonexistent/a", "x", 1, &err), M2M_EIO);
    assert_int_equal(scratch_dir_count(&dir), 0);
}

static void unreadable_things_are_named(void **state)
{
    (void)state;
    m2m_error err = {0};
    char *text = NULL;
    file_map m = {(const uint8_t *)"x", 1};
    const char *path = in_dir("a");
    assert_int_equal(file_map_open(&m, path, &err), M2M_EIO);
    assert_null(m.data);
    assert_non_null(strstr(err.msg, "/a: can't open it: No such file"));
    assert_int_equal(file_map_open(&m, "/dev/zero", &err), M2M_EIO);
    assert_string_equal(err.msg, "/dev/zero: is no regular file, a file was wanted");
    assert_int_equal(file_read_all(dir.path, 10, &text, NULL, &err), M2M_EIO);
    assert_non_null(strstr(err.msg, "is a directory"));
    assert_int_equal(file_write_all(path, "12345", 5, NULL), 0);
    assert_int_equal(file_read_all(path, 4, &text, NULL, &err), M2M_EFORMAT);
    assert_non_null(strstr(err.msg, "has 5 bytes, at most 4 allowed"));
    assert_null(text);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(file_map_open(&m, path, &err), M2M_EIO); /* and does not wait for a writer */
    unlink(path);
}

static void appending(void **state)
{
    (void)state;
    const char *path = in_dir("log");
    assert_int_equal(file_append(path, "a\n", 2, NULL), 0);
    assert_int_equal(file_append(path, "b\n", 2, NULL), 0);
    holds(path, "a\nb\n");
    unlink(path);
}

static void directories(void **state)
{
    (void)state;
    m2m_error err = {0};
    char **names, deep[480];
    int n = -1;
    snprintf(deep, sizeof deep, "%s", in_dir("x//y/z/"));
    assert_int_equal(dir_make(deep, NULL), 0);
    assert_int_equal(dir_make(deep, NULL), 0);
    assert_true(dir_exists(deep));
    snprintf(deep, sizeof deep, "%s", in_dir("x/b"));
    assert_int_equal(file_write_all(deep, "1", 1, NULL), 0);
    assert_int_equal(file_write_all(in_dir("x/B"), "1", 1, NULL), 0);
    assert_int_equal(file_write_all(in_dir("x/.c"), "1", 1, NULL), 0);
    assert_int_equal(dir_list(in_dir("x"), &names, &n, NULL), 0);
    assert_int_equal(n, 4);
    const char *wanted[] = {".c", "B", "b", "y"};
    for (int i = 0; i < 4; i++) assert_string_equal(names[i], wanted[i]);
    names_free(&names, n);
    assert_null(names);
    assert_int_equal(dir_make(deep, &err), M2M_EIO);
    assert_non_null(strstr(err.msg, "is no directory"));
    assert_int_equal(dir_make(in_dir("x/b/c"), &err), M2M_EIO);
    assert_int_equal(dir_list(in_dir("nowhere"), &names, &n, &err), M2M_EIO);
    assert_int_equal(dir_list(in_dir("x/y/z"), &names, &n, NULL), 0);
    assert_int_equal(n, 0);
    names_free(&names, n);
    assert_true(file_exists(deep) && !dir_exists(deep) && file_size(deep) == 1);
    assert_true(!file_exists(dir.path) && file_size(dir.path) == -1);
}

/* Memory in a nameless file: zero at first, kept when it leaves RAM, gone with its end. */
static void memory_in_a_file(void **state)
{
    (void)state;
    enum { SIZE = 5 * 4096 + 100 };
    file_memory m;
    m2m_error err;
    char **names;
    int before, after;
    assert_int_equal(dir_list(dir.path, &names, &before, NULL), 0);
    names_free(&names, before);
    assert_int_equal(file_memory_open(&m, dir.path, SIZE, &err), 0);
    uint8_t *p = m.data;
    for (int i = 0; i < SIZE; i++) {
        assert_int_equal(p[i], 0);
        p[i] = (uint8_t)(i * 7 + 1);
    }
    file_memory_drop(&m, 0, SIZE);
    for (int i = 0; i < SIZE; i++) assert_int_equal(p[i], (uint8_t)(i * 7 + 1));
    assert_int_equal(dir_list(dir.path, &names, &after, NULL), 0);
    names_free(&names, after);
    assert_int_equal(before, after);
    file_memory_close(&m);
    assert_null(m.data);
    assert_int_equal(file_memory_open(&m, in_dir("nowhere"), SIZE, &err), M2M_EIO);
    assert_non_null(strstr(err.msg, "nowhere"));
    assert_int_equal(file_memory_open(&m, dir.path, (size_t)1 << 62, &err), M2M_EIO);
    assert_non_null(strstr(err.msg, "bytes of disk"));
    assert_null(m.data);
}

static void names(void **state)
{
    (void)state;
    static const char *const joins[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"a", "/b", "/b"}, {"/", "b", "/b"}};
    for (int i = 0; i < 5; i++) {
        char *p = path_join(joins[i][0], joins[i][1]);
        assert_string_equal(p, joins[i][2]);
        free(p);
    }
    assert_string_equal(path_base("a/b.c"), "b.c");
    assert_string_equal(path_base("b"), "b");
    assert_string_equal(path_base("a/"), "");
    static const char *const folders[][2] = {{"a/b.c", "a"}, {"/a/b/c", "/a/b"}, {"b", "."}, {"/b", "/"}};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *up = path_dir(folders[i][0]);
        assert_string_equal(up, folders[i][1]);
        free(up);
    }
    assert_true(path_ends("a.PNG", ".png"));
    assert_false(path_ends("png", ".png"));
    assert_false(path_ends("a.png.txt", ".png"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_is_read),
        cmocka_unit_test(large_writes_keep_their_order),
        cmocka_unit_test(abandoned_leaves_nothing),
        cmocka_unit_test(full_disk_keeps_the_old_file),
        cmocka_unit_test(devices_are_written_directly),
        cmocka_unit_test(unwritable_places_are_named),
        cmocka_unit_test(unreadable_things_are_named),
        cmocka_unit_test(appending),
        cmocka_unit_test(directories),
        cmocka_unit_test(memory_in_a_file),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
