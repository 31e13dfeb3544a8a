#include "tensor/tensor.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} types[DT_COUNT] = {
    [DT_BOOL] = {"BOOL", 1},
    [DT_U8] = {"U8", 1},
    [DT_I8] = {"I8", 1},
    [DT_F8_E5M2] = {"F8_E5M2", 1},
    [DT_F8_E4M3] = {"F8_E4M3", 1},
    [DT_I16] = {"I16", 2},
    [DT_U16] = {"U16", 2},
    [DT_F16] = {"F16", 2},
    [DT_BF16] = {"BF16", 2},
    [DT_I32] = {"I32", 4},
    [DT_U32] = {"U32", 4},
    [DT_F32] = {"F32", 4},
    [DT_F64] = {"F64", 8},
    [DT_I64] = {"I64", 8},
    [DT_U64] = {"U64", 8},
};

/* ---- Shapes ---- */

shape shape_make(int rank, const int64_t *dim)
{
    check(rank >= 0 && rank <= MAX_RANK, "rank %d, at most %d", rank, MAX_RANK);
    shape s = {.rank = rank};
    for (int i = 0; i < rank; i++) s.dim[i] = dim[i];
    return s;
}

int64_t shape_count(shape s)
{
    int64_t n = 1;
    for (int i = 0; i < s.rank; i++) n *= s.dim[i];
    return n;
}

bool shape_count_checked(shape s, int64_t *count)
{
    int64_t n = 1;
    bool empty = false;
    for (int i = 0; i < s.rank; i++) {
        if (s.dim[i] < 0) return false;
        if (s.dim[i] == 0)
            empty = true;
        else if (__builtin_mul_overflow(n, s.dim[i], &n))
            return false;
    }
    *count = empty ? 0 : n;
    return true;
}

bool shape_equal(shape a, shape b)
{
    if (a.rank != b.rank) return false;
    for (int i = 0; i < a.rank; i++) {
        if (a.dim[i] != b.dim[i]) return false;
    }
    return true;
}

int64_t shape_last(shape s)
{
    return s.rank ? s.dim[s.rank - 1] : 1;
}

int64_t shape_rows(shape s)
{
    int64_t n = 1;
    for (int i = 0; i + 1 < s.rank; i++) n *= s.dim[i];
    return n;
}

const char *shape_text(shape s, char *buf, size_t size)
{
    size_t at = 0;
    if (size) buf[0] = 0;
    for (int i = -1; i <= s.rank && at < size; i++) {
        int n;
        if (i < 0 || i == s.rank)
            n = snprintf(buf + at, size - at, i < 0 ? "[" : "]");
        else
            n = snprintf(buf + at, size - at, i ? ", %lld" : "%lld", (long long)s.dim[i]);
        at += (size_t)n;
    }
    return buf;
}

/* ---- Element types ---- */

size_t dtype_size(dtype t)
{
    return types[t].size;
}

const char *dtype_name(dtype t)
{
    return types[t].name;
}

bool dtype_parse(const char *name, dtype *t)
{
    for (int i = 0; i < DT_COUNT; i++) {
        if (strcmp(types[i].name, name) == 0) {
            *t = (dtype)i;
            return true;
        }
    }
    return false;
}

bool dtype_is_float(dtype t)
{
    return t == DT_F8_E5M2 || t == DT_F8_E4M3 || t == DT_F16 || t == DT_BF16 || t == DT_F32 ||
           t == DT_F64;
}

/* ---- Conversion. The 16-bit ones have no branches, so that compilers vectorize their loops. ---- */

static inline uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static inline float float_of(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static inline float from_half(uint16_t h)
{
    uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13, exponent = magnitude & 0x0f800000;
    uint32_t normal = magnitude + 0x38000000; /* exponent bias 15 -> 127 */
    uint32_t subnormal = bits_of(float_of(normal + 0x00800000) - float_of(0x38800000));
    uint32_t special = normal + 0x38000000;
    uint32_t u = exponent == 0x0f800000 ? special : exponent == 0 ? subnormal : normal;
    return float_of(u | (uint32_t)(h & 0x8000) << 16);
}

static inline uint16_t to_half(float f)
{
    uint32_t u = bits_of(f), sign = u & 0x80000000u, m = u ^ sign;
    uint32_t special = m > 0x7f800000 ? 0x7e00 : 0x7c00; /* NaN, or infinity and too large */
    uint32_t subnormal = bits_of(float_of(m) + 0.5f) - bits_of(0.5f); /* the FPU rounds to even */
    uint32_t normal = (m + 0xc8000fffu + ((m >> 13) & 1)) >> 13;
    uint32_t h = m >= 0x47800000 ? special : m < 0x38800000 ? subnormal : normal;
    return (uint16_t)(h | sign >> 16);
}

static inline uint16_t to_bf16(float f)
{
    uint32_t u = bits_of(f);
    uint32_t rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? (u >> 16 | 0x40) : rounded);
}

