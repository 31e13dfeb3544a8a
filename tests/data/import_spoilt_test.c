/* Each layout spoilt in 30 ways and more: what is bad is counted and listed, what is good is kept, nothing is made up,
 * and only what can't be read at all is an error. Run under the sanitizers, too (.ci/run). */
#include "layouts.h"

#include "base/file.h"

#include "tiny.h"      /* last: cmocka has a macro named fail */

SCRATCH_DIR_FIXTURE(dir)
static char source[300];       /* the spoilt copy */

typedef void spoil(const char *path, const char *a, const char *b);

/* ---- Ways to spoil a file ---- */

static void put_bytes(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f)) fail_msg("%s: can't be written", path);
}

static void put(const char *path, const char *a, const char *b)
{
    (void)b;
    put_bytes(path, a, strlen(a));
}

static void append(const char *path, const char *a, const char *b)
{
    (void)b;
    FILE *f = fopen(path, "ab");
    assert_true(f && fwrite(a, 1, strlen(a), f) == strlen(a) && fclose(f) == 0);
}

/* Keeps a per cent. */
static void cut(const char *path, const char *a, const char *b)
{
    (void)b;
    bytes x = read_file(path);
    put_bytes(path, x.data, x.size * (size_t)atoi(a) / 100);
    free(x.data);
}

static void lose_end(const char *path, const char *a, const char *b)
{
    (void)b;
    bytes x = read_file(path);
    put_bytes(path, x.data, x.size - (size_t)atoi(a));
    free(x.data);
}

static void lose(const char *path, const char *a, const char *b)
{
    (void)a, (void)b;
    assert_int_equal(unlink(path), 0);
}

static void lose_tree(const char *path, const char *a, const char *b)
{
    (void)a, (void)b;
    assert_true(dir_exists(path));
    scratch_dir_remove_tree(path);
}

static void folder(const char *path, const char *a, const char *b)
{
    (void)a, (void)b;
    unlink(path);
    assert_int_equal(mkdir(path, 0777), 0);
}

static void link_to(const char *path, const char *a, const char *b)
{
    (void)b;
    assert_int_equal(symlink(a, path), 0);
}

/* The first occurrence of text a becomes b, which may be of another length. */
static void replace(const char *path, const char *a, const char *b)
{
    bytes x = read_file(path);
    uint8_t *at = memmem(x.data, x.size, a, strlen(a));
    if (!at) fail_msg("%s: holds no %s", path, a);
    size_t before = (size_t)(at - x.data), na = strlen(a), nb = strlen(b), size = x.size - na + nb;
    uint8_t *y = malloc(size + 1);
    assert_non_null(y);
    memcpy(y, x.data, before);
    memcpy(y + before, b, nb);
    memcpy(y + before + nb, at + na, x.size - before - na);
    put_bytes(path, y, size);
    free(y);
    free(x.data);
}

/* From byte a on, the bytes b ("\\xNN" in hexadecimal digits) are written over what is there. */
static void bytes_at(const char *path, const char *a, const char *b)
{
    bytes x = read_file(path);
    size_t at = (size_t)atoi(a), n = strlen(b) / 2;
    assert_true(at + n <= x.size);
    for (size_t i = 0; i < n; i++) {
        char hex[3] = {b[2 * i], b[2 * i + 1], 0};
        x.data[at + i] = (uint8_t)strtol(hex, NULL, 16);
    }
    put_bytes(path, x.data, x.size);
    free(x.data);
}

/* Mirrors a camera: its second row is negated. */
static void mirror(const char *path, const char *a, const char *b)
{
    (void)a, (void)b;
    bytes x = read_file(path);
    for (int i = 4; i < 8; i++) x.data[128 + i * 8 + 7] ^= 0x80;
    put_bytes(path, x.data, x.size);
    free(x.data);
}

static void zeros_from(const char *path, const char *a, const char *b)
{
    (void)b;
    bytes x = read_file(path);
    size_t at = (size_t)atoi(a);
    memset(x.data + at, 0, x.size - at);
    put_bytes(path, x.data, x.size);
    free(x.data);
}

/* All files of the folder but a. */
static void lose_all_but(const char *path, const char *a, const char *b)
{
    (void)b;
    char **names;
    int n;
    assert_int_equal(dir_list(path, &names, &n, NULL), 0);
    for (int i = 0; i < n; i++) {
        char *file = path_join(path, names[i]);
        if (strcmp(names[i], a) != 0) assert_int_equal(unlink(file), 0);
        free(file);
    }
    names_free(&names, n);
}

/* ---- Members of tars ---- */

static size_t member_size(const bytes *tar, size_t at)
{
    char size[13] = {0};
    memcpy(size, tar->data + at + 124, 12);
    return (size_t)strtol(size, NULL, 8);
}

/* The header of a member. */
static size_t member_of(const bytes *tar, const char *name)
{
    for (size_t at = 0; at + 512 <= tar->size && tar->data[at]; at += 512 + (member_size(tar, at) + 511) / 512 * 512)
        if (strncmp((char *)tar->data + at, name, 100) == 0) return at;
    fail_msg("no member %s", name);
    return 0;
}

