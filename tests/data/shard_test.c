/* Shards: what is written is read, the first-dot rule, and damaged tars are refused with a line that names them. */
#include "data/shard.h"

#include "tiny.h"

SCRATCH_DIR_FIXTURE(dir)

static void write_two(const char *path)
{
    shard_writer *w;
    static const char big[3000] = "a large one";
    shard_field one[] = {{"json", "{}", 2}, {"01.png", big, sizeof big}, {"00.png", "first", 5}, {"txt", "", 0}};
    assert_int_equal(shard_create(&w, path, NULL), 0);
    assert_int_equal(shard_add(w, "000", one, 4, NULL), 0);
    assert_int_equal(shard_add(w, "b/001", one + 1, 2, NULL), 0);
    assert_int_equal(shard_finish(&w, NULL), 0);
    assert_null(w);
}

static void written_is_read(void **state)
{
    (void)state;
    shard *s;
    size_t n;
    write_two(scratch_dir_file(&dir, "a.tar"));
    assert_int_equal(shard_open(&s, scratch_dir_file(&dir, "a.tar"), NULL), 0);
    assert_int_equal(shard_samples(s), 2);
    assert_string_equal(shard_key(s, 0), "000");
    assert_string_equal(shard_key(s, 1), "b/001");
    assert_int_equal(shard_members(s, 0), 4);
    assert_string_equal(shard_suffix(s, 0, 0), "00.png");      /* sorted */
    assert_string_equal(shard_suffix(s, 0, 2), "json");
    const uint8_t *data = shard_data(s, 1, shard_find(s, 1, "01.png"), &n);
    assert_int_equal(n, 3000);
    assert_memory_equal(data, "a large one", 12);
    shard_data(s, 0, shard_find(s, 0, "txt"), &n);
    assert_int_equal(n, 0);
    assert_int_equal(shard_find(s, 0, "jpg"), -1);
    assert_int_equal(shard_skipped(s), 0);
    shard_close(&s);
    assert_null(s);
}

static void same_calls_same_bytes(void **state)
{
    (void)state;
    write_two(scratch_dir_file(&dir, "a.tar"));
    bytes a = read_file(scratch_dir_file(&dir, "a.tar"));
    write_two(scratch_dir_file(&dir, "b.tar"));
    bytes b = read_file(scratch_dir_file(&dir, "b.tar"));
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    assert_memory_equal(a.data + 100, "000444 ", 7);           /* mode */
    assert_string_equal((char *)a.data + 265, "bigdata");
    free(a.data);
    free(b.data);
}

