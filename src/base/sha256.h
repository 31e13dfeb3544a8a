/* SHA-256 (FIPS 180-4). Any thread; a sha256 is plain data and may be copied. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include "m2m.h"

enum { SHA256_BYTES = 32, SHA256_HEX = 65 };    /* SHA256_HEX: 64 digits and the final zero */

typedef struct sha256 {
    uint32_t state[8];
    uint64_t length;           /* bytes so far */
    uint8_t block[64];
} sha256;

void sha256_start(sha256 *s);
void sha256_add(sha256 *s, const void *data, size_t size);
/* Ends the sum; *s must be started anew before it is used again. */
void sha256_end(sha256 *s, uint8_t digest[SHA256_BYTES]);

/* 64 lower-case digits into hex; returns hex. */
const char *sha256_hex(const uint8_t digest[SHA256_BYTES], char hex[SHA256_HEX]);

/* The sum of `size` bytes and of a file as hexadecimal digits. Errors: M2M_EIO, M2M_ENOMEM. */
void sha256_of(const void *data, size_t size, char hex[SHA256_HEX]);
int sha256_of_file(const char *path, char hex[SHA256_HEX], m2m_error *err);

#endif
