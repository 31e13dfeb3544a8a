/* Task conditions of the images of a generation: cameras from a file or a ring, positions in a sequence. */
#ifndef LIB_POSES_H
#define LIB_POSES_H

#include "base/error.h"

/* Cameras, each the 3x4 world-to-camera extrinsic, row-major. spec:
 *   ring:N[:ELEVATION[:DISTANCE]]   N views around the origin, degrees (20) and world units (1.8): the first `wanted`
 *                                   of them, again from the start after N; Blender's axes (formats.md)
 *   FILE.npy                        F4 or F8, [3,4], [K,3,4] or [K,12]
 *   FILE.json                       an array of K cameras, each 12 numbers or 3 rows of 4; or one camera
 * *poses: [*n, 12], new (free). Errors begin with the spec: M2M_EINVAL, M2M_EIO, M2M_EFORMAT, M2M_ENOMEM. */
int poses_read(float **poses, int *n, const char *spec, int wanted, m2m_error *err);

#endif
