#include "layouts.h"

#include "base/file.h"
#include "base/json.h"
#include "data/import.h"

#include "tiny.h"      /* last: cmocka has a macro named fail */

void layout_copy(const char *from, const char *to)
{
    char **names;
    int n;
    assert_int_equal(dir_make(to, NULL), 0);
    assert_int_equal(dir_list(from, &names, &n, NULL), 0);
    for (int i = 0; i < n; i++) {
        char *a = path_join(from, names[i]), *b = path_join(to, names[i]);
        assert_true(a && b);
        if (dir_exists(a)) {
            layout_copy(a, b);
        } else {
            bytes data = read_file(a);
            FILE *f = fopen(b, "wb");      /* no wait for the disk, as file_write_all does */
            assert_true(f && fwrite(data.data, 1, data.size, f) == data.size && fclose(f) == 0);
            free(data.data);
        }
        free(a);
        free(b);
    }
    names_free(&names, n);
}

const char *layout_path(const char *kind)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/data/layouts/%s", TEST_DIR, kind);
    return path;
}

static void note(void *user, const char *text)
{
    import_run *r = user;
    size_t n = strlen(r->lines);
    snprintf(r->lines + n, sizeof r->lines - n, "%s\n", text);
}

static long number(const cJSON *o, const char *key)
{
    int64_t value = -1;
    if (json_int(o, key, 0, INT64_MAX, &value, NULL)) fail_msg("the report has no number %s", key);
    return (long)value;
}

/* Counts of the report, which must agree with its list. */
static void read_report(import_run *r, const char *path)
{
    static const char *const keys[] = {"damaged_shards", "unreadable_folders", "bad_records", "bad_images",
                                       "bad_poses",      "bad_json",           "small_sets",  "duplicate_keys"};
    cJSON *o;
    if (json_load(&o, path, NULL)) fail_msg("%s: no report", path);
    r->sets = number(o, "sets");
    r->images = number(o, "images");
    r->problems = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) r->problems += number(o, keys[i]);
    assert_int_equal(cJSON_GetArraySize(json_member(o, "problems")), r->problems);
    cJSON_Delete(o);
}

/* The library is linked as its objects, so the table of rows is not needed here: the fields that matter. */
static m2m_import_options options(void)
{
    return (m2m_import_options){.fit = "crop", .background = "ffffff", .least = 2, .shard = 1000, .split = "all",
                                .views = 12, .set_size = 8, .threads = 2};
}

void layout_import(import_run *r, const char *kind, const char *source, const char *out,
                   void (*change)(m2m_import_options *))
{
    static const m2m_calls none = {0};
    m2m_calls calls = none;
    m2m_import_options o = options();
    char report[700];
    *r = (import_run){.rc = 0};
    calls.user = r;
    calls.line = note;
    if (change) change(&o);
    snprintf(report, sizeof report, "%s.report", out ? out : source);
    unlink(report);
    r->rc = m2m_data_import(kind, source, out, &o, report, &calls, &r->err);
    if (!access(report, F_OK)) read_report(r, report);
    unlink(report);
}
