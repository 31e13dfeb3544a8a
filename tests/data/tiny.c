#include "tiny.h"

#include "base/file.h"
#include "data/shard.h"
#include "image/codec.h"

static const char *const styles[TINY_STYLES] = {"alpha", "beta", "gamma", "delta"};
static const char *const groups[3] = {"round", "square", "tall"};

bool tiny_is_held(const char *subject)
{
    int number = atoi(strrchr(subject, '-') + 1);
    return number % 5 == 4;
}

static void draw(m2m_image *img, int style, int subject)
{
    assert_int_equal(m2m_image_new(img, 40, 40, 4, NULL), 0);
    for (int i = 0; i < 40 * 40; i++) {
        int x = i % 40 - 20, y = i / 40 - 20, group = subject % 3;
        bool in = group == 0 ? x * x + y * y < 300 : group == 1 ? abs(x) < 16 && abs(y) < 16 : abs(x) < 8;
        uint8_t *p = img->data + i * 4;
        p[0] = (uint8_t)(60 + 60 * style);
        p[1] = (uint8_t)(8 * subject);
        p[2] = (uint8_t)((x * (subject + 1) + y * 3) & 255);
        p[3] = in ? 255 : 0;
    }
}

static void add_drawing(shard_writer *w, char *index, size_t room, int style, int subject)
{
    char key[64];
    m2m_image img;
    uint8_t *data;
    size_t size;
    draw(&img, style, subject);
    assert_int_equal(image_encode_png(&img, NULL, 0, 1, &data, &size, NULL), 0);
    m2m_image_free(&img);
    snprintf(key, sizeof key, "%s/thing-%02d", styles[style], subject);
    shard_field f = {"png", data, size};
    assert_int_equal(shard_add(w, key, &f, 1, NULL), 0);
    free(data);
    bool held = subject % 5 == 4;
    size_t used = strlen(index);
    snprintf(index + used, room - used,
             "{\"key\": \"%s\", \"style\": \"%s\", \"name\": \"thing-%02d\", \"subject\": \"thing-%02d\", "
             "\"category\": \"%s\", "
             "\"caption\": \"a thing\", \"tar\": \"%s.tar\", \"file\": \"%s.png\", \"split\": \"%s\"}\n",
             key, styles[style], subject, subject, groups[subject % 3], styles[style], key,
             style == TINY_STYLES - 1 ? "val_style"
             : held                   ? "val_subject"
                                      : "train");
}

void tiny_pool(const char *dir)
{
    static char index[1 << 16];
    index[0] = 0;
    assert_int_equal(dir_make(dir, NULL), 0);
    for (int style = 0; style < TINY_STYLES; style++) {
        char path[300];
        shard_writer *w;
        snprintf(path, sizeof path, "%s/%s.tar", dir, styles[style]);
        assert_int_equal(shard_create(&w, path, NULL), 0);
        for (int subject = 0; subject < TINY_SUBJECTS; subject++) add_drawing(w, index, sizeof index, style, subject);
        assert_int_equal(shard_finish(&w, NULL), 0);
    }
    char path[300];
    snprintf(path, sizeof path, "%s/index.jsonl", dir);
    write_file(path, index, strlen(index));
}

m2m_compose_options tiny_options(void)
{
    return (m2m_compose_options){
        .sets = 12, .images = 3, .size = 16, .seed = 1, .split = "train", .shard = 5, .threads = 1};
}

uint8_t *tiny_png(int side, int seed, size_t *size)
{
    m2m_image img;
    uint8_t *data;
    assert_int_equal(m2m_image_new(&img, side, side, 3, NULL), 0);
    for (int i = 0; i < side * side * 3; i++) img.data[i] = (uint8_t)(seed * 40 + (i / 3 == side ? 90 : i % 7));
    assert_int_equal(image_encode_png(&img, NULL, 0, 6, &data, size, NULL), 0);
    m2m_image_free(&img);
    return data;
}

/* ---- Tar by hand ---- */

void tar_sum(bytes *tar, size_t at)
{
    unsigned sum = 0;
    memset(tar->data + at + 148, ' ', 8);
    for (int i = 0; i < 512; i++) sum += tar->data[at + (size_t)i];
    char text[9];
    snprintf(text, sizeof text, "%06o", sum & 0777777);
    memcpy(tar->data + at + 148, text, 7);
}

void tar_add(bytes *tar, const char *name, char type, const void *data, size_t size)
{
    size_t at = tar->size, padded = (size + 511) / 512 * 512;
    tar->data = realloc(tar->data, at + 512 + padded);
    assert_non_null(tar->data);
    memset(tar->data + at, 0, 512 + padded);
    char *h = (char *)tar->data + at;
    strncpy(h, name, 100);
    memcpy(h + 100, "0000444", 8);
    memcpy(h + 108, "0000000", 8);
    memcpy(h + 116, "0000000", 8);
    snprintf(h + 124, 12, "%011zo", size);
    memcpy(h + 136, "00000000000", 12);
    h[156] = type;
    memcpy(h + 257, "ustar", 6);
    memcpy(h + 263, "00", 2);
    tar->size = at + 512 + padded;
    if (size) memcpy(h + 512, data, size);
    tar_sum(tar, at);
}

void tar_end(bytes *tar)
{
    tar->data = realloc(tar->data, tar->size + 1024);
    assert_non_null(tar->data);
    memset(tar->data + tar->size, 0, 1024);
    tar->size += 1024;
}

void write_file(const char *path, const void *data, size_t size)
{
    assert_int_equal(file_write_all(path, data, size, NULL), 0);
}

bytes read_file(const char *path)
{
    bytes b;
    char *data;
    assert_int_equal(file_read_all(path, 1 << 28, &data, &b.size, NULL), 0);
    b.data = (uint8_t *)data;
    return b;
}
