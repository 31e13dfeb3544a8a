#include "image/spec.h"

#include "base/error.h"
#include "image/image.h"

#include <stdlib.h>
#include <string.h>

static bool side(const char **text, int *value)
{
    char *end;
    if (**text < '0' || **text > '9') return false;
    long v = strtol(*text, &end, 10);
    *text = end;
    *value = (int)v;
    return v >= 1 && v <= IMAGE_SIDE;
}

int parse_size(const char *text, int *width, int *height, m2m_error *err)
{
    const char *at = text;
    if (side(&at, width) && (*at == 'x' || *at == 'X') && (at++, side(&at, height)) && !*at) return 0;
    return fail(err, M2M_EINVAL, "size: \"%.40s\", wanted WxH with sides 1..%d", text, IMAGE_SIDE);
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

int parse_colour(const char *text, uint8_t rgb[3], m2m_error *err)
{
    const char *t = text[0] == '#' ? text + 1 : text;
    bool good = strlen(t) == 6;
    for (int i = 0; good && i < 6; i++) good = hex_digit(t[i]) >= 0;
    if (!good) return fail(err, M2M_EINVAL, "background: \"%.40s\", wanted six hexadecimal digits RRGGBB", text);
    for (int i = 0; i < 3; i++) rgb[i] = (uint8_t)(16 * hex_digit(t[2 * i]) + hex_digit(t[2 * i + 1]));
    return 0;
}

int parse_fit(const char *text, image_fit_mode *mode, m2m_error *err)
{
    static const char *const names[] = {[FIT_CROP] = "crop", [FIT_PAD] = "pad", [FIT_STRETCH] = "stretch"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(names[i], text)) {
            *mode = (image_fit_mode)i;
            return 0;
        }
    return fail(err, M2M_EINVAL, "fit: \"%.40s\", wanted crop, pad or stretch", text);
}
