/* Outputs that can't be written, disks that fill up, and Ctrl-C: what was there stays, nothing is half-written. */
#include "program.h"

#include "m2m.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *model(void)
{
    return in_tests("golden/models/m2m_self");
}

static void forget_output(void)
{
    remove_tree(in_scratch("out"));
    assert_int_equal(mkdir(in_scratch("out"), 0777), 0);
    assert_int_equal(chmod(in_scratch("out"), 0777), 0);
}

static void generate_to(outcome *o, const way *w, const char *dir)
{
    program_run(o, w,
                (const char *const[]){"generate", model(), "-i", in_scratch("good.png"), "-n", "2", "--steps", "2",
                                      "-o", dir, NULL});
}

static void forward_to(outcome *o, const way *w, const char *path)
{
    program_run(o, w, (const char *const[]){"forward", model(), "--component", "m2m", "--in",
                                            in_tests("golden/m2m_self_16x16/in.safetensors"), "--out", path, NULL});
}

static void save_latents_to(outcome *o, const way *w, const char *path)
{
    program_run(o, w,
                (const char *const[]){"generate", model(), "-i", in_scratch("good.png"), "-n", "1", "--steps", "2",
                                      "-o", in_scratch("out"), "--save-latents", path, NULL});
}

static void output_folder_is_a_file(void **state)
{
    (void)state;
    outcome o;
    generate_to(&o, &(way){0}, in_scratch("file"));
    expect_refused(&o, "file");
    generate_to(&o, &(way){0}, in_scratch("file/below/it"));
    expect_refused(&o, "file");
}

static void output_folder_cant_be_made(void **state)
{
    (void)state;
    outcome o;
    generate_to(&o, &(way){0}, "/proc/m2m/out");
    expect_refused(&o, "/proc/m2m");
}

static void a_failure_leaves_no_new_folder(void **state)
{
    (void)state;
    outcome o;
    RUN(&o, "generate", model(), "-i", in_scratch("gone.png"), "-o", in_scratch("new/and/deep"));
    expect_refused(&o, "gone.png");
    assert_false(there(in_scratch("new")));
}

static void output_folder_is_read_only(void **state)
{
    (void)state;
    outcome o;
    mkdir(in_scratch("locked"), 0755);
    chmod(in_scratch("locked"), 0555);
    way w = {.unprivileged = true};
    program_run(&o, &w, (const char *const[]){"--version", NULL});
    if (o.status) skip(); // another user can't start the program where it lies
    generate_to(&o, &w, in_scratch("locked"));
    expect_refused(&o, "locked");
    forward_to(&o, &w, in_scratch("locked/y.safetensors"));
    expect_refused(&o, "locked");
    assert_int_equal(count_files(in_scratch("locked")), 0);
}

static void output_file_is_a_folder(void **state)
{
    (void)state;
    outcome o;
    forward_to(&o, &(way){0}, in_scratch("out"));
    expect_refused(&o, "out");
    save_latents_to(&o, &(way){0}, in_scratch("out"));
    expect_refused(&o, "out");
    assert_int_equal(count_files(in_scratch("out")), 0);
}

static void output_file_in_no_folder(void **state)
{
    (void)state;
    outcome o;
    forward_to(&o, &(way){0}, in_scratch("nowhere/y.safetensors"));
    expect_refused(&o, "nowhere");
    save_latents_to(&o, &(way){0}, in_scratch("nowhere/y.safetensors"));
    expect_refused(&o, "nowhere");
    assert_int_equal(count_files(in_scratch("out")), 0); // found before the long work
}