/* The content of member a begins with b then, and goes on with blanks. */
static void fill(const char *path, const char *a, const char *b)
{
    bytes x = read_file(path);
    size_t at = member_of(&x, a), size = member_size(&x, at);
    assert_true(strlen(b) <= size);
    memset(x.data + at + 512, ' ', size);
    memcpy(x.data + at + 512, b, strlen(b));
    put_bytes(path, x.data, x.size);
    free(x.data);
}

static void rename_member(const char *path, const char *a, const char *b)
{
    bytes x = read_file(path);
    size_t at = member_of(&x, a);
    memset(x.data + at, 0, 100);
    memcpy(x.data + at, b, strlen(b));
    tar_sum(&x, at);
    put_bytes(path, x.data, x.size);
    free(x.data);
}

/* Every member whose name begins with a begins with b then. */
static void rename_key(const char *path, const char *a, const char *b)
{
    bytes x = read_file(path);
    assert_int_equal(strlen(a), strlen(b));
    for (size_t at = 0; at + 512 <= x.size && x.data[at]; at += 512 + (member_size(&x, at) + 511) / 512 * 512) {
        if (strncmp((char *)x.data + at, a, strlen(a)) != 0) continue;
        memcpy(x.data + at, b, strlen(b));
        tar_sum(&x, at);
    }
    put_bytes(path, x.data, x.size);
    free(x.data);
}

static void member_type(const char *path, const char *a, const char *b)
{
    bytes x = read_file(path);
    size_t at = member_of(&x, a);
    x.data[at + 156] = (uint8_t)b[0];
    tar_sum(&x, at);
    put_bytes(path, x.data, x.size);
    free(x.data);
}

static void size_field(const char *path, const char *a, const char *b)
{
    bytes x = read_file(path);
    size_t at = member_of(&x, a);
    memcpy(x.data + at + 124, b, 11);
    tar_sum(&x, at);
    put_bytes(path, x.data, x.size);
    free(x.data);
}

/* ---- The cases ---- */

typedef struct spoilt {
    const char *name;
    spoil *how;
    const char *file, *a, *b;
    int rc;
    long sets, images, problems;       /* in the report */
    const char *said;          /* in a line of the list, or in the error */
} spoilt;

#define PNG_HEAD "89504e470d0a1a0a"
#define U0 "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
#define IMAGE U0 "/003.png"
#define POSE U0 "/003.npy"
#define LIST "valid_paths.json"
#define LOST_VIEW 0, 3, 35, 1
static const spoilt objaverse[] = {
    {"png_cut", cut, IMAGE, "50", NULL, LOST_VIEW, IMAGE},
    {"png_head_only", cut, IMAGE, "8", NULL, LOST_VIEW, IMAGE},
    {"png_empty", put, IMAGE, "", NULL, LOST_VIEW, "empty"},
    {"png_lost", lose, IMAGE, NULL, NULL, LOST_VIEW, IMAGE ": not found"},
    {"png_a_folder", folder, IMAGE, NULL, NULL, LOST_VIEW, IMAGE ": not found"},
    {"png_a_text", put, IMAGE, "no picture", NULL, LOST_VIEW, "unknown format"},
    {"png_of_no_width", bytes_at, IMAGE, "16", "00000000", LOST_VIEW, IMAGE},
    {"png_of_2_gigapixels", bytes_at, IMAGE, "16", "0000b0000000b000", LOST_VIEW, IMAGE},
    {"png_bad_pixels", bytes_at, IMAGE, "60", "ffffffffff", LOST_VIEW, IMAGE},
    {"png_bad_signature", bytes_at, IMAGE, "1", "51", LOST_VIEW, IMAGE},
    {"pose_cut", cut, POSE, "80", NULL, LOST_VIEW, "bad pose: " POSE},
    {"pose_empty", put, POSE, "", NULL, LOST_VIEW, POSE},
    {"pose_lost", lose, POSE, NULL, NULL, LOST_VIEW, POSE ": not found"},
    {"pose_a_text", put, POSE, "1 0 0 0\n0 1 0 0\n0 0 1 0\n", NULL, LOST_VIEW, "no .npy file"},
    {"pose_bad_magic", bytes_at, POSE, "0", "94", LOST_VIEW, "no .npy file"},
    {"pose_header_beyond_end", bytes_at, POSE, "8", "ffff", LOST_VIEW, "its header would have 65535 bytes"},
    {"pose_header_garbage", bytes_at, POSE, "12", "00ff00ff", LOST_VIEW, "no NumPy header"},
    {"pose_4x3", replace, POSE, "(3, 4)", "(4, 3)", LOST_VIEW, "F64 [4, 3]"},
    {"pose_2x4", replace, POSE, "(3, 4)", "(2, 4)", LOST_VIEW, "holds 96 bytes"},
    {"pose_too_many_dimensions", replace, POSE, "(3, 4), }       ", "(1,1,1,1,3,4,1)}", LOST_VIEW, "no NumPy header"},
    {"pose_integers", replace, POSE, "<f8", "<i8", LOST_VIEW, "I64"},
    {"pose_big_endian", replace, POSE, "<f8", ">f8", LOST_VIEW, "'>f8'"},
    {"pose_python_objects", replace, POSE, "'<f8'", "'|O' ", LOST_VIEW, "Python objects"},
    {"pose_fortran_order", replace, POSE, "False", "True ", LOST_VIEW, "Fortran"},
    {"pose_not_a_number", bytes_at, POSE, "136", "ffffffffffffff7f", LOST_VIEW, "number 1 of 12 is not finite"},
    {"pose_all_zero", zeros_from, POSE, "128", NULL, LOST_VIEW, "no rotation"},
    {"pose_too_large", bytes_at, POSE, "135", "45", LOST_VIEW, "no rotation"},
    {"pose_mirrored", mirror, POSE, NULL, NULL, LOST_VIEW, "determinant -1"},
    {"object_lost", lose_tree, U0, NULL, NULL, 0, 2, 24, 1, "none of its views"},
    {"object_of_one_view", lose_all_but, U0, "005.png", NULL, 0, 2, 24, 13, "it has 0 good images"},
    {"list_cut", cut, LIST, "60", NULL, M2M_EFORMAT, 0, 0, 0, LIST ": JSON, line 1"},
    {"list_empty", put, LIST, "", NULL, M2M_EFORMAT, 0, 0, 0, LIST},
    {"list_lost", lose, LIST, NULL, NULL, M2M_EIO, 0, 0, 0, LIST},
    {"list_an_object", put, LIST, "{\"objects\": [\"" U0 "\"]}", NULL, M2M_EFORMAT, 0, 0, 0, "a list of object names"},
    {"list_not_utf8", replace, LIST, U0, "a\xff", M2M_EFORMAT, 0, 0, 0, "not UTF-8"},
    {"entry_a_number", replace, LIST, "\"" U0 "\"", "17", 0, 2, 24, 1, "entry 0: is 17"},
    {"entry_outside", replace, LIST, U0, "../" U0, 0, 2, 24, 1, "entry 0: is the text \"../"},
    {"entry_absolute", replace, LIST, U0, "/etc", 0, 2, 24, 1, "entry 0"},
    {"entry_with_a_newline", replace, LIST, U0, "a\\nb", 0, 2, 24, 1, "entry 0"},
    {"entry_twice", replace, LIST, "[", "[\"" U0 "\", ", 0, 3, 36, 1, "entry 1: names an object that is in the list"},
    {"tar_beside_damaged", put, "views-000.tar", "no tar", NULL, 0, 3, 36, 1, "damaged shard"},
};

