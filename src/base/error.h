/* Two kinds of trouble only.
 *
 * The world's fault (file, memory, user, device): a function returns a negative M2M_E… code and fills the caller's
 * m2m_error (may be NULL) with one line that names the thing, the value found and the value wanted.
 * Our own bug: check() prints where and aborts, in release builds too. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "m2m.h"

/* Fills *err (NULL allowed) from a printf format and returns code, so that callers write `return fail(err, …)`. */
int fail(m2m_error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the message that *err already holds; returns err->code (or code when err is NULL). */
int fail_prefix(m2m_error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

_Noreturn void check_failed(const char *file, int line, const char *cond, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#define check(cond, ...)                                             \
    do {                                                             \
        if (!(cond)) check_failed(__FILE__, __LINE__, #cond, __VA_ARGS__); \
    } while (0)

#endif
