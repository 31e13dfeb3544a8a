/* The product of words_gemm.inc.c by AMX, whose instruction multiplies a tile of 16 rows by one of 16 columns over 64
 * integers of 8 bits: 16 times the multiply-adds of AVX-512 in as many cycles.
 *
 * A number is one, two or three digits to the base of 256, each -128 .. 127 (8, 16 or 24 bits), when its piece of a row
 * or column has been divided by the largest value. Products of two digits whose places add up to less than the number
 * of digits are summed, those of one place together and without any rounding: 1, 3 or 6 products of tiles; the others
 * are below the last digit. With three digits that rounds no more than a sum of floats does, with two an element is off
 * by a 65,000th of the largest of its piece at most.
 *
 * The order of a piece's numbers is another than in memory, the same in A and B: of 64 numbers, byte 4 l + i is number
 * 16 order[i] + l, order = 0 2 1 3. That is what four vectors of 16 numbers give without moving any across a vector.
 *
 * A row: [scales of its pieces, as floats][depth/64][digits][64]. A packed panel of B: [depth/64][2][digits][16][64],
 * two tiles of 16 columns of 64 numbers; a piece of it fits L1. The instruction that loads a tile wants its rows one
 * distance apart: so are those of a matrix, and pixels beside each other; others are copied first. (An odd number of
 * cache lines apart they don't share a set of L1.) */

enum {
    DIGIT_DEPTH = 64,                 /* of a tile */
    DIGIT_ROWS = 16,
    DIGIT_TILE = DIGIT_ROWS * 64,     /* bytes of a tile */
    DIGITS = 3,                       /* at most */
    DIGIT_WIDE = 640,                 /* columns whose sums are kept between parts, in L2 */
};

_Static_assert(TILE_COLS == 2 * DIGIT_ROWS, "a panel is two tiles wide");

/* ---- to digits ---- */

/* The most that a number of so many digits can be, a little less with three, where a product rounds. */
static inline float digits_top(int digits)
{
    return digits == 1 ? 127.0f : digits == 2 ? 32639.0f : 8355000.0f;
}

/* What 1 means in digits_sum, over the scales of both factors. */
static inline float digits_unit(int digits)
{
    return digits == 1 ? 1.0f : digits == 2 ? 256.0f : 16777216.0f;
}

/* Bytes of four vectors, byte i of each 32 bits: [a c b d]; see words_pair. */
static inline vi digits_low(vi ab, vi cd)
{
    return (vi)_mm512_mask_blend_epi8(0xaaaaaaaaaaaaaaaa, (__m512i)ab, _mm512_slli_epi16((__m512i)cd, 8));
}

static inline vi digits_high(vi ab, vi cd)
{
    return (vi)_mm512_mask_blend_epi8(0xaaaaaaaaaaaaaaaa, _mm512_srli_epi16((__m512i)ab, 8), (__m512i)cd);
}

/* 64 numbers to `digits` vectors of bytes, `step` bytes apart, the first digit first. A digit is what is left of a
 * number when 128 has been added for every one below it, and 128 itself taken from those. */
static inline __attribute__((always_inline)) void digits_split_whole(int digits, char *to, int64_t step,
                                                                     const vi v[4])
{
    const vi flip = (vi)_mm512_set1_epi8((char)0x80);
    vi n[4];
    UNROLL(4)
    for (int i = 0; i < 4; i++) n[i] = digits == 3 ? v[i] + 0x8080 : v[i];
    const int16_t half = digits == 2 ? 0x80 : 0;
    const vi ab = (vi)_mm512_add_epi16((__m512i)words_pair(n[0], n[1]), _mm512_set1_epi16(half));
    const vi cd = (vi)_mm512_add_epi16((__m512i)words_pair(n[2], n[3]), _mm512_set1_epi16(half));
    store_whole(to + (digits - 1) * step, digits_low(ab, cd) ^ (digits > 1 ? flip : (vi){0}));
    if (digits > 1) store_whole(to + (digits - 2) * step, digits_high(ab, cd) ^ (digits > 2 ? flip : (vi){0}));
    if (digits > 2) store_whole(to, digits_low(words_pair(n[0] >> 16, n[1] >> 16), words_pair(n[2] >> 16, n[3] >> 16)));
}

