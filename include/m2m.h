#ifndef M2M_H
#define M2M_H

#include <stddef.h>
#include <stdint.h>

/* Every public function is declared with it: the shared library exports these and nothing else. */
#define M2M_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Errors ------------------------------------------------------------------------------------------------- */

/* Functions that can fail return 0 or one of these. */
enum {
    M2M_EINVAL = -1,     /* an argument or option is out of range or contradicts another */
    M2M_EIO = -2,        /* a file or directory can't be read or written */
    M2M_EFORMAT = -3,    /* a file's content is not what its format promises */
    M2M_ENOMEM = -4,     /* memory, or a limit on it, ran out */
    M2M_ESHAPE = -5,     /* a tensor is missing, unknown or has another shape */
    M2M_EUNSUPPORTED = -6, /* well-formed, but not something m2m can do */
    M2M_ECANCELLED = -7, /* a callback asked to stop */
    M2M_EDEVICE = -8     /* a device is absent or failed */
};

/* Filled on failure; untouched on success. One line, no trailing newline. */
typedef struct m2m_error {
    int code;
    char msg[508];
} m2m_error;

#ifdef __cplusplus
}
#endif
#endif
