#include "train/vary.h"

#include <math.h>

static float clampf(float x, float lo, float hi) { return x < lo ? lo : x > hi ? hi : x; }

/* Bilinear at (x, y), pixel centres at whole numbers. */
static void sample(float out[3], const float *from, int size, float x, float y)
{
    const float last = (float)(size - 1);
    x = clampf(x, 0, last);
    y = clampf(y, 0, last);
    const int x0 = (int)x, y0 = (int)y, x1 = x0 < size - 1 ? x0 + 1 : x0, y1 = y0 < size - 1 ? y0 + 1 : y0;
    const float wx = x - (float)x0, wy = y - (float)y0;
    for (int c = 0; c < 3; c++) {
        const float *p = from + c * size * size;
        const float above = p[y0 * size + x0] * (1 - wx) + p[y0 * size + x1] * wx;
        const float below = p[y1 * size + x0] * (1 - wx) + p[y1 * size + x1] * wx;
        out[c] = above * (1 - wy) + below * wy;
    }
}

static void recolour(float rgb[3], float brightness, float contrast, float saturation)
{
    const float grey = 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2];
    for (int c = 0; c < 3; c++) rgb[c] = clampf((grey + (rgb[c] - grey) * saturation) * contrast + brightness, -1, 1);
}

void vary_image(float *to, const float *from, int size, const variation *v, const float *u)
{
    float d[VARY_DRAWS];
    for (int i = 0; i < VARY_DRAWS; i++) d[i] = (2 * u[i] - 1) * v->strength;
    const float angle = 0.35f * d[0], step = expf(-0.4f * d[1]), half = 0.5f * (float)(size - 1);
    const float cosine = cosf(angle) * step, sine = sinf(angle) * step;
    const float dx = 0.125f * d[2] * (float)size, dy = 0.125f * d[3] * (float)size;
    const float side = v->mirror && u[4] < 0.5f ? -1 : 1;
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            const float x = side * ((float)j - half) - dx, y = (float)i - half - dy;
            float rgb[3];
            sample(rgb, from, size, half + cosine * x - sine * y, half + sine * x + cosine * y);
            recolour(rgb, 0.15f * d[5], expf(0.25f * d[6]), expf(0.4f * d[7]));
            for (int c = 0; c < 3; c++) to[(c * size + i) * size + j] = rgb[c];
        }
}