#define TEXT "WikihowText_data.json"
#define STEP "wiki_images/100031_0_1.png"
#define LOST_STEP 0, 4, 11, 1
#define LOST_LINE 0, 2, 6, 1           /* the first: two methods of three pictures */
#define MORE(json) append, TEXT, json "\n", NULL, 0, 4, 12, 1
static const spoilt vgsi[] = {
    {"png_cut", cut, STEP, "50", NULL, LOST_STEP, "100031_0_1.png"},
    {"png_empty", put, STEP, "", NULL, LOST_STEP, "empty"},
    {"png_lost", lose, STEP, NULL, NULL, LOST_STEP, "100031_0_1.png: not found"},
    {"png_a_folder", folder, STEP, NULL, NULL, LOST_STEP, "100031_0_1.png: not found"},
    {"png_a_text", put, STEP, "<html>404</html>", NULL, LOST_STEP, "unknown format"},
    {"png_of_no_width", bytes_at, STEP, "16", "00000000", LOST_STEP, "100031_0_1.png"},
    {"png_bad_pixels", bytes_at, STEP, "50", "ffffffffff", LOST_STEP, "100031_0_1.png"},
    {"pictures_lost", lose_tree, "wiki_images", NULL, NULL, M2M_EFORMAT, 0, 0, 16, "no set is left"},
    {"one_of_two_lost", lose, "wiki_images/100020_0_0.png", NULL, NULL, 0, 3, 10, 2, "it has 1 good image;"},
    {"text_cut", cut, TEXT, "97", NULL, 0, 3, 8, 1, TEXT ", line 4: JSON"},
    {"text_empty", put, TEXT, "", NULL, M2M_EFORMAT, 0, 0, 0, "is empty"},
    {"text_lost", lose, TEXT, NULL, NULL, M2M_EIO, 0, 0, 0, TEXT},
    {"text_a_folder", folder, TEXT, NULL, NULL, M2M_EIO, 0, 0, 0, TEXT},
    {"text_binary", put, TEXT, "\x93NUMPY\x01", NULL, M2M_EFORMAT, 0, 0, 1, "no set is left"},
    {"id_a_list", replace, TEXT, "\"100002\"", "[\"1\"]", LOST_LINE, "\"file_id\" is an array"},
    {"id_lost", replace, TEXT, "\"file_id\"", "\"filo_id\"", LOST_LINE, "\"file_id\" is absent"},
    {"id_twice", replace, TEXT, "\"100031\"", "\"100002\"", 0, 3, 8, 1, "line 4: its \"file_id\" is in a line before"},
    {"goal_a_number", replace, TEXT, "\"How to Fold a Hat\"", "5", LOST_LINE, "\"goal\" is 5"},
    {"methods_lost", replace, TEXT, "\"methods\"", "\"ways\"", LOST_LINE, "\"methods\" is absent"},
    {"methods_wrong_bracket", replace, TEXT, "\"methods\": [", "\"methods\": {", LOST_LINE, "line 1: JSON"},
    {"steps_lost", replace, TEXT, "\"steps\"", "\"stops\"", LOST_LINE, "\"steps\" is absent"},
    {"step_id_lost", replace, TEXT, "\"step_id\"", "\"stop_id\"", LOST_LINE, "\"step_id\" is absent"},
    {"step_id_outside", replace, TEXT, "\"step_id\": \"100002_0_0\"", "\"step_id\": \"../x\"", LOST_LINE, "../x"},
    {"step_id_a_folder", replace, TEXT, "\"step_id\": \"100002_0_0\"", "\"step_id\": \"a/b\"", LOST_LINE, "a/b"},
    {"step_id_a_number", replace, TEXT, "\"step_id\": \"100031_0_1\"", "\"step_id\": 7", 0, 4, 11, 1,
     "7.png: not found"},
    {"step_id_real", replace, TEXT, "\"step_id\": \"100002_0_0\"", "\"step_id\": 7.5", LOST_LINE, "7.5"},
    {"img_a_number", replace, TEXT, "\"img\": \"", "\"img\": 7, \"x\": \"", LOST_LINE, "\"img\" is 7"},
    {"key_twice", replace, TEXT, "\"goal_description\"", "\"goal\"", LOST_LINE, "occurs twice"},
    {"not_utf8", replace, TEXT, "Hobbies", "Hobb\xffs", LOST_LINE, "not UTF-8"},
    {"control_character", replace, TEXT, "Hobbies", "Hobb\001s", LOST_LINE, "control character"},
    {"half_a_surrogate", replace, TEXT, "Hobbies", "\\ud800", LOST_LINE, "surrogate"},
    {"more_garbage", MORE("}{"), "line 5"},
    {"more_a_list", MORE("[]"), "it is an array"},
    {"more_a_null", MORE("null"), "it is null"},
    {"more_deep", MORE("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["), "brackets"},
    {"more_a_large_number", MORE("{\"file_id\": 1e999, \"goal\": \"g\", \"methods\": []}"), "\"file_id\""},
    {"more_method_a_text", MORE("{\"file_id\":\"9\",\"goal\":\"g\",\"methods\":[\"x\"]}"), "a method is the text"},
    {"more_steps_a_text", MORE("{\"file_id\":\"9\",\"goal\":\"g\",\"methods\":[{\"steps\":\"x\"}]}"),
     "\"steps\" is the text"},
    {"more_step_a_text", MORE("{\"file_id\":\"9\",\"goal\":\"g\",\"methods\":[{\"steps\":[\"x\"]}]}"),
     "a step is the text"},
    {"more_name_a_number",
     MORE("{\"file_id\":\"9\",\"goal\":\"g\",\"methods\":[{\"name\":7,\"steps\":[]}]}"), "\"name\" is 7"},
    {"more_image_without_id",
     MORE("{\"file_id\":\"9\",\"goal\":\"g\",\"methods\":[{\"steps\":[{\"img\":\"x\"}]}]}"), "\"step_id\" is absent"},
    {"more_image_of_control_characters",
     MORE("{\"file_id\":\"9\",\"goal\":\"g\",\"methods\":[{\"steps\":[{\"img\":\"x\",\"step_id\":\"a\\nb\"}]}]}"),
     "\"step_id\" is the text \"a?b\""},
};