/* 64 numbers, already divided: the same. */
static inline __attribute__((always_inline)) void digits_split(int digits, char *to, int64_t step, const vf x[4])
{
    vi v[4];
    UNROLL(4)
    for (int i = 0; i < 4; i++) v[i] = words_whole(x[i]);
    digits_split_whole(digits, to, step, v);
}

/* What a piece whose largest value is given is multiplied by. A tiny one keeps fewer digits. */
static inline float digits_inverse(int digits, float largest)
{
    const float by = digits_top(digits) / largest;
    return largest > 0 ? by < 1e37f ? by : 1e37f : 0;
}

/* Numbers at x, n of them to be read, four vectors times `by`. */
static inline __attribute__((always_inline)) void digits_load(vf to[4], const float *x, int64_t n, float by)
{
    UNROLL(4)
    for (int i = 0; i < 4; i++) to[i] = i * V < n ? load(x + i * V) * by : splat(0);
}

/* The larger of top and |x|; infinity and NaN are larger than all numbers, and stay. */
static inline vf digits_larger(vf top, vf x)
{
    return (vf)_mm512_max_epu32((__m512i)top, (__m512i)vabs(x));
}

static inline float digits_top_of(vf top)
{
    const uint32_t bits = _mm512_reduce_max_epu32((__m512i)top);
    float largest;
    memcpy(&largest, &bits, sizeof largest);
    return largest;
}

/* The largest of n numbers, a multiple of V. */
static inline float digits_largest(const float *x, int64_t n)
{
    vf top = splat(0);
    for (int64_t k = 0; k < n; k += V) top = digits_larger(top, load(x + k));
    return digits_top_of(top);
}

/* As digits_inverse, of V pieces; and their scales, 1 over it, times `unit`. */
static inline vf digits_inverses(int digits, vf top, float unit, vf *scale)
{
    const vf by = choose(top > 0.0f, vmin(splat(1e37f), digits_top(digits) / top), splat(0));
    *scale = choose(by > 0.0f, unit / by, top * 0.0f);
    return by;
}

/* n numbers of one piece, a multiple of V; its scale is returned. */
static inline __attribute__((always_inline)) float digits_piece(int digits, char *to, int64_t step, int64_t next,
                                                                const float *x, int64_t n)
{
    const float largest = digits_largest(x, n), by = digits_inverse(digits, largest);
    for (int64_t k = 0; k < n; k += DIGIT_DEPTH, to += next) {
        vf v[4];
        digits_load(v, x + k, n - k, by);
        digits_split(digits, to, step, v);
    }
    return by > 0 ? 1 / by : largest * 0;
}

static inline __attribute__((always_inline)) void digits_row_of(int digits, const words_width *w, float *row,
                                                                const float *x, int64_t depth)
{
    char *to = (char *)(row + words_head(w, depth));
    for (int64_t p = 0; p < words_pieces(w, depth); p++) {
        const span k = words_piece(w, depth, p);
        row[p] = digits_piece(digits, to + k.first * digits, DIGIT_DEPTH, DIGIT_DEPTH * digits, x + k.first,
                              k.end - k.first) * digits_unit(digits);
    }
}

/* As words_pack_piece. */
static inline __attribute__((always_inline)) void digits_pack_of(int digits, char *to, float *scale, const float *s,
                                                                 int64_t depth)
{
    for (int half = 0; half < 2; half++) {
        const float *from = s + half * V;
        vf top = splat(0), scales;
        for (int64_t k = 0; k < depth; k++) top = digits_larger(top, load(from + k * TILE_COLS));
        const vf by = digits_inverses(digits, top, 1, &scales);
        store(scale + half * V, scales);
        for (int64_t k = 0; k < depth; k += DIGIT_DEPTH)
            for (int l = 0; l < DIGIT_ROWS; l++) {
                vf x[4];
                UNROLL(4)
                for (int i = 0; i < 4; i++)
                    x[i] = k + V * i < depth ? load(from + (k + V * i + l) * TILE_COLS) * by : splat(0);
                digits_split(digits, to + (k / DIGIT_DEPTH * 2 + half) * digits * DIGIT_TILE + l * 64, DIGIT_TILE, x);
            }
    }
}

