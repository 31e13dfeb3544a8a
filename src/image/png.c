/* PNG by libspng, with texts: tEXt when all is Latin-1, else iTXt in UTF-8 (P23: other readers garble UTF-8 in tEXt). */
#include "base/error.h"
#include "base/str.h"
#include "image/codec.h"

#include <spng.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 16 << 20, CHUNKS = 64 << 20 };    /* most bytes of one ancillary chunk and of all, decompressed */

static bool knows(const uint8_t *data, size_t size)
{
    return size >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static int broken(m2m_error *err, int code)
{
    return fail(err, code == SPNG_EMEM ? M2M_ENOMEM : M2M_EFORMAT, "PNG: %s", spng_strerror(code));
}

static spng_ctx *open_decoder(const uint8_t *data, size_t size)
{
    spng_ctx *ctx = spng_ctx_new(0);
    if (!ctx) return NULL;
    spng_set_image_limits(ctx, IMAGE_SIDE, IMAGE_SIDE);
    spng_set_chunk_limits(ctx, CHUNK, CHUNKS);
    spng_set_crc_action(ctx, SPNG_CRC_ERROR, SPNG_CRC_DISCARD);   /* a broken comment does not make pixels unreadable */
    spng_set_png_buffer(ctx, data, size);
    return ctx;
}

static bool has_alpha(spng_ctx *ctx, const struct spng_ihdr *ihdr)
{
    struct spng_trns trns;
    return ihdr->color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA || ihdr->color_type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA ||
           spng_get_trns(ctx, &trns) == 0;
}

static int decode(m2m_image *img, int *orientation, const uint8_t *data, size_t size, m2m_error *err)
{
    struct spng_ihdr ihdr;
    struct spng_exif exif;
    spng_ctx *ctx = open_decoder(data, size);
    if (!ctx) return fail(err, M2M_ENOMEM, "no memory to decode PNG");
    int code = spng_get_ihdr(ctx, &ihdr), rc = 0;
    if (code) {
        rc = broken(err, code);
        goto done;
    }
    bool alpha = has_alpha(ctx, &ihdr);
    rc = codec_new(img, ihdr.width, ihdr.height, alpha ? 4 : 3, err);
    if (rc) goto done;
    size_t bytes = (size_t)img->width * (size_t)img->height * (size_t)img->channels;
    code = spng_decode_image(ctx, img->data, bytes, alpha ? SPNG_FMT_RGBA8 : SPNG_FMT_RGB8, alpha ? SPNG_DECODE_TRNS : 0);
    if (code) {
        m2m_image_free(img);
        rc = broken(err, code);
        goto done;
    }
    if (spng_get_exif(ctx, &exif) == 0) *orientation = exif_orientation((const uint8_t *)exif.data, exif.length);
done:
    spng_ctx_free(ctx);
    return rc;
}

/* ---- Texts ---- */

/* Latin-1 text as UTF-8, to be freed. */
static char *from_latin1(const char *text, size_t n)
{
    str s = {0};
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x80) {
            str_char(&s, (char)(0xc0 | c >> 6));
            c = 0x80 | (c & 0x3f);
        }
        str_char(&s, (char)c);
    }
    return str_take(&s);
}

/* UTF-8 text in Latin-1, to be freed; *n gets its bytes. NULL with *fits false: it has characters that PNG's tEXt can't hold. */
static char *to_latin1(const char *text, bool *fits, size_t *n)
{
    size_t left = strlen(text), used = 0;
    char *out = malloc(left + 1);
    *fits = true;
    while (out && left) {
        uint32_t c = 0;
        int size = utf8_next(text, left, &c);
        if (!size || c > 0xff || (c < 0x20 && c != '\n') || (c >= 0x7f && c < 0xa0)) {
            *fits = false;
            free(out);
            return NULL;
        }
        out[used++] = (char)c;
        text += size;
        left -= (size_t)size;
    }
    if (out) out[used] = 0;
    *n = used;
    return out;
}

static int read_texts(spng_ctx *ctx, m2m_text **texts, int *n, m2m_error *err)
{
    uint32_t count = 0;
    int code = spng_get_text(ctx, NULL, &count);
    if (code == SPNG_ECHUNKAVAIL) count = code = 0;
    if (code) return broken(err, code);
    struct spng_text *found = calloc((size_t)count + 1, sizeof *found);
    m2m_text *list = calloc((size_t)count + 1, sizeof *list);
    int rc = found && list ? 0 : fail(err, M2M_ENOMEM, "no memory for %u texts", (unsigned)count);
    if (!rc && count && (code = spng_get_text(ctx, found, &count)) != 0) rc = broken(err, code);
    for (uint32_t i = 0; !rc && i < count; i++) {
        const char *text = found[i].text;
        bool utf8 = found[i].type == SPNG_ITXT && utf8_valid(text, found[i].length);
        list[i].keyword = from_latin1(found[i].keyword, strlen(found[i].keyword));
        list[i].text = utf8 ? strndup(text, found[i].length) : from_latin1(text, found[i].length);
        if (!list[i].keyword || !list[i].text) rc = fail(err, M2M_ENOMEM, "no memory for %u texts", (unsigned)count);
    }
    free(found);
    if (rc) {
        image_texts_free(&list, (int)count);
        return rc;
    }
    *texts = list;
    *n = (int)count;
    return 0;
}