#define ANNOTATIONS "annotations/instances_train2017.json"
#define PHOTO "train2017/000000000036.jpg"
#define LOST_PHOTO 0, 4, 10, 1
#define LOST_RECORD 0, 4, 11, 1        /* an object whose image has another of its kind, or that is alone */
#define UNREADABLE M2M_EFORMAT, 0, 0, 0
static const spoilt coco[] = {
    {"jpeg_cut", cut, PHOTO, "60", NULL, LOST_PHOTO, "36.jpg"},
    {"jpeg_head_only", cut, PHOTO, "5", NULL, LOST_PHOTO, "36.jpg"},
    {"jpeg_empty", put, PHOTO, "", NULL, LOST_PHOTO, "empty"},
    {"jpeg_lost", lose, PHOTO, NULL, NULL, LOST_PHOTO, "36.jpg: not found"},
    {"jpeg_a_folder", folder, PHOTO, NULL, NULL, LOST_PHOTO, "36.jpg: not found"},
    {"jpeg_a_text", put, PHOTO, "no picture", NULL, LOST_PHOTO, "unknown format"},
    {"pictures_lost", lose_tree, "train2017", NULL, NULL, M2M_EFORMAT, 0, 0, 15, "no set is left"},
    {"json_cut", cut, ANNOTATIONS, "50", NULL, UNREADABLE, "instances_train2017.json: JSON, line 1"},
    {"json_without_its_end", lose_end, ANNOTATIONS, "1", NULL, UNREADABLE, "'}' was wanted"},
    {"json_empty", put, ANNOTATIONS, "", NULL, UNREADABLE, "instances_train2017.json"},
    {"json_lost", lose, ANNOTATIONS, NULL, NULL, M2M_EIO, 0, 0, 0, "has no annotations/instances_"},
    {"json_a_folder", folder, ANNOTATIONS, NULL, NULL, M2M_EIO, 0, 0, 0, "is a directory"},
    {"json_a_text", put, ANNOTATIONS, "no JSON", NULL, UNREADABLE, "a list was wanted"},
    {"json_a_list", put, ANNOTATIONS, "[]", NULL, UNREADABLE, "has no \"images\""},
    {"json_deep", put, ANNOTATIONS,
     "{\"images\": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", NULL, UNREADABLE,
     "brackets"},
    {"json_trailing_garbage", append, ANNOTATIONS, "x", NULL, UNREADABLE, "something follows"},
    {"json_not_utf8", replace, ANNOTATIONS, "toothbrush", "tooth\xffrush", UNREADABLE, "not UTF-8"},
    {"json_other_lists", put, ANNOTATIONS, "{\"pictures\": [1, 2]}", NULL, UNREADABLE, "has no \"images\""},
    {"images_lost", replace, ANNOTATIONS, "\"images\"", "\"imagez\"", M2M_EFORMAT, 0, 0, 13, "no set is left"},
    {"annotations_lost", replace, ANNOTATIONS, "\"annotations\"", "\"x\"", M2M_EFORMAT, 0, 0, 0, "no set is left"},
    {"categories_lost", replace, ANNOTATIONS, "\"categories\"", "\"x\"", M2M_EFORMAT, 0, 0, 13, "no set is left"},
    {"image_a_null", replace, ANNOTATIONS, "\"images\": [", "\"images\": [null, ", LOST_RECORD, "images 0: it is null"},
    {"file_name_a_number", replace, ANNOTATIONS, "\"000000000036.jpg\"", "36", 0, 4, 10, 2, "\"file_name\" is 36"},
    {"file_name_outside", replace, ANNOTATIONS, "\"000000000036.jpg\"", "\"../36.jpg\"", 0, 4, 10, 2, "../36.jpg"},
    {"file_name_absolute", replace, ANNOTATIONS, "\"000000000036.jpg\"", "\"/etc/passwd\"", 0, 4, 10, 2, "/etc/passwd"},
    {"file_name_of_nothing", replace, ANNOTATIONS, "\"000000000036.jpg\"", "\"37.jpg\"", LOST_PHOTO,
     "37.jpg: not found"},
    {"image_id_a_text", replace, ANNOTATIONS, "\"id\": 36}", "\"id\": \"36\"}", 0, 4, 10, 2, "\"id\" is the text"},
    {"image_id_negative", replace, ANNOTATIONS, "\"id\": 36}", "\"id\": -36}", 0, 4, 10, 2, "\"id\" is -36"},
    {"image_id_real", replace, ANNOTATIONS, "\"id\": 36}", "\"id\": 36.5}", 0, 4, 10, 2, "\"id\" is 36.5"},
    {"image_id_twice", replace, ANNOTATIONS, "\"id\": 36}", "\"id\": 34}", 0, 4, 10, 2, "image 34: its \"id\" is that"},
    {"width_zero", replace, ANNOTATIONS, "\"width\": 20", "\"width\": 0", 0, 4, 10, 3, "\"width\" is 0"},
    {"object_of_no_image", replace, ANNOTATIONS, "\"image_id\": 61", "\"image_id\": 62", LOST_RECORD,
     "that of no image"},
    {"object_without_image", replace, ANNOTATIONS, "\"image_id\": 61", "\"image_ib\": 61", LOST_RECORD, "\"image_id\""},
    {"object_of_no_category", replace, ANNOTATIONS, "\"category_id\": 44", "\"category_id\": 45", LOST_RECORD,
     "is 45,"},
    {"category_a_text", replace, ANNOTATIONS, "\"category_id\": 44", "\"category_id\": \"4\"", LOST_RECORD,
     "the text \"4\""},
    {"area_negative", replace, ANNOTATIONS, "\"area\": 66.0", "\"area\": -1", LOST_RECORD, "\"area\" is -1"},
    {"box_of_three", replace, ANNOTATIONS, "\"bbox\": [1.0, ", "\"bbox\": [", LOST_RECORD, "no box"},
    {"box_a_text", replace, ANNOTATIONS, "\"bbox\": [1.0, 2.5, 10, 8.25]", "\"bbox\": \"x\"", LOST_RECORD,
     "\"bbox\" is the"},
    {"box_of_negative_width", replace, ANNOTATIONS, "2.5, 10, 8.25]", "2.5, -10, 8.25]", LOST_RECORD, "no box"},
    {"object_id_lost", replace, ANNOTATIONS, "\"id\": 900000", "\"ib\": 900000", LOST_RECORD, "\"id\" is absent"},
    {"object_key_twice", replace, ANNOTATIONS, "\"iscrowd\": 0", "\"area\": 1", LOST_RECORD, "occurs twice"},
    {"category_id_twice", replace, ANNOTATIONS, "\"id\": 18, ", "\"id\": 17, ", 0, 3, 8, 4,
     "as that of a category before"},
    {"category_name_a_number", replace, ANNOTATIONS, "\"name\": \"dog\"", "\"name\": 7", 0, 3, 8, 4, "\"name\" is 7"},
};