/* ---- tiles ---- */

/* The instructions, written out since compilers' macros for them do not say that they read and write memory. n, c, a,
 * b: numbers of registers. c += a b. */
#define AMX_LOAD_ROWS(n, from, step) \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #n : : "r"(from), "r"(step) : "memory")
#define AMX_LOAD(n, from) AMX_LOAD_ROWS(n, from, 64L)
#define AMX_STORE_ROWS(n, to, step) \
    __asm__ volatile("tilestored %%tmm" #n ", (%0,%1,1)" : : "r"(to), "r"(step) : "memory")
#define AMX_STORE(n, to) AMX_STORE_ROWS(n, to, 64L)
#define AMX_ZERO(n) __asm__ volatile("tilezero %%tmm" #n : : :)
#define AMX_DOT(c, a, b) __asm__ volatile("tdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #c : : :)
#define AMX_DOT_BF16(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : : :)

/* Gives the thread eight tiles of 16 x 64 bytes, and takes them from it. */
static void tiles_begin(void)
{
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } __attribute__((aligned(64))) config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = DIGIT_ROWS;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(config));
}

static void tiles_end(void)
{
    __asm__ volatile("tilerelease" : : :);
}

/* Sums of a tile of rows by a panel: [place][column half][row][column]. With one digit a product is of two tiles of
 * rows, so that a tile of columns serves both: [column half][tile][row][column]. */
typedef int32_t digit_sums[DIGITS][2][DIGIT_ROWS][V];

static inline int digits_tiles(int digits)
{
    return digits == 1 ? 2 : 1;
}

/* Sums on their way to C, or to what is summed for it in floats. That is done row by row between the tile instructions
 * of the next product, which leave the rest of the processor idle. */
typedef struct digit_store {
    const int32_t *row;                /* of digit_sums */
    const float *columns;              /* scales of columns, and of rows, scale_step apart */
    const float *scale;
    int64_t scale_step;
    const float *from;                 /* what is added, from_step apart: biases, or sums so far */
    int64_t from_step;
    float *to;
    int64_t step, cols;                /* of to */
    int64_t left;                      /* rows */
} digit_store;

/* Half of a row of the sums, in units of the second place. They are joined as integers, in which 512 products of the
 * first place fit: beside tile instructions the processor has one unit for floats, but two for those. What is lost of
 * the third place is less than what its products' lower places would add. */
static inline __attribute__((always_inline)) vi digits_sum(int digits, const int32_t *row, int half)
{
    const int64_t place = 2 * DIGIT_ROWS * V;
    row += half * digits_tiles(digits) * DIGIT_ROWS * V;
    vi sum = load_whole(row);
    if (digits > 1) sum = (sum << 8) + load_whole(row + place);
    if (digits > 2) sum += load_whole(row + 2 * place) >> 8;
    return sum;
}

static inline vf digits_float(vi whole)
{
    return __builtin_convertvector(whole, vf);
}

/* Up to `rows` more rows of the sums times both scales. */
static inline __attribute__((always_inline)) void digits_store(int digits, digit_store *s, int64_t rows)
{
    for (; rows > 0 && s->left > 0; rows--, s->left--) {
        const int32_t *row = s->row;
        UNROLL(2)
        for (int half = 0; half < 2; half++) {
            const vf x = digits_float(digits_sum(digits, row, half));
            const vf by = load(s->columns + half * V) * *s->scale;
            const vf sum = x * by + load(s->from + half * V);
            if (s->cols >= TILE_COLS) store(s->to + half * V, sum);
            else if (s->cols > half * V) store_row(s->to, half * V, s->cols, sum);
        }
        s->row += V;
        s->scale += s->scale_step;
        s->from += s->from_step;
        s->to += s->step;
    }
}

/* A tile's rows, `step` bytes apart. */
typedef struct digit_rows {
    const char *a;
    int64_t step;
} digit_rows;

