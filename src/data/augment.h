/* How a drawing becomes a picture of a set: placed, drawn in the set's manner, laid on the set's ground, toned.
 *
 * A look holds everything that the pictures of a set share; a placement what differs between them. All colours are sRGB
 * in 0..1 and are mixed as they are (no linear light: flat drawings look as their authors saw them in browsers). */
#ifndef DATA_AUGMENT_H
#define DATA_AUGMENT_H

#include "m2m.h"

#include <stdbool.h>

typedef struct colour {
    float c[3];
} colour;

typedef enum figure { FIGURE_PLAIN, FIGURE_LINE, FIGURE_PIXEL, FIGURE_SILHOUETTE, FIGURE_STICKER } figure;
typedef enum ground { GROUND_SOLID, GROUND_GRADIENT, GROUND_STRIPES, GROUND_CHECKS, GROUND_DOTS } ground;
typedef enum tone { TONE_NONE, TONE_RAMP, TONE_STEPS, TONE_HUE, TONE_INVERT } tone;

enum { LOOK_COLOURS = 6 };

typedef struct look {
    figure figure;
    colour ink;                /* LINE, SILHOUETTE: of the figure; STICKER: of its rim */
    float width;               /* LINE, STICKER: of the stroke or rim, as a share of the side */
    int cells;                 /* PIXEL: cells along a side */
    int levels;                /* PIXEL: values a channel may take; 0: any */
    ground ground;
    colour paper, pattern;     /* of the ground: the first colour and the second */
    float period, slant;       /* of the pattern: share of the side, radians */
    tone tone;                 /* HUE and STEPS act on the figure, the others on the finished picture */
    int n_colours;             /* RAMP, STEPS: colours, dark to light */
    colour colours[LOOK_COLOURS];
    float hue;                 /* HUE: radians */
    float scale, angle;        /* common to the set: side of the drawing / side of the picture, radians */
} look;

typedef struct placement {
    float scale, angle;        /* on top of the look's: factor, radians */
    float dx, dy;              /* shift, as a share of the side */
    bool mirror;
} placement;

/* Draws `src` (RGBA) as look and placement say into *out, a new RGB image of size x size. Errors: M2M_ENOMEM. Any
 * thread. */
int augment_draw(m2m_image *out, const m2m_image *src, const look *l, const placement *p, int size, m2m_error *err);

float colour_luma(colour c);
colour colour_mix(colour a, colour b, float t);
/* Hue 0..1 (wraps), saturation and value 0..1. */
colour colour_hsv(float h, float s, float v);
/* Distance as seen, roughly: 0 equal, 1 black against white. */
float colour_distance(colour a, colour b);

#endif