#define TAR "mis-00000.tar"
#define LOST_SHARD 0, 2, 8, 1
#define LOST_IMAGE 0, 4, 15, 1
#define KEY "000000000"
static const spoilt shards[] = {
    {"tar_cut", cut, TAR, "50", NULL, LOST_SHARD, TAR},
    {"tar_cut_in_a_header", cut, TAR, "1", NULL, LOST_SHARD, TAR},
    {"tar_a_text", put, TAR, "This is no tar.", NULL, LOST_SHARD, TAR},
    {"tar_a_folder", folder, TAR, NULL, NULL, LOST_SHARD, "is a directory"},
    {"tar_bad_sum", bytes_at, TAR, "148", "37", LOST_SHARD, TAR},
    {"tar_bad_name", bytes_at, TAR, "3", "39", LOST_SHARD, TAR},
    {"tars_lost", lose_all_but, "", "none", NULL, M2M_EIO, 0, 0, 0, "has no .tar"},
    {"tar_more_garbage", put, "x.tar", "\x1f\x8b\x08", NULL, 0, 4, 16, 1, "x.tar"},
    {"member_beyond_end", size_field, TAR, KEY ".txt", "77777777777", LOST_SHARD, TAR},
    {"member_size_garbage", size_field, TAR, KEY ".00.jpg", "zzzzzzzzzzz", LOST_SHARD, TAR},
    {"member_twice", rename_member, TAR, KEY ".01.jpg", KEY ".00.jpg", LOST_SHARD, "two members \".00.jpg\""},
    {"member_twice_in_capitals", rename_member, TAR, KEY ".01.jpg", KEY ".00.JPG", LOST_SHARD, "two members"},
    {"member_control_character", rename_member, TAR, KEY ".01.jpg", KEY ".\0011.jpg", LOST_SHARD, "no UTF-8 text"},
    {"member_not_utf8", rename_member, TAR, KEY ".01.jpg", "\xff.01.jpg", LOST_SHARD, "no UTF-8 text"},
    {"image_a_text", fill, TAR, KEY ".02.jpg", "no picture", LOST_IMAGE, KEY ", image 02: of unknown format"},
    {"image_head_only", fill, TAR, KEY ".02.jpg", "\xff\xd8\xff\xe0", LOST_IMAGE, KEY ", image 02"},
    {"image_a_cut_webp", fill, TAR, KEY ".02.jpg", "RIFF\x7f\x7f\x7f\x7fWEBPVP8 ", LOST_IMAGE, "image 02"},
    {"image_a_cut_png", fill, TAR, KEY ".02.jpg", "\x89PNG\r\n\x1a\n", LOST_IMAGE, "image 02"},
    {"image_number_twice", rename_member, TAR, KEY ".02.jpg", KEY ".00.png", LOST_IMAGE, "image number 0 occurs twice"},
    {"image_number_twice_by_zeros", rename_member, TAR, KEY ".02.jpg", KEY ".003.jpg", LOST_IMAGE, "3 occurs twice"},
    {"image_number_large", rename_member, TAR, KEY ".02.jpg", KEY ".10000.jpg", LOST_IMAGE, "10000 is none of"},
    {"image_number_huge", rename_member, TAR, KEY ".02.jpg", KEY ".99999999999.jpg", LOST_IMAGE, "-1 is none of"},
    {"image_without_number", rename_member, TAR, KEY ".02.jpg", KEY ".two.jpg", 0, 4, 15, 0, "4 records"},
    {"image_a_link", member_type, TAR, KEY ".02.jpg", "2", LOST_SHARD, TAR},
    {"key_changes_inside", rename_member, TAR, KEY ".02.jpg", "000000009.02.jpg", 0, 4, 14, 2, "it has 1 good image"},
    {"key_twice_over_shards", rename_key, "mis-00001.tar", "000000002", "000000001", 0, 3, 12, 1, "of the same key"},
    {"images_renamed", rename_key, TAR, KEY ".0", KEY ".x", 0, 3, 12, 1, "has no image"},
    {"camera_of_latents", rename_member, TAR, KEY ".latents.npy", KEY ".02.npy", LOST_IMAGE, "F16 [4, 4, 2, 2]"},
    {"camera_a_text", rename_member, TAR, KEY ".txt", KEY ".02.npy", LOST_IMAGE, "no .npy file"},
    {"json_garbage", fill, TAR, KEY ".json", "x", 0, 4, 16, 1, "bad json: " KEY},
    {"json_a_list", fill, TAR, KEY ".json", "[1]", 0, 4, 16, 1, "it is an array"},
    {"json_cut", fill, TAR, KEY ".json", "{\"seed\": 7, ", 0, 4, 16, 1, "JSON"},
    {"json_not_utf8", fill, TAR, KEY ".json", "{\"a\": \"\xff\"}", 0, 4, 16, 1, "not UTF-8"},
    {"json_key_twice", fill, TAR, KEY ".json", "{\"a\": 1, \"a\": 2}", 0, 4, 16, 1, "occurs twice"},
    {"json_blank", fill, TAR, KEY ".json", "", 0, 4, 16, 1, "a value was wanted"},
};