/* x: digits_tiles; with b of `steps` times 64 numbers. before: what is stored meanwhile, `rows` at each step. */
static inline __attribute__((always_inline)) void digits_run_1(digit_sums sum, const digit_rows x[2],
                                                               const char *b, int64_t steps, digit_store *before,
                                                               int64_t rows)
{
    const char *a = x[0].a, *second = x[1].a;
    AMX_ZERO(0);
    AMX_ZERO(1);
    AMX_ZERO(2);
    AMX_ZERO(3);
    for (int64_t k = 0; k < steps; k++, a += 64, second += 64, b += 2 * DIGIT_TILE) {
        AMX_LOAD_ROWS(4, a, x[0].step);
        AMX_LOAD(6, b);
        AMX_LOAD(7, b + DIGIT_TILE);
        AMX_LOAD_ROWS(5, second, x[1].step);
        AMX_DOT(0, 4, 6);
        AMX_DOT(1, 4, 7);
        AMX_DOT(2, 5, 6);
        AMX_DOT(3, 5, 7);
        digits_store(1, before, rows);
    }
    AMX_STORE(0, sum[0][0]);
    AMX_STORE(1, sum[1][0]);
    AMX_STORE(2, sum[0][1]);
    AMX_STORE(3, sum[1][1]);
}

static inline __attribute__((always_inline)) void digits_run_2(digit_sums sum, const digit_rows *x,
                                                               const char *b, int64_t steps, digit_store *before,
                                                               int64_t rows)
{
    const char *a = x->a;
    AMX_ZERO(0);
    AMX_ZERO(1);
    AMX_ZERO(2);
    AMX_ZERO(3);
    for (int64_t k = 0; k < steps; k++, a += 128, b += 4 * DIGIT_TILE) {
        AMX_LOAD_ROWS(4, a, x->step);
        AMX_LOAD_ROWS(5, a + 64, x->step);
        AMX_LOAD(6, b);
        AMX_LOAD(7, b + DIGIT_TILE);
        AMX_DOT(0, 4, 6);
        AMX_DOT(2, 4, 7);
        AMX_DOT(2, 5, 6);
        AMX_LOAD(6, b + 2 * DIGIT_TILE);
        AMX_LOAD(7, b + 3 * DIGIT_TILE);
        AMX_DOT(1, 4, 6);
        AMX_DOT(3, 4, 7);
        AMX_DOT(3, 5, 6);
        digits_store(2, before, rows);
    }
    AMX_STORE(0, sum[0][0]);
    AMX_STORE(1, sum[0][1]);
    AMX_STORE(2, sum[1][0]);
    AMX_STORE(3, sum[1][1]);
}

/* One half of the panel. */
static inline __attribute__((always_inline)) void digits_run_3(digit_sums sum, int half, const digit_rows *x,
                                                               const char *b, int64_t steps, digit_store *before,
                                                               int64_t rows)
{
    AMX_ZERO(0);
    AMX_ZERO(1);
    AMX_ZERO(2);
    const char *a = x->a;
    b += half * 3 * DIGIT_TILE;
    for (int64_t k = 0; k < steps; k++, a += 192, b += 6 * DIGIT_TILE) {
        AMX_LOAD_ROWS(3, a, x->step);
        AMX_LOAD(6, b);
        AMX_LOAD(7, b + DIGIT_TILE);
        AMX_DOT(0, 3, 6);
        AMX_DOT(1, 3, 7);
        AMX_LOAD_ROWS(4, a + 64, x->step);
        AMX_DOT(2, 4, 7);
        AMX_DOT(1, 4, 6);
        AMX_LOAD(7, b + 2 * DIGIT_TILE);
        AMX_LOAD_ROWS(5, a + 128, x->step);
        AMX_DOT(2, 3, 7);
        AMX_DOT(2, 5, 6);
        digits_store(3, before, rows);
    }
    AMX_STORE(0, sum[0][half]);
    AMX_STORE(1, sum[1][half]);
    AMX_STORE(2, sum[2][half]);
}

static inline __attribute__((always_inline)) void digits_run(int digits, digit_sums sum, const digit_rows *x,
                                                             const char *b, int64_t steps, digit_store *before,
                                                             int64_t rows)
{
    if (digits == 1) digits_run_1(sum, x, b, steps, before, rows);
    if (digits == 2) digits_run_2(sum, x, b, steps, before, rows);
    if (digits == 3) {
        digits_run_3(sum, 0, x, b, steps, before, (rows + 1) / 2);
        digits_run_3(sum, 1, x, b, steps, before, (rows + 1) / 2);
    }
    digits_store(digits, before, digits_tiles(digits) * DIGIT_ROWS);
}