static void first_dot_ends_the_key(void **state)
{
    (void)state;
    static const struct { const char *name; size_t key; } cases[] = {{"a.png", 1}, {"a.b.png", 1}, {"d.x/a.00.jpg", 5},
        {"./a.txt", 3}, {"noending", 0}, {".hidden", 0}, {"d/.hidden.png", 0}, {"d/._a.png", 0}, {"a.", 1}, {"", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(shard_split(cases[i].name), cases[i].key);
}

static void foreign_members_are_skipped(void **state)
{
    (void)state;
    bytes t = {0};
    shard *s;
    tar_add(&t, "dir/", '5', NULL, 0);
    tar_add(&t, "__index__", '0', "x", 1);
    tar_add(&t, "__meta__/a.json", '0', "x", 1);
    tar_add(&t, "noending", '0', "x", 1);
    tar_add(&t, "link.png", '2', NULL, 0);
    tar_add(&t, "dir/A.PNG", '0', "upper", 5);
    tar_add(&t, "dir/A.Txt", '0', "t", 1);
    tar_add(&t, "dir/b.png", '0', "x", 1);
    tar_add(&t, "dir/A.png", '0', "x", 1);                     /* not adjacent: another sample */
    tar_end(&t);
    write_file(scratch_dir_file(&dir, "c.tar"), t.data, t.size);
    assert_int_equal(shard_open(&s, scratch_dir_file(&dir, "c.tar"), NULL), 0);
    assert_int_equal(shard_skipped(s), 5);
    assert_int_equal(shard_samples(s), 3);
    assert_string_equal(shard_key(s, 0), "dir/A");
    assert_string_equal(shard_suffix(s, 0, 0), "png");
    assert_string_equal(shard_suffix(s, 0, 1), "txt");
    shard_close(&s);
    free(t.data);
}

static void writer_refuses_what_would_read_differently(void **state)
{
    (void)state;
    static const struct {
        const char *key, *suffix;
    } cases[] = {{"a.b", "png"}, {"", "png"},      {".a", "png"},    {"a", "PNG"},  {"a", ""},
                 {"a", "x/png"}, {"__a__", "png"}, {"a\xff", "png"}, {"a\n", "png"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shard_writer *w;
        m2m_error err = {0};
        shard_field f = {cases[i].suffix, "x", 1};
        assert_int_equal(shard_create(&w, scratch_dir_file(&dir, "d.tar"), NULL), 0);
        int rc = shard_add(w, cases[i].key, &f, 1, &err);
        if (strcmp(cases[i].key, "__a__") != 0) assert_int_equal(rc, M2M_EINVAL);
        shard_abandon(&w);
        assert_int_equal(access(scratch_dir_file(&dir, "d.tar"), F_OK), -1);
    }
    shard_writer *w;
    shard_field twice[] = {{"png", "x", 1}, {"png", "y", 1}};
    assert_int_equal(shard_create(&w, scratch_dir_file(&dir, "d.tar"), NULL), 0);
    assert_int_equal(shard_add(w, "a", twice, 2, NULL), M2M_EINVAL);
    shard_abandon(&w);
    assert_int_equal(shard_create(&w, scratch_dir_file(&dir, "no/such/d.tar"), NULL), M2M_EIO);
}

/* ---- Damage ---- */

static void cut_header(bytes *t) { t->size = 1300; }
static void cut_data(bytes *t) { t->size = 512 + 100; }
static void empty(bytes *t) { t->size = 0; }
static void text(bytes *t) { memset(t->data, 'x', t->size); }
static void zeros(bytes *t) { memset(t->data, 0, t->size); t->data[t->size - 1] = 1; t->data[0] = 1; }
static void checksum(bytes *t) { t->data[1536 + 3] ^= 1; }
static void magic(bytes *t) { memset(t->data + 257, 'q', 8); }
static void huge(bytes *t) { memcpy(t->data + 124, "77777777777", 12); tar_sum(t, 0); }
static void past_end(bytes *t) { memcpy(t->data + 1536 + 124, "00000010000", 12); tar_sum(t, 1536); }
static void binary_huge(bytes *t)
{
    memset(t->data + 124, 0, 12);
    t->data[124] = 0x80;
    t->data[128] = 0x40;
    tar_sum(t, 0);
}
static void binary_negative(bytes *t) { memset(t->data + 124, 0xff, 12); tar_sum(t, 0); }
static void name_bytes(bytes *t) { t->data[0] = 0xff; tar_sum(t, 0); }
static void name_control(bytes *t) { t->data[0] = 7; tar_sum(t, 0); }
static void name_overlong(bytes *t) { memcpy(t->data, "\xc0\xaf", 2); tar_sum(t, 0); }
static void twice(bytes *t) { memcpy(t->data + 1536, t->data, 100); tar_sum(t, 1536); }
static void twice_by_case(bytes *t) { memcpy(t->data + 1536, "a.00.PNG", 9); tar_sum(t, 1536); }
static void gzip(bytes *t) { memcpy(t->data, "\x1f\x8b\x08\x00", 4); }
static void sparse(bytes *t)
{
    t->data[156] = 'S';
    memcpy(t->data + 257, "ustar  ", 8);
    memcpy(t->data + 386, "00000000000", 12);
    memcpy(t->data + 398, "00000000010", 12);
    memcpy(t->data + 483, "00000001000", 12);
    tar_sum(t, 0);
}
static void pax_huge(bytes *t) { t->data[156] = 'x'; memcpy(t->data + 124, "77777777777", 12); tar_sum(t, 0); }
static void long_name(bytes *t) { t->data[156] = 'L'; memcpy(t->data + 124, "17777777777", 12); tar_sum(t, 0); }

static void damage_is_refused(void **state)
{
    (void)state;
    static const struct { const char *what; void (*spoil)(bytes *);
    } cases[] = {
#define CASE(f) {#f, f}
        CASE(cut_header),      CASE(cut_data),   CASE(empty),        CASE(text),          CASE(zeros),
        CASE(checksum),        CASE(magic),      CASE(huge),         CASE(past_end),      CASE(binary_huge),
        CASE(binary_negative), CASE(name_bytes), CASE(name_control), CASE(name_overlong), CASE(twice),
        CASE(twice_by_case),   CASE(gzip),       CASE(sparse),       CASE(pax_huge),      CASE(long_name)};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static uint8_t content[1000];
        bytes t = {0};
        shard *s = NULL;
        m2m_error err = {0};
        tar_add(&t, "a.00.png", '0', content, 1000);
        tar_add(&t, "a.01.png", '0', content, 1000);
        tar_end(&t);
        cases[i].spoil(&t);
        write_file(scratch_dir_file(&dir, "e.tar"), t.data, t.size);
        int rc = shard_open(&s, scratch_dir_file(&dir, "e.tar"), &err);
        if (rc != M2M_EFORMAT) fail_msg("%s: shard_open gave %d (%s)", cases[i].what, rc, err.msg);
        if (!strstr(err.msg, "e.tar")) fail_msg("%s: the message names no file: %s", cases[i].what, err.msg);
        assert_null(s);
        free(t.data);
    }
}

static void absent_is_named(void **state)
{
    (void)state;
    shard *s;
    m2m_error err = {0};
    assert_int_equal(shard_open(&s, scratch_dir_file(&dir, "nowhere.tar"), &err), M2M_EIO);
    assert_non_null(strstr(err.msg, "nowhere.tar"));
    assert_int_not_equal(shard_open(&s, dir.path, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_is_read),
        cmocka_unit_test(same_calls_same_bytes),
        cmocka_unit_test(first_dot_ends_the_key),
        cmocka_unit_test(foreign_members_are_skipped),
        cmocka_unit_test(writer_refuses_what_would_read_differently),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(absent_is_named),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