#define SAND "beach/1.png"
#define LOST_SAND 0, 3, 8, 1
static const spoilt folders[] = {
    {"png_cut", cut, SAND, "50", NULL, LOST_SAND, SAND},
    {"png_head_only", cut, SAND, "10", NULL, LOST_SAND, SAND},
    {"png_without_its_end", lose_end, SAND, "24", NULL, LOST_SAND, SAND},
    {"png_empty", put, SAND, "", NULL, LOST_SAND, "empty"},
    {"png_a_text", put, SAND, "no picture", NULL, LOST_SAND, "unknown format"},
    {"png_a_gif", put, SAND, "GIF89a\1", NULL, LOST_SAND, "unknown format"},
    {"png_signature_only", put, SAND, "\x89PNG\r\n\x1a\n", NULL, LOST_SAND, SAND},
    {"png_bad_signature", bytes_at, SAND, "7", "0d", LOST_SAND, SAND},
    {"png_of_no_width", bytes_at, SAND, "16", "00000000", LOST_SAND, SAND},
    {"png_of_no_height", bytes_at, SAND, "20", "00000000", LOST_SAND, SAND},
    {"png_of_2_gigapixels", bytes_at, SAND, "16", "0000b0000000b000", LOST_SAND, SAND},
    {"png_of_a_negative_side", bytes_at, SAND, "16", "ffffffff", LOST_SAND, SAND},
    {"png_of_no_colour_type", bytes_at, SAND, "25", "07", LOST_SAND, SAND},
    {"png_bad_sum", bytes_at, SAND, "29", "00000000", LOST_SAND, SAND},
    {"png_bad_pixels", bytes_at, SAND, "50", "ffffffffff", LOST_SAND, SAND},
    {"png_a_folder", folder, SAND, NULL, NULL, LOST_SAND, SAND ": not found"},
    {"png_a_link_to_nothing", link_to, "beach/9.png", "nowhere.png", NULL, 0, 3, 9, 1, "beach/9.png: not found"},
    {"png_a_link_to_itself", link_to, "beach/9.png", "9.png", NULL, 0, 3, 9, 1, "beach/9.png: not found"},
    {"jpeg_cut", cut, "beach/2.JPG", "60", NULL, LOST_SAND, "beach/2.JPG"},
    {"jpeg_head_only", cut, "beach/2.JPG", "4", NULL, LOST_SAND, "beach/2.JPG"},
    {"jpeg_empty", put, "beach/2.JPG", "", NULL, LOST_SAND, "empty"},
    {"webp_cut", cut, "beach/3.webp", "50", NULL, LOST_SAND, "beach/3.webp"},
    {"webp_head_only", put, "beach/3.webp", "RIFF\x7f\x7f\x7f\x7fWEBPVP8L", NULL, LOST_SAND, "beach/3.webp"},
    {"webp_empty", put, "beach/3.webp", "", NULL, LOST_SAND, "empty"},
    {"name_control_character", put, "beach/9\n.png", "x", NULL, 0, 3, 9, 1, "beach/9?.png: is no name"},
    {"name_not_utf8", put, "beach/\xff.png", "x", NULL, 0, 3, 9, 1, "is no name"},
    {"one_of_two_lost", lose, "forest.old/1.png", NULL, NULL, 0, 2, 7, 1, "it has 1 good image;"},
    {"one_of_two_cut", cut, "forest.old/1.png", "50", NULL, 0, 2, 7, 2, "forest.old/1.png"},
    {"folder_empty", folder, "x", NULL, NULL, 0, 3, 9, 1, "x: has no image"},
    {"folder_without_images", lose_all_but, "beach", "notes.txt", NULL, 0, 2, 6, 1, "beach: has no image"},
    {"folder_in_itself", link_to, "loop", ".", NULL, 0, 3, 9, 1, "loop: has no image"},
    {"folder_lost", lose_tree, "beach", NULL, NULL, 0, 2, 6, 0, "2 records"},
    {"tar_beside_damaged", put, "x.tar", "no tar", NULL, 0, 3, 9, 1, "damaged shard"},
    {"all_lost", lose_tree, ".", NULL, NULL, M2M_EFORMAT, 0, 0, 0, "no set is left (0 records"},
};

