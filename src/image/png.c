/* PNG through libspng. */
#include "image/formats.h"

#include "base/error.h"
#include "base/str.h"
#include "image/codec.h"
#include "image/exif.h"
#include "image/image.h"

#include <spng.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_LIMIT = 64 << 20, KEYWORD = 79 };

static int failed(m2m_error *err, const char *name, int status)
{
    int code = status == SPNG_EMEM ? M2M_ENOMEM : M2M_EFORMAT;
    return fail(err, code, "%s: not a sound PNG: %s", name, spng_strerror(status));
}

/* A context that is about to read these bytes, the header checked. NULL on failure. */
static spng_ctx *open_png(struct spng_ihdr *ihdr, const uint8_t *data, size_t size, const char *name, m2m_error *err)
{
    spng_ctx *ctx = spng_ctx_new(0);
    if (!ctx) {
        fail(err, M2M_ENOMEM, "%s: no memory to read it", name);
        return NULL;
    }
    spng_set_image_limits(ctx, IMAGE_SIDE, IMAGE_SIDE);
    spng_set_chunk_limits(ctx, CHUNK_LIMIT, CHUNK_LIMIT);
    spng_set_crc_action(ctx, SPNG_CRC_ERROR, SPNG_CRC_DISCARD);    /* a damaged text does not spoil the picture */
    int status = spng_set_png_buffer(ctx, data, size);
    if (!status) status = spng_get_ihdr(ctx, ihdr);
    if (status) failed(err, name, status);
    if (status || image_check_sides(ihdr->width, ihdr->height, name, err)) {
        spng_ctx_free(ctx);
        return NULL;
    }
    return ctx;
}

static int decode_pixels(m2m_image *img, spng_ctx *ctx, const struct spng_ihdr *ihdr, const char *name, m2m_error *err)
{
    struct spng_trns trns;
    int type = ihdr->color_type;
    int transparent = spng_get_trns(ctx, &trns);
    if (transparent && transparent != SPNG_ECHUNKAVAIL) return failed(err, name, transparent);
    bool alpha = !transparent || type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA || type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA;
    if (m2m_image_new(img, (int)ihdr->width, (int)ihdr->height, alpha ? 4 : 3, err))
        return fail_prefix(err, M2M_ENOMEM, "%s", name);
    int format = alpha ? SPNG_FMT_RGBA8 : SPNG_FMT_RGB8;
    int status = spng_decode_image(ctx, img->data, image_bytes(img), format, SPNG_DECODE_TRNS);
    /* libspng stops when it has all pixels; it looks at the checksum behind them only when the chunks that follow are
     * read. If these are cut off, the picture is whole all the same. */
    if (!status && spng_decode_chunks(ctx) == SPNG_ECHUNK_CRC) status = SPNG_ECHUNK_CRC;
    if (!status) return 0;
    m2m_image_free(img);
    return failed(err, name, status);
}

int png_decode(m2m_image *img, int *orientation, const uint8_t *data, size_t size, const char *name, m2m_error *err)
{
    struct spng_ihdr ihdr;
    struct spng_exif exif;
    *img = (m2m_image){0};
    spng_ctx *ctx = open_png(&ihdr, data, size, name, err);
    if (!ctx) return err ? err->code : M2M_EFORMAT;
    int rc = decode_pixels(img, ctx, &ihdr, name, err);
    *orientation = 1;
    if (!rc && !spng_get_exif(ctx, &exif)) *orientation = exif_orientation((const uint8_t *)exif.data, exif.length);
    spng_ctx_free(ctx);
    return rc;
}

/* ---- Texts ---- */

/* Latin-1 to UTF-8, or UTF-8 with what is none replaced; to be freed. NULL: out of memory. */
static char *to_utf8(const char *text, size_t n, bool latin1)
{
    str s = {0};
    while (n) {
        unsigned char c = (unsigned char)*text;
        int size = latin1 ? 0 : utf8_next(text, n, NULL);
        if (size) {
            str_bytes(&s, text, (size_t)size);
        } else if (!latin1) {
            str_add(&s, "\xEF\xBF\xBD");
        } else if (c < 0x80) {
            str_char(&s, (char)c);
        } else {
            str_char(&s, (char)(0xc0 | c >> 6));
            str_char(&s, (char)(0x80 | (c & 0x3f)));
        }
        text += size ? size : 1;
        n -= size ? (size_t)size : 1;
    }
    return str_take(&s);
}

/* UTF-8 as Latin-1, if it can be said with the characters that tEXt allows. NULL: no (or out of memory). */
static char *to_latin1(const char *text, size_t n)
{
    char *out = malloc(n + 1), *to = out;
    while (out && n) {
        uint32_t code;
        int size = utf8_next(text, n, &code);
        if (!size || !(code == '\n' || (code >= 0x20 && code < 0x7f) || (code >= 0xa0 && code <= 0xff))) {
            free(out);
            return NULL;
        }
        *to++ = (char)(unsigned char)code;
        text += size;
        n -= (size_t)size;
    }
    if (out) *to = 0;
    return out;
}

static int take_text(m2m_text *out, const struct spng_text *from)
{
    bool latin1 = from->type != SPNG_ITXT;
    size_t n = memchr(from->text, 0, from->length) ? strlen(from->text) : from->length;
    out->keyword = to_utf8(from->keyword, strlen(from->keyword), true);
    out->text = to_utf8(from->text, n, latin1);
    return out->keyword && out->text ? 0 : -1;
}

