/* SHA-256 by nettle: sha256_init, sha256_add, sha256_digest on a struct sha256_ctx. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include "m2m.h"

#include <nettle/sha2.h>

enum { SHA256_BYTES = SHA256_DIGEST_SIZE, SHA256_HEX = 65 };    /* SHA256_HEX: 64 digits and the final zero */

static inline void sha256_add(struct sha256_ctx *s, const void *data, size_t size)
{
    sha256_update(s, size, data);
}

/* 64 lower-case digits into hex; returns hex. */
const char *sha256_hex(const uint8_t digest[SHA256_BYTES], char hex[SHA256_HEX]);

/* The sum of `size` bytes and of a file as hexadecimal digits. Errors: M2M_EIO, M2M_ENOMEM. */
void sha256_of(const void *data, size_t size, char hex[SHA256_HEX]);
int sha256_of_file(const char *path, char hex[SHA256_HEX], m2m_error *err);

#endif
