/* An image a little changed, so that what is learnt of it is not its pixels: turned, scaled, moved, mirrored, and its
 * colours' brightness, contrast and saturation shifted. */
#ifndef TRAIN_VARY_H
#define TRAIN_VARY_H

#include <stdbool.h>

enum { VARY_DRAWS = 8 };

typedef struct variation {
    float strength; /* 0: nothing but mirroring; 1: up to 20 degrees, a factor of 1.5, 1/8 of the side */
    bool mirror;    /* half of the images */
} variation;

/* to, from [3,size,size] in -1..1, apart; u: VARY_DRAWS numbers in 0..1, which decide. Beyond the edges the outermost
 * pixels go on. */
void vary_image(float *to, const float *from, int size, const variation *v, const float *u);

#endif