/* ---- a piece of a product ---- */

/* Tiles in the depth of piece k. */
static int64_t digits_steps(const words_width *w, int64_t depth, int64_t k)
{
    const span piece = words_piece(w, depth, k);
    return (piece.end - piece.first + DIGIT_DEPTH - 1) / DIGIT_DEPTH;
}

/* Piece k of the tile from row i of `count` on: where its rows lie, or where a copy does; own has those of all tiles.
 * For rows that are missing in the last one others are computed. */
static digit_rows digits_rows(const words_product *w, int64_t k, const row_ptr *row, int64_t i, int64_t count,
                              float *own)
{
    const int64_t depth = w->p.depth, first = words_piece(w->width, depth, k).first, last = w->width->deepest / 4;
    const int64_t rows = count - i < DIGIT_ROWS ? count - i : DIGIT_ROWS, stride = LINE + last * w->width->size;
    const int64_t step = rows > 1 ? row[i + 1] - row[i] : 0;
    int64_t same = 1;
    while (same < rows && row[i + same] - row[i] == same * step) same++;
    if (same == rows && (rows == DIGIT_ROWS || w->whole))
        return (digit_rows){(const char *)words_at(w->width, row[i], depth, first), step * 4};
    const size_t bytes = (size_t)(digits_steps(w->width, depth, k) * DIGIT_DEPTH * w->width->size);
    own += i * stride;
    for (int64_t r = 0; r < rows; r++) memcpy(own + r * stride, words_at(w->width, row[i + r], depth, first), bytes);
    return (digit_rows){(const char *)own, stride * 4};
}

/* Whether tap t's piece k is the last to be summed. */
static bool digits_last(const words_product *w, int64_t t, int64_t k)
{
    return t == w->p.taps - 1 && k == words_pieces(w->width, w->p.depth) - 1;
}

/* Where the sums of a part's panel from column j on go, and come from: those of all parts but the last are kept. */
static digit_store digits_panel(const words_product *w, int64_t t, int64_t k, span r, int64_t j, int64_t first,
                                float *own, float *bias)
{
    const product *p = &w->p;
    const int64_t pieces = words_pieces(w->width, p->depth), panel = j / TILE_COLS * p->taps + t;
    float *kept = own + (j - first) * round_up(r.end - r.first, DIGIT_ROWS);
    digit_store s = {.columns = w->scale + (panel * pieces + k) * TILE_COLS, .scale_step = 1, .from = kept,
                     .from_step = TILE_COLS, .to = kept, .step = TILE_COLS, .cols = TILE_COLS};
    if (t == 0 && k == 0) {
        for (int64_t i = 0; i < TILE_COLS; i++) bias[i] = p->bias && j + i < p->n ? p->bias[j + i] : 0;
        s.from = bias;
        s.from_step = 0;
    }
    if (digits_last(w, t, k)) {
        s.to = p->c + (r.first - p->c_row) * p->ldc + j - p->c_col;
        s.step = p->ldc;
        s.cols = p->n - j < TILE_COLS ? p->n - j : TILE_COLS;
    }
    return s;
}