#define TSV "cc12m.tsv"
#define URL "https://example.org/3/picture.jpg?w=3"
#define ROW URL "\ttwo cats & a bird"
#define BAD_LINE 0, 0, 0, 1
#define NO_LINE(n) M2M_EFORMAT, 0, 0, n
#define LAST(text) append, TSV, text, NULL, BAD_LINE
static const spoilt cc12m[] = {
    {"file_lost", lose, TSV, NULL, NULL, M2M_EIO, 0, 0, 0, TSV},
    {"file_a_folder", folder, TSV, NULL, NULL, M2M_EIO, 0, 0, 0, "is a directory"},
    {"file_empty", put, TSV, "", NULL, NO_LINE(0), "0 records"},
    {"file_a_header_only", put, TSV, "url\tcaption\n", NULL, NO_LINE(0), "0 records"},
    {"file_binary", put, TSV, "\x1f\x8b\x08", NULL, NO_LINE(1), "line 1"},
    {"file_a_page", put, TSV, "<html>\n404\n</html>\n", NULL, NO_LINE(3), "line 3: it has one column"},
    {"cut_in_an_address", put, TSV, "http://a/b\tc\nhttp://a", NULL, BAD_LINE, "line 2: it has one column"},
    {"cut_behind_the_tab", put, TSV, "http://a/b\tc\nhttp://a\t", NULL, BAD_LINE, "line 2: its caption is empty"},
    {"tab_lost", replace, TSV, ROW, URL " two cats", BAD_LINE, "line 4: it has one column"},
    {"tab_twice", replace, TSV, URL "\t", URL "\t\t", BAD_LINE, "more than two columns"},
    {"tab_in_the_caption", replace, TSV, "two cats", "two\tcats", BAD_LINE, "more than two columns"},
    {"tab_at_the_end", replace, TSV, "a bird", "a bird\t", BAD_LINE, "more than two columns"},
    {"newline_in_the_caption", replace, TSV, "two cats", "two\ncats", BAD_LINE, "line 5: it has one column"},
    {"return_in_the_caption", replace, TSV, "two cats", "two\rcats", BAD_LINE, "control character"},
    {"columns_exchanged", replace, TSV, ROW, "two cats\t" URL, BAD_LINE, "its address holds a blank"},
    {"address_empty", replace, TSV, ROW, "\ttwo cats", BAD_LINE, "no address"},
    {"address_a_word", replace, TSV, URL, "none", BAD_LINE, "no address"},
    {"address_without_scheme", replace, TSV, URL, "://a/b", BAD_LINE, "no address"},
    {"address_without_host", replace, TSV, URL, "http://", BAD_LINE, "no address"},
    {"address_with_a_blank", replace, TSV, URL, "http://a b", BAD_LINE, "holds a blank"},
    {"address_not_utf8", replace, TSV, URL, "http://a/\xff", BAD_LINE, "not UTF-8"},
    {"caption_empty", replace, TSV, "two cats & a bird", "", BAD_LINE, "caption is empty"},
    {"caption_blank", replace, TSV, "two cats & a bird", "   ", BAD_LINE, "caption is empty"},
    {"caption_not_utf8", replace, TSV, "two cats", "two \xe9", BAD_LINE, "not UTF-8"},
    {"caption_half_a_character", replace, TSV, "a bird\n", "a bird\xe2\x80\n", BAD_LINE, "not UTF-8"},
    {"caption_overlong_utf8", replace, TSV, "two cats", "\xc0\x80", BAD_LINE, "not UTF-8"},
    {"caption_a_surrogate", replace, TSV, "two cats", "\xed\xa0\x80", BAD_LINE, "not UTF-8"},
    {"caption_control_character", replace, TSV, "two cats", "two\x1b[2J", BAD_LINE, "control character"},
    {"caption_delete_character", replace, TSV, "two cats", "two\x7f", BAD_LINE, "control character"},
    {"caption_zero_byte", bytes_at, TSV, "45", "00", BAD_LINE, "line 1: it holds a control character"},
    {"line_empty", LAST("\n"), "line 11: it has one column"},
    {"line_of_a_tab", LAST("\t\n"), "line 11: its first column is no address"},
    {"header_again", LAST("url\tcaption\n"), "line 11: its first column is no address"},
};

