/* The one thing that EXIF is read for: the orientation (P15). A TIFF header, its first directory, tag 0x0112. */
#include "image/codec.h"

#include <string.h>

typedef struct tiff {
    const uint8_t *data;
    size_t size;
    bool big;                  /* most significant byte first */
} tiff;

/* n bytes at `at` as a number; 0 beyond the end. */
static uint32_t number(const tiff *t, size_t at, size_t n)
{
    uint32_t value = 0;
    if (at > t->size || n > t->size - at) return 0;
    for (size_t i = 0; i < n; i++) value = value << 8 | t->data[at + (t->big ? i : n - 1 - i)];
    return value;
}

int exif_orientation(const uint8_t *data, size_t size)
{
    if (size >= 6 && memcmp(data, "Exif\0\0", 6) == 0) {
        data += 6;
        size -= 6;
    }
    tiff t = {data, size, false};
    if (size < 8 || (memcmp(data, "II", 2) != 0 && memcmp(data, "MM", 2) != 0)) return 1;
    t.big = data[0] == 'M';
    if (number(&t, 2, 2) != 42) return 1;
    size_t at = number(&t, 4, 4);
    uint32_t entries = number(&t, at, 2);
    for (uint32_t i = 0; i < entries; i++) {
        size_t entry = at + 2 + (size_t)i * 12;
        if (entry + 12 > size) return 1;
        if (number(&t, entry, 2) != 0x0112) continue;
        uint32_t orientation = number(&t, entry + 2, 2) == 3 ? number(&t, entry + 8, 2) : 1;
        return orientation >= 1 && orientation <= 8 ? (int)orientation : 1;
    }
    return 1;
}