int image_texts(const void *data, size_t size, m2m_text **texts, int *n, m2m_error *err)
{
    if (!knows(data, size)) return fail(err, M2M_EFORMAT, "%zu bytes are no PNG", size);
    spng_ctx *ctx = open_decoder(data, size);
    if (!ctx) return fail(err, M2M_ENOMEM, "no memory to decode PNG");
    int code = spng_decode_chunks(ctx);              /* those before the pixels, where everybody writes texts */
    struct spng_ihdr ihdr;
    int rc = code ? broken(err, code) : spng_get_ihdr(ctx, &ihdr) ? fail(err, M2M_EFORMAT, "PNG has no header") : 0;
    if (!rc) rc = read_texts(ctx, texts, n, err);
    spng_ctx_free(ctx);
    return rc;
}

void image_texts_free(m2m_text **texts, int n)
{
    for (int i = 0; *texts && i < n; i++) {
        free((void *)(uintptr_t)(*texts)[i].keyword);
        free((void *)(uintptr_t)(*texts)[i].text);
    }
    free(*texts);
    *texts = NULL;
}

/* Fills one chunk; what it points to is to be freed by free_chunks. */
static int make_chunk(struct spng_text *chunk, const m2m_text *t, char *empty, m2m_error *err)
{
    bool fits;
    size_t n;
    char *keyword = to_latin1(t->keyword, &fits, &n);
    if (!keyword || n < 1 || n > 79) {
        free(keyword);
        return fail(err, fits && !keyword ? M2M_ENOMEM : M2M_EINVAL, "PNG keyword \"%.100s\": 1 to 79 Latin-1 characters wanted",
            t->keyword);
    }
    memcpy(chunk->keyword, keyword, n + 1);
    free(keyword);
    chunk->text = to_latin1(t->text, &fits, &chunk->length);
    chunk->type = SPNG_TEXT;
    if (!fits) {
        chunk->type = SPNG_ITXT;
        chunk->length = strlen(t->text);
        chunk->language_tag = chunk->translated_keyword = empty;
        if (!utf8_valid(t->text, chunk->length)) return fail(err, M2M_EINVAL, "PNG text \"%s\": is not UTF-8", t->keyword);
        chunk->text = strdup(t->text);
    }
    return chunk->text ? 0 : fail(err, M2M_ENOMEM, "no memory for PNG text \"%s\"", t->keyword);
}

static void free_chunks(struct spng_text *chunks, int n)
{
    for (int i = 0; chunks && i < n; i++) free(chunks[i].text);
    free(chunks);
}

static int encode(const m2m_image *img, int quality, const m2m_text *texts, int n_texts, uint8_t **data, size_t *size,
                  m2m_error *err)
{
    (void)quality;
    char empty[1] = "";
    struct spng_ihdr ihdr = {.width = (uint32_t)img->width, .height = (uint32_t)img->height, .bit_depth = 8,
        .color_type = img->channels == 4 ? SPNG_COLOR_TYPE_TRUECOLOR_ALPHA : SPNG_COLOR_TYPE_TRUECOLOR};
    size_t bytes = (size_t)img->width * (size_t)img->height * (size_t)img->channels;
    int code = 0, rc = 0;
    struct spng_text *chunks = calloc((size_t)n_texts + 1, sizeof *chunks);
    spng_ctx *ctx = spng_ctx_new(SPNG_CTX_ENCODER);
    if (!chunks || !ctx) rc = fail(err, M2M_ENOMEM, "no memory to encode PNG");
    for (int i = 0; !rc && i < n_texts; i++) rc = make_chunk(&chunks[i], &texts[i], empty, err);
    if (rc) goto done;
    spng_set_option(ctx, SPNG_ENCODE_TO_BUFFER, 1);
    code = spng_set_ihdr(ctx, &ihdr);
    if (!code && n_texts) code = spng_set_text(ctx, chunks, (uint32_t)n_texts);
    if (!code) code = spng_encode_image(ctx, img->data, bytes, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    void *png = code ? NULL : spng_get_png_buffer(ctx, size, &code);
    if (png)
        *data = png;
    else
        rc = fail(err, code == SPNG_EMEM ? M2M_ENOMEM : M2M_EINVAL, "PNG: %s", spng_strerror(code));
done:
    free_chunks(chunks, n_texts);
    spng_ctx_free(ctx);
    return rc;
}

const codec codec_png = {"PNG", {".png"}, knows, decode, encode};
