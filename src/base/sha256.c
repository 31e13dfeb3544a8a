#include "base/sha256.h"

#include "base/file.h"

#include <stdio.h>

const char *sha256_hex(const uint8_t digest[SHA256_BYTES], char hex[SHA256_HEX])
{
    for (int i = 0; i < SHA256_BYTES; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return hex;
}

static void end_in_hex(struct sha256_ctx *s, char hex[SHA256_HEX])
{
    uint8_t digest[SHA256_BYTES];
    sha256_digest(s, SHA256_BYTES, digest);
    sha256_hex(digest, hex);
}

void sha256_of(const void *data, size_t size, char hex[SHA256_HEX])
{
    struct sha256_ctx s;
    sha256_init(&s);
    sha256_add(&s, data, size);
    end_in_hex(&s, hex);
}

int sha256_of_file(const char *path, char hex[SHA256_HEX], m2m_error *err)
{
    enum { PIECE = 16 << 20 };
    file_map m;
    struct sha256_ctx s;
    int rc = file_map_open(&m, path, err);
    if (rc) return rc;
    sha256_init(&s);
    for (size_t at = 0; at < m.size; at += PIECE) {
        size_t n = m.size - at < PIECE ? m.size - at : PIECE;
        sha256_add(&s, m.data + at, n);
        file_map_drop(&m, at, n);
    }
    file_map_close(&m);
    end_in_hex(&s, hex);
    return 0;
}
