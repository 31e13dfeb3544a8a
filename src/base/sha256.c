#include "base/sha256.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

static const uint32_t round_constant[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turn(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void mix_block(uint32_t state[8], const uint8_t *p)
{
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t b = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t e = turn(v[4], 6) ^ turn(v[4], 11) ^ turn(v[4], 25), choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
        uint32_t a = turn(v[0], 2) ^ turn(v[0], 13) ^ turn(v[0], 22);
        uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        uint32_t t = v[7] + e + choice + round_constant[i] + w[i];
        memmove(v + 1, v, 7 * sizeof v[0]);
        v[4] += t;
        v[0] = t + a + majority;
    }
    for (int i = 0; i < 8; i++) state[i] += v[i];
}

void sha256_start(sha256 *s)
{
    *s = (sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
                            0x5be0cd19}};
}

void sha256_add(sha256 *s, const void *data, size_t size)
{
    const uint8_t *p = data;
    size_t have = s->length % 64;
    s->length += size;
    if (have + size < 64) {
        if (size) memcpy(s->block + have, p, size);
        return;
    }
    if (have) {
        memcpy(s->block + have, p, 64 - have);
        mix_block(s->state, s->block);
        p += 64 - have;
        size -= 64 - have;
    }
    for (; size >= 64; p += 64, size -= 64) mix_block(s->state, p);
    if (size) memcpy(s->block, p, size);
}

void sha256_end(sha256 *s, uint8_t digest[SHA256_BYTES])
{
    uint8_t tail[72] = {0x80};
    uint64_t bits = s->length * 8;
    size_t zeros = (55 - s->length) % 64;    /* after the 0x80, so that 8 bytes remain in the last block */
    for (int i = 0; i < 8; i++) tail[1 + zeros + (size_t)i] = (uint8_t)(bits >> (56 - 8 * i));
    sha256_add(s, tail, 9 + zeros);
    for (int i = 0; i < SHA256_BYTES; i++) digest[i] = (uint8_t)(s->state[i / 4] >> (24 - i % 4 * 8));
}

const char *sha256_hex(const uint8_t digest[SHA256_BYTES], char hex[SHA256_HEX])
{
    for (int i = 0; i < SHA256_BYTES; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return hex;
}

void sha256_of(const void *data, size_t size, char hex[SHA256_HEX])
{
    sha256 s;
    uint8_t digest[SHA256_BYTES];
    sha256_start(&s);
    sha256_add(&s, data, size);
    sha256_end(&s, digest);
    sha256_hex(digest, hex);
}

int sha256_of_file(const char *path, char hex[SHA256_HEX], m2m_error *err)
{
    enum { PIECE = 16 << 20 };
    file_map m;
    sha256 s;
    uint8_t digest[SHA256_BYTES];
    int rc = file_map_open(&m, path, err);
    if (rc) return rc;
    sha256_start(&s);
    for (size_t at = 0; at < m.size; at += PIECE) {
        size_t n = m.size - at < PIECE ? m.size - at : PIECE;
        sha256_add(&s, m.data + at, n);
        file_map_drop(&m, at, n);
    }
    file_map_close(&m);
    sha256_end(&s, digest);
    sha256_hex(digest, hex);
    return 0;
}