static void the_disk_is_full(void **state)
{
    (void)state;
    outcome o;
    forward_to(&o, &(way){0}, "/dev/full");
    expect_refused(&o, "/dev/full");
    save_latents_to(&o, &(way){0}, "/dev/full");
    expect_refused(&o, "/dev/full");
    struct stat st;
    assert_int_equal(stat("/dev/full", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    forget_output();
}

static void the_disk_fills_up_under_an_image(void **state)
{
    (void)state;
    outcome o;
    generate_to(&o, &(way){.file_limit = 100}, in_scratch("out"));
    expect_refused(&o, "000.png");
    assert_int_equal(count_files(in_scratch("out")), 0);
    write_text(in_scratch("out/000.png"), "what was there");
    generate_to(&o, &(way){.file_limit = 100}, in_scratch("out"));
    expect_refused(&o, "000.png");
    assert_int_equal(count_files(in_scratch("out")), 1);
    size_t size;
    char *text = read_file(in_scratch("out/000.png"), &size);
    assert_string_equal(text, "what was there");
    free(text);
    forget_output();
}

static void the_disk_fills_up_under_tensors(void **state)
{
    (void)state;
    outcome o;
    forward_to(&o, &(way){.file_limit = 5000}, in_scratch("out/y.safetensors"));
    expect_refused(&o, "y.safetensors");
    assert_int_equal(count_files(in_scratch("out")), 0);
    forward_to(&o, &(way){0}, in_scratch("out/y.safetensors"));
    expect_success(&o);
    assert_int_equal(rename(in_scratch("out/y.safetensors"), in_scratch("before")), 0);
    size_t size;
    char *data = read_file(in_scratch("before"), &size);
    write_file(in_scratch("out/y.safetensors"), data, size);
    free(data);
    forward_to(&o, &(way){.file_limit = 5000}, in_scratch("out/y.safetensors"));
    expect_refused(&o, "y.safetensors");
    assert_true(same_files(in_scratch("before"), in_scratch("out/y.safetensors")));
    assert_int_equal(count_files(in_scratch("out")), 1);
    forget_output();
}

static void standard_output_is_full(void **state)
{
    (void)state;
    outcome o;
    generate_to(&o, &(way){.output = "/dev/full"}, in_scratch("out"));
    expect_refused(&o, "standard output");
    assert_int_equal(count_files(in_scratch("out")), 3);
    forget_output();
}

static void interrupted_generation_keeps_what_is_finished(void **state)
{
    (void)state;
    outcome o;
    way w = {.until = in_scratch("out/001.png")};
    program_run(&o, &w, (const char *const[]){"generate", model(), "-i", in_scratch("good.png"), "-n", "900", "-o",
                                              in_scratch("out"), NULL});
    assert_int_equal(o.status, 130);
    assert_int_equal(strncmp(o.err, "m2m: stopped", 12), 0);
    assert_ptr_equal(strchr(o.err, '\n'), o.err + strlen(o.err) - 1);
    assert_true(there(in_scratch("out/000.png")) && there(w.until) && !there(in_scratch("out/899.png")));
    assert_true(there(in_scratch("out/contact_sheet.png")));
    forget_output();
}

static int prepare(void **state)
{
    if (scratch_make(state)) return -1;
    chmod(in_scratch("."), 0777);
    mkdir(in_scratch("out"), 0777);
    write_text(in_scratch("file"), "a file\n");
    m2m_image img = {0};
    int failed = m2m_image_new(&img, 32, 32, 3, NULL) || m2m_image_save(&img, in_scratch("good.png"), NULL, 0, NULL);
    m2m_image_free(&img);
    return failed;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_folder_is_a_file),
        cmocka_unit_test(output_folder_cant_be_made),
        cmocka_unit_test(a_failure_leaves_no_new_folder),
        cmocka_unit_test(output_folder_is_read_only),
        cmocka_unit_test(output_file_is_a_folder),
        cmocka_unit_test(output_file_in_no_folder),
        cmocka_unit_test(the_disk_is_full),
        cmocka_unit_test(the_disk_fills_up_under_an_image),
        cmocka_unit_test(the_disk_fills_up_under_tensors),
        cmocka_unit_test(standard_output_is_full),
        cmocka_unit_test(interrupted_generation_keeps_what_is_finished),
    };
    return cmocka_run_group_tests_name("disk", tests, prepare, scratch_remove);
}