/* words_width.part. */
static inline __attribute__((always_inline)) void digits_part_of(int digits, const words_product *w, int64_t t,
                                                                 int64_t k, const row_ptr *row, span r, span cols,
                                                                 float *own)
{
    const product *p = &w->p;
    const int64_t steps = digits_steps(w->width, p->depth, k), count = r.end - r.first;
    const int tiles = digits_tiles(digits), high = tiles * DIGIT_ROWS;
    digit_rows tile[WORDS_MOST / DIGIT_ROWS + 1];
    float scale[WORDS_MOST], bias[2][TILE_COLS];   /* of this panel, and of the one before, whose last is stored yet */
    const int64_t share = (high + steps - 1) / steps;
    const bool last = digits_last(w, t, k);
    digit_sums sums[2] __attribute__((aligned(64)));
    digit_store before = {.left = 0};
    float *gather = own + words_kept_sums(w);
    int turn = 0;
    for (int64_t i = 0; i < count; i += DIGIT_ROWS)
        tile[i / DIGIT_ROWS] = tile[i / DIGIT_ROWS + 1] = digits_rows(w, k, row, i, count, gather);
    for (int64_t i = 0; i < count; i++) scale[i] = row[i][k];
    tiles_begin();
    for (int64_t j = cols.first; j < cols.end && j < p->n; j += TILE_COLS) {
        const char *b = words_b(w, t, k, j);
        digit_store s = digits_panel(w, t, k, r, j, cols.first, own, bias[j / TILE_COLS % 2]);
        ahead next = ahead_of((const float *)(j + TILE_COLS < cols.end ? words_b(w, t, k, j + TILE_COLS) : NULL),
                              steps * digits * 2 * DIGIT_TILE / 4, count);
        for (int64_t i = 0; i < count; i += high, turn ^= 1) {
            s.left = count - i < high ? count - i : high;
            for (int64_t n = 0; n < high; n += TILE_ROWS)
                ask_ahead(&next, s.to + n * s.step, s.step, last ? s.left - n : 0, s.cols);
            digits_run(digits, sums[turn], &tile[i / DIGIT_ROWS], b, steps, &before, share);
            s.row = sums[turn][0][0][0];
            s.scale = scale + i;
            before = s;
            s.to += high * s.step;
            s.from += high * s.from_step;
        }
    }
    digits_store(digits, &before, high);
    tiles_end();
}

/* By the number of digits. */
static const words_width of_digits[1 + DIGITS];

/* The functions of one. */
#define OF_DIGITS(n)                                                                                                  \
    static void digits_row_##n(float *row, const float *x, int64_t depth)                                             \
    {                                                                                                                 \
        digits_row_of(n, &of_digits[n], row, x, depth);                                                               \
    }                                                                                                                 \
    static void digits_pack_##n(void *to, float *scale, int32_t *offset, const float *s, int64_t depth)               \
    {                                                                                                                 \
        (void)offset;                                                                                                 \
        digits_pack_of(n, to, scale, s, depth);                                                                       \
    }                                                                                                                 \
    static void digits_part_##n(const words_product *w, int64_t t, int64_t k, row_ptr *row, span r, span cols,        \
                                float *own)                                                                           \
    {                                                                                                                 \
        digits_part_of(n, w, t, k, row, r, cols, own);                                                                \
    }
OF_DIGITS(1)
OF_DIGITS(2)
OF_DIGITS(3)

#define WIDTH_OF_DIGITS(n, most)                                                                                      \
    {                                                                                                                 \
        .kind = PACK_DIGITS + n, .size = n, .work = n == 1 ? 0.5 : 1, .digit_work = n * (n + 1) / 2,                  \
        .deepest = most, .whole = DIGIT_DEPTH, .height = DIGIT_ROWS, .rows = WORDS_MOST, .wide = DIGIT_WIDE,          \
        .row = digits_row_##n, .pack_piece = digits_pack_##n, .part = digits_part_##n,                                \
        .gather = LINE + most * n / 4                                                                                 \
    }

static const words_width of_digits[1 + DIGITS] = {
    [1] = WIDTH_OF_DIGITS(1, 640),
    [2] = WIDTH_OF_DIGITS(2, 320),
    [3] = WIDTH_OF_DIGITS(3, 320),
};

/* What floats are in products, and what 16-bit integers are. */
static const words_width *digits_width(const backend *be)
{
    return &of_digits[cpu_of(be)->words ? 2 : 3];
}

/* As peak_span, of AMX_DOT. */
static void digits_peak_span(const void *ctx, span s, int worker)
{
    float *sink = *(float *const *)ctx;
    (void)worker;
    for (int64_t item = s.first; item < s.end; item++) {
        tiles_begin();
        for (int k = 0; k < PEAK_STEPS; k++) {
            AMX_DOT(0, 4, 6);
            AMX_DOT(1, 4, 7);
            AMX_DOT(2, 5, 6);
            AMX_DOT(3, 5, 7);
        }
        tiles_end();
        sink[item] = 0;
    }
}

static double digits_peak(backend *be)
{
    return peak_of(be, digits_peak_span, 4.0 * 2 * DIGIT_ROWS * DIGIT_ROWS * DIGIT_DEPTH * PEAK_STEPS);
}
