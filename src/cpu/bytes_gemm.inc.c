/* The product of words_gemm.inc.c in integers of 8 bits. A piece is divided by its largest value and rounded to -127 ..
 * 127. The instruction wants A without sign: 128 is added, and each column's sums begin at what that adds, negated
 * (offset). An element is off by at most a 254th of the largest of its piece. */

enum { BYTES_TOP = 127 };

static const words_width of_bytes;

static inline float bytes_inverse_of(float largest)
{
    return largest > 0 ? BYTES_TOP / largest : 0;
}

/* As words_row. */
static void bytes_row(float *row, const float *x, int64_t depth)
{
    uint8_t *to = (uint8_t *)(row + words_head(&of_bytes, depth));
    for (int64_t p = 0; p < words_pieces(&of_bytes, depth); p++) {
        const span k = words_piece(&of_bytes, depth, p);
        vf top = splat(0), odd = splat(0);
        for (int64_t i = k.first; i < k.end; i += V) {
            top = vmax(vabs(load(x + i)), top);
            odd += load(x + i) * 0.0f;
        }
        const float most = vtop(top), by = bytes_inverse_of(most);
        row[p] = most * (1.0f / BYTES_TOP) + vsum(odd);
        for (int64_t i = k.first; i < k.end; i += V) bytes_store(to + i, load(x + i) * by);
    }
}

/* As words_pack_piece. */
static void bytes_pack_piece(void *to, float *scale, int32_t *offset, const float *s, int64_t depth)
{
    uint32_t *dst = to;
    for (int v = 0; v < TILE_COLS; v += V) {
        vf top = splat(0), odd = splat(0);
        for (int64_t k = 0; k < depth; k++) {
            top = vmax(vabs(load(s + k * TILE_COLS + v)), top);
            odd += load(s + k * TILE_COLS + v) * 0.0f;
        }
        store(scale + v, top * (1.0f / BYTES_TOP) + odd);
        const vf by = choose(top > 0.0f, BYTES_TOP / top, splat(0));
        vi sum = {0};
        for (int64_t k = 0; k < depth; k += 4) {
            vi word = {0};
            for (int i = 0; i < 4; i++) {
                const vi x = words_whole(load(s + (k + i) * TILE_COLS + v) * by);
                word |= (x & 0xff) << 8 * i;
                sum += x;
            }
            store_whole(dst + k / 4 * TILE_COLS + v, word);
        }
        store_whole(offset + v, sum * -128);
    }
}

WORDS_TILE(bytes_whole_tile, TILE_ROWS, 1, bytes_add, true)
WORDS_TILE(bytes_tail_tile, TAIL_ROWS, 1, bytes_add, true)
WORDS_TILE(bytes_twin, TWIN_ROWS, 2, bytes_add, true)
WORDS_TILE(bytes_twin_tail, TAIL_ROWS, 2, bytes_add, true)

static const words_width of_bytes = {
    BY_ROWS,
    .kind = PACK_BYTES,
    .size = 1,
    .work = 0.5,
    .row = bytes_row,
    .pack_piece = bytes_pack_piece,
    .tiles = {{bytes_whole_tile, bytes_tail_tile}, {bytes_twin, bytes_twin_tail}},
};
