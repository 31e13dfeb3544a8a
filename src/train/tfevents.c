#include "train/tfevents.h"

#include "base/file.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

struct tfevents {
    char *path;
};

/* Field numbers of the protocol buffers. */
enum {
    EVENT_WALL_TIME = 1,
    EVENT_STEP = 2,
    EVENT_FILE_VERSION = 3,
    EVENT_SUMMARY = 5,
    EVENT_SESSION_LOG = 7
};
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE = 2, VALUE_IMAGE = 4 };
enum { IMAGE_HEIGHT = 1, IMAGE_WIDTH = 2, IMAGE_COLORSPACE = 3, IMAGE_BYTES = 4 };
enum { SESSION_STATUS = 1, SESSION_START = 1, COLORSPACE_RGB = 3 };
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

uint32_t tfevents_crc32c(const void *data, size_t n)
{
    /* Four bits at a time: the polynomial 0x82f63b78 (reflected) applied to each nibble. */
    static const uint32_t table[16] = {0, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc,
        0x5125dad3, 0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    const uint8_t *p = data;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* ---- Little-endian numbers, protocol buffers ---- */

static void put_fixed(str *s, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) str_char(s, (char)(value >> 8 * i & 255));
}

static void put_varint(str *s, uint64_t value)
{
    for (; value >= 128; value >>= 7) str_char(s, (char)((value & 127) | 128));
    str_char(s, (char)value);
}

static void put_tag(str *s, int field, int wire)
{
    put_varint(s, (uint64_t)field << 3 | (uint64_t)wire);
}

static void put_int(str *s, int field, int64_t value)
{
    put_tag(s, field, WIRE_VARINT);
    put_varint(s, (uint64_t)value);
}

static void put_double(str *s, int field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_tag(s, field, WIRE_64);
    put_fixed(s, bits, 8);
}

static void put_float(str *s, int field, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_tag(s, field, WIRE_32);
    put_fixed(s, bits, 4);
}

static void put_bytes(str *s, int field, const void *data, size_t n)
{
    put_tag(s, field, WIRE_BYTES);
    put_varint(s, n);
    str_bytes(s, data, n);
}

/* A message within a message; frees `inner`. */
static void put_message(str *s, int field, str *inner)
{
    put_bytes(s, field, inner->data, inner->len);
    s->failed |= inner->failed;
    str_free(inner);
}

/* ---- Records ---- */

static void put_crc(str *s, const void *data, size_t n)
{
    uint32_t crc = tfevents_crc32c(data, n);
    put_fixed(s, ((crc >> 15 | crc << 17) + 0xa282ead8u) & 0xffffffffu, 4);
}

static str event_start(double seconds, int64_t step)
{
    str event = {0};
    put_double(&event, EVENT_WALL_TIME, seconds);
    if (step) put_int(&event, EVENT_STEP, step);
    return event;
}

/* Frames and appends an event, and frees it. */
static int write_event(const tfevents *t, str *event, m2m_error *err)
{
    str record = {0};
    put_fixed(&record, event->len, 8);
    put_crc(&record, record.data, 8);
    str_bytes(&record, event->data, event->len);
    put_crc(&record, event->data, event->len);
    int code =
        event->failed || record.failed
            ? fail(err, M2M_ENOMEM, "%s: no memory for a record of %zu bytes", t->path, event->len)
            : file_append(t->path, record.data, record.len, err);
    str_free(&record);
    str_free(event);
    return code;
}

/* An event with one summary value, of which `body` is all but the tag; frees it. */
static int write_value(
    const tfevents *t, double seconds, int64_t step, const char *tag, str *body, m2m_error *err)
{
    str event = event_start(seconds, step), summary = {0}, value = {0};
    put_bytes(&value, VALUE_TAG, tag, strlen(tag));
    str_bytes(&value, body->data, body->len);
    value.failed |= body->failed;
    str_free(body);
    put_message(&summary, SUMMARY_VALUE, &value);
    put_message(&event, EVENT_SUMMARY, &summary);
    return write_event(t, &event, err);
}

/* ---- Interface ---- */

/* A name that is still free: two runs may start in one second. */
static char *free_path(const char *dir, double seconds)
{
    for (int n = 0;; n++) {
        str name = {0};
        str_printf(&name, "%s/events.out.tfevents.%010lld.m2m", dir, (long long)seconds);
        if (n) str_printf(&name, ".%d", n);
        char *path = str_take(&name);
        if (!path || !file_exists(path)) return path;
        free(path);
    }
}

static int write_head(const tfevents *t, double seconds, int64_t keep, m2m_error *err)
{
    static const char version[] = "brain.Event:2";
    str event = event_start(seconds, 0), session = {0};
    put_bytes(&event, EVENT_FILE_VERSION, version, sizeof version - 1);
    int code = write_event(t, &event, err);
    if (code) return code;
    event = event_start(seconds, keep + 1);
    put_int(&session, SESSION_STATUS, SESSION_START);
    put_message(&event, EVENT_SESSION_LOG, &session);
    return write_event(t, &event, err);
}

int tfevents_open(tfevents **out, const char *dir, double seconds, int64_t keep, m2m_error *err)
{
    *out = NULL;
    tfevents *t = calloc(1, sizeof *t);
    if (!t || !(t->path = free_path(dir, seconds))) {
        free(t);
        return fail(err, M2M_ENOMEM, "%s: no memory for an event file", dir);
    }
    int code = write_head(t, seconds, keep, err);
    if (code) {
        tfevents_close(&t);
    } else {
        *out = t;
    }
    return code;
}

void tfevents_close(tfevents **t)
{
    if (!*t) return;
    free((*t)->path);
    free(*t);
    *t = NULL;
}

const char *tfevents_path(const tfevents *t)
{
    return t->path;
}

int tfevents_scalar(
    tfevents *t, double seconds, int64_t step, const char *tag, double value, m2m_error *err)
{
    str body = {0};
    put_float(&body, VALUE_SIMPLE, (float)value);
    return write_value(t, seconds, step, tag, &body, err);
}

int tfevents_image(tfevents *t, double seconds, int64_t step, const char *tag, const void *png,
    size_t size, int width, int height, m2m_error *err)
{
    str body = {0}, image = {0};
    put_int(&image, IMAGE_HEIGHT, height);
    put_int(&image, IMAGE_WIDTH, width);
    put_int(&image, IMAGE_COLORSPACE, COLORSPACE_RGB);
    put_bytes(&image, IMAGE_BYTES, png, size);
    put_message(&body, VALUE_IMAGE, &image);
    return write_value(t, seconds, step, tag, &body, err);
}