int png_texts(const uint8_t *data, size_t size, const char *name, m2m_text **texts, int *n, m2m_error *err)
{
    struct spng_ihdr ihdr;
    uint32_t count = 0;
    spng_ctx *ctx = open_png(&ihdr, data, size, name, err);
    if (!ctx) return err ? err->code : M2M_EFORMAT;
    int status = spng_get_text(ctx, NULL, &count), rc = 0;
    struct spng_text *found = NULL;
    m2m_text *out = NULL;
    if (!status) {
        found = calloc(count, sizeof *found);
        out = calloc(count, sizeof *out);
        status = found && out ? spng_get_text(ctx, found, &count) : SPNG_EMEM;
    }
    if (status == SPNG_ECHUNKAVAIL) {    /* there is none */
        count = 0;
        status = 0;
    }
    for (uint32_t i = 0; i < count && !status; i++) {
        if (take_text(&out[i], &found[i])) status = SPNG_EMEM;
    }
    if (status) {
        if (out) image_texts_free(&out, (int)count);
        rc = failed(err, name, status);
    } else {
        *texts = out;
        *n = (int)count;
    }
    free(found);
    spng_ctx_free(ctx);
    return rc;
}

/* ---- Writing ---- */

static int check_keyword(const char *keyword, m2m_error *err)
{
    size_t n = strlen(keyword);
    bool good = n >= 1 && n <= KEYWORD && keyword[0] != ' ' && keyword[n - 1] != ' ' && !strstr(keyword, "  ");
    for (size_t i = 0; i < n && good; i++) {
        unsigned char c = (unsigned char)keyword[i];
        good = (c >= 0x20 && c < 0x7f) || c >= 0xa1;
    }
    if (good) return 0;
    return fail(err, M2M_EINVAL, "PNG text: keyword '%.80s', 1..%d printable Latin-1 characters without outer or "
                "double spaces were wanted", keyword, KEYWORD);
}

/* Fills *to; to->text is to be freed. to->length 0: nothing to write. */
static int make_text(struct spng_text *to, const m2m_text *from, m2m_error *err)
{
    int rc = check_keyword(from->keyword, err);
    if (rc) return rc;
    size_t n = strlen(from->text);
    *to = (struct spng_text){.type = SPNG_TEXT, .text = to_latin1(from->text, n)};
    if (!to->text) {
        to->type = SPNG_ITXT;
        to->text = to_utf8(from->text, n, false);
        /* Both empty; the text's own end serves, since libspng wants writable strings. */
        if (to->text) to->language_tag = to->translated_keyword = to->text + strlen(to->text);
    }
    if (!to->text) return fail(err, M2M_ENOMEM, "PNG text '%s': no memory", from->keyword);
    memcpy(to->keyword, from->keyword, strlen(from->keyword) + 1);
    to->length = strlen(to->text);
    return 0;
}

/* Hands the texts to ctx, which copies nothing: *made must live until the image is written. */
static int set_texts(spng_ctx *ctx, struct spng_text *made, const m2m_text *texts, int n, m2m_error *err)
{
    int used = 0;
    for (int i = 0; i < n; i++) {
        int rc = make_text(&made[used], &texts[i], err);
        if (rc) return rc;
        if (made[used].length) {
            used++;
        } else {    /* libspng writes no empty texts */
            free(made[used].text);
            made[used].text = NULL;
        }
    }
    int status = used ? spng_set_text(ctx, made, (uint32_t)used) : 0;
    return status ? fail(err, M2M_EINVAL, "PNG texts: %s", spng_strerror(status)) : 0;
}

static int encode(spng_ctx *ctx, const m2m_image *img, int level, uint8_t **data, size_t *size, m2m_error *err)
{
    struct spng_ihdr ihdr = {.width = (uint32_t)img->width, .height = (uint32_t)img->height, .bit_depth = 8,
        .color_type = img->channels == 4 ? SPNG_COLOR_TYPE_TRUECOLOR_ALPHA : SPNG_COLOR_TYPE_TRUECOLOR};
    int status = spng_set_option(ctx, SPNG_ENCODE_TO_BUFFER, 1);
    if (!status) status = spng_set_option(ctx, SPNG_IMG_COMPRESSION_LEVEL, level);
    if (!status) status = spng_set_ihdr(ctx, &ihdr);
    if (!status) status = spng_encode_image(ctx, img->data, image_bytes(img), SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    uint8_t *made = status ? NULL : spng_get_png_buffer(ctx, size, &status);
    int code = status == SPNG_EMEM ? M2M_ENOMEM : M2M_EINVAL;
    if (!made) return fail(err, code, "PNG: can't make it: %s", spng_strerror(status));
    *data = made;
    return 0;
}

int png_encode(const m2m_image *img, const m2m_text *texts, int n_texts, int level, uint8_t **data, size_t *size,
               m2m_error *err)
{
    spng_ctx *ctx = spng_ctx_new(SPNG_CTX_ENCODER);
    struct spng_text *made = calloc((size_t)n_texts + 1, sizeof *made);
    int rc = ctx && made ? set_texts(ctx, made, texts, n_texts, err)
                         : fail(err, M2M_ENOMEM, "PNG: no memory to make it");
    if (!rc) rc = encode(ctx, img, level, data, size, err);
    spng_ctx_free(ctx);
    for (int i = 0; made && i < n_texts; i++) free(made[i].text);
    free(made);
    return rc;
}
