#include "image/exif.h"

#include <stdbool.h>
#include <string.h>

enum { TAG_ORIENTATION = 0x112, TYPE_SHORT = 3, TYPE_LONG = 4 };

/* n bytes (2 or 4) as an integer; the caller knows that they exist. */
static uint32_t number(const uint8_t *p, int n, bool big)
{
    uint32_t value = 0;
    for (int i = 0; i < n; i++) value |= (uint32_t)p[i] << 8 * (big ? n - 1 - i : i);
    return value;
}

int exif_orientation(const uint8_t *data, size_t size)
{
    if (size >= 6 && memcmp(data, "Exif\0\0", 6) == 0) {
        data += 6;
        size -= 6;
    }
    if (size < 8) return 1;
    bool big = memcmp(data, "MM\0*", 4) == 0;
    if (!big && memcmp(data, "II*\0", 4) != 0) return 1;
    uint32_t at = number(data + 4, 4, big);
    if (at > size || size - at < 2) return 1;
    uint32_t entries = number(data + at, 2, big);
    at += 2;
    for (; entries && size - at >= 12; entries--, at += 12) {
        if (number(data + at, 2, big) != TAG_ORIENTATION) continue;
        uint32_t type = number(data + at + 2, 2, big);
        if (type != TYPE_SHORT && type != TYPE_LONG) return 1;
        uint32_t value = number(data + at + 8, type == TYPE_SHORT ? 2 : 4, big);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

int exif_of_jpeg(const uint8_t *data, size_t size)
{
    size_t at = 2;
    while (at + 4 <= size && data[at] == 0xff) {
        uint8_t marker = data[at + 1];
        if (marker == 0xff) {    /* filling */
            at++;
            continue;
        }
        if (marker == 0xda || marker == 0xd9) break;    /* the image begins, or all ends */
        if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {    /* without a length */
            at += 2;
            continue;
        }
        size_t length = number(data + at + 2, 2, true);
        if (length < 2 || length > size - at - 2) break;
        if (marker == 0xe1 && length >= 8 && memcmp(data + at + 4, "Exif\0\0", 6) == 0)
            return exif_orientation(data + at + 4, length - 2);
        at += 2 + length;
    }
    return 1;
}

int exif_of_webp(const uint8_t *data, size_t size)
{
    size_t at = 12;    /* "RIFF", size, "WEBP" */
    while (at <= size && size - at >= 8) {
        size_t length = number(data + at + 4, 4, false);
        if (length > size - at - 8) break;
        if (memcmp(data + at, "EXIF", 4) == 0) return exif_orientation(data + at + 8, length);
        at += 8 + length + length % 2;
    }
    return 1;
}