/* 1 sign, 4 exponent (bias 7), 3 mantissa bits; no infinity, one NaN. */
static float from_e4m3(uint8_t b)
{
    int exponent = b >> 3 & 15, mantissa = b & 7;
    float f = exponent ? ldexpf((float)(8 + mantissa), exponent - 10) : ldexpf((float)mantissa, -9);
    if ((b & 0x7f) == 0x7f) f = NAN;
    return b & 0x80 ? -f : f;
}

#define READ(ctype, expression)                                \
    do {                                                       \
        const ctype *s = src;                                  \
        for (int64_t i = 0; i < n; i++) dst[i] = (expression); \
    } while (0)

void to_f32(float *dst, const void *src, dtype t, int64_t n)
{
    switch (t) {
    case DT_BOOL: READ(uint8_t, s[i] ? 1.0f : 0.0f); break;
    case DT_U8: READ(uint8_t, (float)s[i]); break;
    case DT_I8: READ(int8_t, (float)s[i]); break;
    case DT_F8_E5M2: READ(uint8_t, from_half((uint16_t)(s[i] << 8))); break;
    case DT_F8_E4M3: READ(uint8_t, from_e4m3(s[i])); break;
    case DT_I16: READ(int16_t, (float)s[i]); break;
    case DT_U16: READ(uint16_t, (float)s[i]); break;
    case DT_F16: READ(uint16_t, from_half(s[i])); break;
    case DT_BF16: READ(uint16_t, float_of((uint32_t)s[i] << 16)); break;
    case DT_I32: READ(int32_t, (float)s[i]); break;
    case DT_U32: READ(uint32_t, (float)s[i]); break;
    case DT_F32: memcpy(dst, src, (size_t)n * sizeof *dst); break;
    case DT_F64: READ(double, (float)s[i]); break;
    case DT_I64: READ(int64_t, (float)s[i]); break;
    case DT_U64: READ(uint64_t, (float)s[i]); break;
    case DT_COUNT: check(false, "no such element type");
    }
}

/* To the nearest integer (ties to even) that the type can hold; NaN becomes 0. */
static int64_t nearest(float f, double lo, double hi)
{
    double d = nearbyint((double)f);
    return isnan(d) ? 0 : d <= lo ? (int64_t)lo : d >= hi ? (int64_t)hi : (int64_t)d;
}

static uint64_t nearest_u64(float f)
{
    return f >= 18446744073709551616.0f ? UINT64_MAX : f > 0 ? (uint64_t)nearbyintf(f) : 0;
}

static int64_t nearest_i64(float f)
{
    return f >= 9223372036854775808.0f ? INT64_MAX
                                       : nearest(f, -9223372036854775808.0, 9223372036854774784.0);
}

#define WRITE(ctype, expression)                                    \
    do {                                                            \
        ctype *d = dst;                                             \
        for (int64_t i = 0; i < n; i++) d[i] = (ctype)(expression); \
    } while (0)

void from_f32(void *dst, const float *src, dtype t, int64_t n)
{
    switch (t) {
    case DT_BOOL: WRITE(uint8_t, src[i] != 0); break;
    case DT_U8: WRITE(uint8_t, nearest(src[i], 0, UINT8_MAX)); break;
    case DT_I8: WRITE(int8_t, nearest(src[i], INT8_MIN, INT8_MAX)); break;
    case DT_I16: WRITE(int16_t, nearest(src[i], INT16_MIN, INT16_MAX)); break;
    case DT_U16: WRITE(uint16_t, nearest(src[i], 0, UINT16_MAX)); break;
    case DT_F16: WRITE(uint16_t, to_half(src[i])); break;
    case DT_BF16: WRITE(uint16_t, to_bf16(src[i])); break;
    case DT_I32: WRITE(int32_t, nearest(src[i], INT32_MIN, INT32_MAX)); break;
    case DT_U32: WRITE(uint32_t, nearest(src[i], 0, UINT32_MAX)); break;
    case DT_F32: memcpy(dst, src, (size_t)n * sizeof *src); break;
    case DT_F64: WRITE(double, src[i]); break;
    case DT_I64: WRITE(int64_t, nearest_i64(src[i])); break;
    case DT_U64: WRITE(uint64_t, nearest_u64(src[i])); break;
    case DT_F8_E5M2:
    case DT_F8_E4M3:
    case DT_COUNT: check(false, "%s can't be written", t < DT_COUNT ? dtype_name(t) : "type");
    }
}