static const struct { const char *kind; const spoilt *cases; int n; } layouts[] = {
#define LAYOUT(kind) {#kind, kind, sizeof kind / sizeof kind[0]}
    LAYOUT(objaverse), LAYOUT(vgsi), LAYOUT(coco), LAYOUT(shards), LAYOUT(folders),
    LAYOUT(cc12m)};

/* ---- Running them ---- */

static bool as_wanted(const spoilt *c, const import_run *r)
{
    return r->rc == c->rc && r->sets == c->sets && r->images == c->images && r->problems == c->problems
           && (strstr(r->lines, c->said) || strstr(r->err.msg, c->said));
}

static int try_one(const char *kind, const spoilt *c)
{
    char path[600];
    import_run r;
    layout_copy(layout_path(kind), source);
    snprintf(path, sizeof path, "%s/%s", source, c->file);
    c->how(path, c->a, c->b);
    layout_import(&r, kind, source, NULL, NULL);
    scratch_dir_remove_tree(source);
    if (as_wanted(c, &r)) return 0;
    print_error("%s, %s: %d \"%s\", %ld sets of %ld images, %ld problems; wanted %d, %ld, %ld, %ld and \"%s\"\n%s",
                kind,
                c->name, r.rc, r.err.msg, r.sets, r.images, r.problems, c->rc, c->sets, c->images, c->problems, c->said,
                r.lines);
    return 1;
}

static void bad_is_counted_and_listed(void **state)
{
    (void)state;
    int failed = 0;
    snprintf(source, sizeof source, "%s/source", dir.path);
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        import_run r;
        layout_copy(layout_path(layouts[i].kind), source);
        layout_import(&r, layouts[i].kind, source, NULL, NULL);
        scratch_dir_remove_tree(source);
        assert_true(r.rc == 0 && r.problems == 0);      /* what is spoilt below is sound */
        assert_true(layouts[i].n >= 30);
        for (int k = 0; k < layouts[i].n; k++) failed += try_one(layouts[i].kind, &layouts[i].cases[k]);
    }
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bad_is_counted_and_listed)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
