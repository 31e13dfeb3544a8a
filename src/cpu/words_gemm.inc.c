/* The matrix product of gemm.inc.c in integers of 16 bits: one instruction (VNNI's vpdpwssd; or two, vpmaddwd and an
 * addition) does twice the multiply-adds of one in floats, one of 8 bits (vpdpbusd) four times. words_avx2.inc.c and
 * words_avx512.inc.c have what depends on the processor.
 *
 * A vector along the depth (a row of A, a column of B, at most WORDS_DEPTH long: a piece) is divided by its norm and
 * rounded to integers of norm WORDS_TOP. By Cauchy and Schwarz the sum of products of two such vectors is at most
 * WORDS_TOP^2 < 2^31, so that sums never overflow; C gets them times both scales, piece by piece, in float. An
 * element is off by at most norm / (2 WORDS_TOP): about 1.6e-4 of what is typical in a piece of 320, where bf16's is
 * 1e-3.
 *
 * A row in words is [scales of its pieces, as floats][depth integers]; see words_head. B is packed as
 * [n/TILE_COLS][taps][depth/2][TILE_COLS][2], its scales as [n/TILE_COLS][taps][pieces][TILE_COLS].
 *
 * bytes_gemm.inc.c has what is otherwise in 8 bits, where four of B's integers stand beside each other (`each`). */

enum {
    WORDS_DEPTH = 640,                /* of a piece, at most */
    WORDS_TOP = 32000,
    WORDS_ROWS = 24 * TILE_ROWS,      /* of a block */
    WORDS_MOST = 512,                 /* of any width's block */
    WORDS_BYTES = 512 << 10,          /* of a block's rows, about */
    WORDS_LARGEST = 32767,
};

static inline float words_scale_of(float norm)
{
    return norm * (1.0f / WORDS_TOP);
}

/* Not a number and infinity stay in the scale, so that they reach the result. */
static inline float words_inverse_of(float norm)
{
    return norm > 0 ? WORDS_TOP / norm : 0;
}

static inline float words_norm(const float *x, int64_t n)
{
    vf sum = splat(0);
    for (int64_t k = 0; k < n; k += V) {
        const vf v = load_row(x, k, n);
        sum += v * v;
    }
    return sqrtf(vsum(sum));
}

static inline void words_round(int16_t *to, const float *x, int64_t n, float inverse)
{
    for (int64_t k = 0; k < n; k += V) words_store(to + k, load_row(x, k, n) * inverse);
}

typedef struct words_tile words_tile;
typedef struct words_row_ptr words_row_ptr;
typedef struct words_product words_product;

typedef void words_tile_function(const words_tile *j, const words_row_ptr *row, const int16_t *b);

/* Integers of one size: of_words, of_bytes, of_digits. */
typedef struct words_width {
    int kind;                          /* of a packed weight */
    int size;                          /* bytes of a number */
    double work, digit_work;           /* operations for one of numbers: of those the peak is of, of tiles' */
    int64_t deepest, whole;            /* of a piece, at most; its beginning is a multiple of whole, the last padded */
    int height, rows;                  /* blocks have a multiple of so many rows; at most */
    void (*row)(float *row, const float *x, int64_t depth);
    void (*pack_piece)(void *to, float *scale, int32_t *offset, const float *s, int64_t depth);
    /* Piece k of tap t, on rows r, which are row[], and the panels in cols. own: words_part_floats. */
    void (*part)(const words_product *w, int64_t t, int64_t k, row_ptr *row, span r, span cols, float *own);
    int64_t gather;                    /* floats of a row that part copies; 0: it doesn't, nor keeps sums */
    int64_t wide;                      /* columns that a block takes at a time, where there are several parts */
    words_tile_function *tiles[2][2];  /* [two panels][tail]; NULL: part has its own */
} words_width;

static int64_t words_pieces(const words_width *w, int64_t depth)
{
    return (depth + w->deepest - 1) / w->deepest;
}

static span words_piece(const words_width *w, int64_t depth, int64_t k)
{
    return span_of(depth, w->whole, words_pieces(w, depth), k);
}

/* Floats before a row's integers, and of the whole row. */
static int64_t words_head(const words_width *w, int64_t depth)
{
    return round_up(words_pieces(w, depth), 16);
}

static int64_t words_stride(const words_width *w, int64_t depth)
{
    const int64_t floats = words_head(w, depth) + round_up(depth, w->whole) * w->size / 4;
    return w->gather ? odd_lines(floats) : floats;
}

/* Where the numbers of a row from `first` on lie, the first of a piece. */
static const int32_t *words_at(const words_width *w, const float *row, int64_t depth, int64_t first)
{
    return (const int32_t *)(row + words_head(w, depth) + first * w->size / 4);
}

static const words_width of_words;

static void words_row(float *row, const float *x, int64_t depth)
{
    int16_t *to = (int16_t *)(row + words_head(&of_words, depth));
    for (int64_t p = 0; p < words_pieces(&of_words, depth); p++) {
        const span k = words_piece(&of_words, depth, p);
        const float norm = words_norm(x + k.first, k.end - k.first);
        row[p] = words_scale_of(norm);
        words_round(to + k.first, x + k.first, k.end - k.first, words_inverse_of(norm));
    }
}

/* One piece of one panel of B: columns j .. j+width-1 of s, element (k, c) at s[k * TILE_COLS + c], zero-padded. */
static void words_pack_piece(void *to, float *scale, int32_t *offset, const float *s, int64_t depth)
{
    int16_t *dst = to;
    (void)offset;
    for (int v = 0; v < TILE_COLS; v += V) {
        vf sum = splat(0);
        for (int64_t k = 0; k < depth; k++) sum += load(s + k * TILE_COLS + v) * load(s + k * TILE_COLS + v);
        const vf norm = words_root(sum), by = choose(norm > 0.0f, WORDS_TOP / norm, splat(0));
        store(scale + v, norm * (1.0f / WORDS_TOP));
        for (int64_t k = 0; k < depth; k += 2) {
            const vi low = words_whole(load(s + k * TILE_COLS + v) * by);
            const vi high = words_whole(load(s + (k + 1) * TILE_COLS + v) * by);
            store_whole(dst + k * TILE_COLS + 2 * v, words_pair(low, high));
        }
    }
}

/* `rows` rows of a panel of floats to integers of a column's own unit. */
static void words_round_taps(int16_t *to, float *unit, const float *from, int64_t rows)
{
    for (int v = 0; v < TILE_COLS; v += V) {
        vf top = splat(0);
        for (int64_t k = 0; k < rows; k++) top = vmax(vabs(load(from + k * TILE_COLS + v)), top);
        const vf by = choose(top > 0.0f, WORDS_LARGEST / top, splat(0));
        store(unit + v, top * (1.0f / WORDS_LARGEST));
        for (int64_t k = 0; k < rows; k++)
            words_store(to + k * TILE_COLS + v, load(from + k * TILE_COLS + v) * by);
    }
}

/* A tile's factors and place. row[i]: scale and integers of one piece. */
struct words_tile {
    const words_width *width;
    tile_job to;                       /* c, ldc, c_panel, rows, cols, first, bias */
    int64_t groups;                    /* of 32 bits: the depth by the integers in one */
    int64_t b_panel, scale_panel;      /* from one panel to the next, where cols > TILE_COLS */
    const float *scale;                /* [TILE_COLS] for each panel */
    const int32_t *offset;             /* the same; NULL: 16 bits */
};

struct words_row_ptr {
    const int32_t *groups;
    float scale;
};

/* sum += a . b, all the integers of 32 bits. */
typedef void words_add_function(vi *sum, vi a, vi b);

/* height, panels, plus, offset (whether sums begin at one): constants where this is used. */
static inline __attribute__((always_inline)) void words_run(int height, int panels, words_add_function *plus,
                                                            bool offset, vi sum[TILE_ROWS][TILE_PANELS * TILE_VECS],
                                                            const words_tile *j, const words_row_ptr *row,
                                                            const int16_t *b)
{
    const int32_t *a[TILE_ROWS];
    UNROLL(8)
    for (int i = 0; i < height; i++) {
        a[i] = row[i].groups;
        UNROLL(4)
        for (int v = 0; v < panels * TILE_VECS; v++)
            sum[i][v] = offset ? load_whole(j->offset + v / TILE_VECS * j->scale_panel + v % TILE_VECS * V)
                               : (vi){0};
    }
    for (int64_t k = 0; k < j->groups; k++, b += 2 * TILE_COLS) {
        vi x[TILE_PANELS * TILE_VECS];
        UNROLL(4)
        for (int v = 0; v < panels * TILE_VECS; v++)
            x[v] = load_whole(b + v / TILE_VECS * j->b_panel + v % TILE_VECS * 2 * V);
        UNROLL(8)
        for (int i = 0; i < height; i++) {
            const vi y = a[i][k] - (vi){0};
            UNROLL(4)
            for (int v = 0; v < panels * TILE_VECS; v++) plus(&sum[i][v], y, x[v]);
        }
    }
}

static inline __attribute__((always_inline)) void words_tile_of(int height, int panels, words_add_function *plus,
                                                                bool offset, const words_tile *j,
                                                                const words_row_ptr *row, const int16_t *b)
{
    vi sum[TILE_ROWS][TILE_PANELS * TILE_VECS];
    words_run(height, panels, plus, offset, sum, j, row, b);
    tile_sums acc;
    UNROLL(4)
    for (int v = 0; v < panels * TILE_VECS; v++) {
        const vf scale = load(j->scale + v / TILE_VECS * j->scale_panel + v % TILE_VECS * V);
        UNROLL(8)
        for (int i = 0; i < height; i++) acc[i][v] = __builtin_convertvector(sum[i][v], vf) * (scale * row[i].scale);
    }
    UNROLL(2)
    for (int p = 0; p < panels; p++) tile_store(height, p, acc, &j->to);
}

/* The functions of one height and number of panels. Not inline: there the row pointers would leave the registers. */
#define WORDS_TILE(name, ...)                                                                                   \
    static __attribute__((noinline)) void name(const words_tile *j, const words_row_ptr *row, const int16_t *b) \
    {                                                                                                           \
        words_tile_of(__VA_ARGS__, j, row, b);                                                                  \
    }
WORDS_TILE(words_whole_tile, TILE_ROWS, 1, words_add, false)
WORDS_TILE(words_tail_tile, TAIL_ROWS, 1, words_add, false)
#if TWIN_ROWS
WORDS_TILE(words_twin, TWIN_ROWS, 2, words_add, false)
WORDS_TILE(words_twin_tail, TAIL_ROWS, 2, words_add, false)
#endif

static void words_part(const words_product *w, int64_t t, int64_t k, row_ptr *row, span r, span cols, float *own);

/* What widths whose rows are read one by one have in common. */
#define BY_ROWS \
    .deepest = WORDS_DEPTH, .whole = 2 * V, .height = TILE_ROWS, .rows = WORDS_ROWS, .wide = BLOCK_COLS, \
    .part = words_part

static const words_width of_words = {
    BY_ROWS,
    .kind = PACK_WORDS,
    .size = 2,
    .work = 1,
    .row = words_row,
    .pack_piece = words_pack_piece,
    .tiles = {{words_whole_tile, words_tail_tile},
#if TWIN_ROWS
              {words_twin, words_twin_tail},
#endif
    },
};

/* Computes the next tile and says how many rows it took. */
static int words_tile_rows(const words_tile *j, const words_row_ptr *row, const int16_t *b)
{
    const bool twin = j->to.cols > TILE_COLS;
    const int whole = twin ? TWIN_ROWS : TILE_ROWS, height = tile_height(j->to.rows, whole);
    j->width->tiles[twin][height != whole](j, row, b);
    return height;
}

struct words_product {
    product p;                        /* sizes, bias, c; rows gives rows in words, or floats where `plain` */
    bool plain;                       /* rows are floats: each block's are rounded first (one tap) */
    bool whole;                       /* rows follow each other in memory, which goes on to a multiple of height */
    const words_width *width;
    const char *b;
    const float *scale;
    const int32_t *offset;            /* for 8 bits, as scale */
    int64_t at_once;                  /* columns that words_columns gets, at most */
    float *own;                       /* per thread: words_own floats */
};

/* So many rows are rounded before all products, as more than one group of columns reads them. */
static bool few_rows(int64_t m)
{
    enum { FEW = 1024 };
    return m <= FEW;
}

/* Rows of a block, at most. */
static int64_t words_block(const words_width *w, const product *p, bool plain)
{
    const int64_t bytes = w->gather ? 2 * WORDS_BYTES : WORDS_BYTES, least = 2 * TILE_ROWS;
    const int64_t fit = bytes / (4 * words_stride(w, p->depth)) / least * least, all = round_up(p->m, w->height);
    const int64_t most = fit > w->rows || (w->gather && !plain) ? w->rows : fit < least ? least : fit;
    return most < all ? most : all;
}

/* Floats of m rows in words. */
static int64_t words_size(const words_width *w, int64_t m, int64_t depth)
{
    return round_up(round_up(m, w->height) * words_stride(w, depth), 16);
}

/* Floats of sums that are kept between parts, and of all that part wants. */
static int64_t words_kept_sums(const words_product *w)
{
    const int64_t cols = w->at_once < w->width->wide ? round_up(w->at_once, TILE_COLS) : w->width->wide;
    if (!w->width->gather || w->p.taps * words_pieces(w->width, w->p.depth) == 1) return 0;
    return words_block(w->width, &w->p, w->plain) * cols;
}

static int64_t words_part_floats(const words_product *w)
{
    return words_kept_sums(w) + (w->whole ? 0 : words_block(w->width, &w->p, w->plain) * w->width->gather);
}

/* Floats of a thread: for part, and a block's rows. */
static int64_t words_own(const words_product *w)
{
    const int64_t rows = words_block(w->width, &w->p, w->plain);
    return round_up(words_part_floats(w) + (w->plain ? words_size(w->width, rows, w->p.depth) : 0), 16);
}

/* A tile's places of tap t and piece k but for those of its rows; width columns from j on, whose biases go to bias. */
static words_tile words_tile_at(const words_product *w, int64_t t, int64_t k, int64_t j, int64_t width, float *bias)
{
    const product *p = &w->p;
    const words_width *of = w->width;
    const int64_t pieces = words_pieces(of, p->depth), panel = j / TILE_COLS * p->taps + t;
    const span depth = words_piece(of, p->depth, k);
    for (int64_t i = 0; i < round_up(width, TILE_COLS); i++) bias[i] = p->bias && i < width ? p->bias[j + i] : 0;
    return (words_tile){.width = of,
                        .to = {.ldc = p->ldc, .c_panel = TILE_COLS, .cols = width, .first = t == 0 && k == 0,
                               .bias = bias},
                        .groups = (depth.end - depth.first) * of->size / 4,
                        .b_panel = p->taps * round_up(p->depth, of->whole) * TILE_COLS * of->size / 2,
                        .scale = w->scale + (panel * pieces + k) * TILE_COLS,
                        .offset = w->offset ? w->offset + (panel * pieces + k) * TILE_COLS : NULL,
                        .scale_panel = p->taps * pieces * TILE_COLS};
}

/* The integers of B for tap t, piece k, columns from j on. */
static const void *words_b(const words_product *w, int64_t t, int64_t k, int64_t j)
{
    const product *p = &w->p;
    const int64_t panel = j / TILE_COLS * p->taps + t, depth = round_up(p->depth, w->width->whole);
    const int64_t first = words_piece(w->width, p->depth, k).first;
    return w->b + (panel * depth + first) * TILE_COLS * w->width->size;
}

/* words_width.part of of_words and of_bytes. */
static void words_part(const words_product *w, int64_t t, int64_t k, row_ptr *row, span r, span cols, float *own)
{
    const product *p = &w->p;
    const int64_t count = r.end - r.first, first = words_piece(w->width, p->depth, k).first;
    words_row_ptr at[WORDS_ROWS + TILE_ROWS];
    (void)own;
    for (int64_t i = 0; i < round_up(count, TILE_ROWS); i++) {
        const float *from = row[i < count ? i : count - 1];
        at[i] = (words_row_ptr){words_at(w->width, from, p->depth, first), from[k]};
    }
    for (int64_t j = cols.first; j < cols.end; j += TILE_WIDE) {
        const int64_t left = (cols.end < p->n ? cols.end : p->n) - j, width = left < TILE_WIDE ? left : TILE_WIDE;
        float bias[TILE_WIDE];
        words_tile job = words_tile_at(w, t, k, j, width, bias);
        const int16_t *b = words_b(w, t, k, j);
        ahead next = ahead_of((const float *)(left > TILE_WIDE ? b + TILE_PANELS * job.b_panel : NULL),
                              job.groups * TILE_COLS, count);
        for (int64_t i = 0; i < count;) {
            job.to.c = p->c + (r.first + i - p->c_row) * p->ldc + j - p->c_col;
            job.to.rows = count - i;
            ask_ahead(&next, job.to.c, p->ldc, job.to.rows, width);
            i += words_tile_rows(&job, at + i, b);
        }
    }
}

/* Rows r, which are row[], through all taps and pieces, on the panels in cols. */
static void words_columns(const words_product *w, row_ptr *row, span r, span cols, float *own)
{
    const product *p = &w->p;
    const int64_t pieces = words_pieces(w->width, p->depth);
    const int64_t wide = p->taps * pieces > 1 ? w->width->wide : cols.end - cols.first;   /* as in product_part */
    for (int64_t j = cols.first; j < cols.end; j += wide)
        for (int64_t t = 0; t < p->taps; t++) {
            if (!w->plain) p->rows(p->ctx, t, r.first, r.end - r.first, row);
            for (int64_t k = 0; k < pieces; k++)
                w->width->part(w, t, k, row, r, (span){j, j + wide < cols.end ? j + wide : cols.end}, own);
        }
}

/* The worker's own; where rows are plain floats: rows r are rounded into it, behind what part wants. */
static float *words_round_rows(const words_product *w, row_ptr *row, span r, int worker)
{
    const product *p = &w->p;
    const int64_t count = r.end - r.first, stride = words_stride(w->width, p->depth);
    float *own = w->own + worker * words_own(w), *to = own + words_part_floats(w);
    if (!w->plain) return own;
    p->rows(p->ctx, 0, r.first, count, row);
    for (int64_t i = 0; i < count; i++, to += stride) {
        w->width->row(to, row[i], p->depth);
        row[i] = to;
    }
    return own;
}

/* Item i: block of rows i % blocks and group of columns i / blocks. */
static span words_item_rows(const words_product *w, int64_t i)
{
    return span_of(w->p.m, w->width->height, w->p.blocks, i % w->p.blocks);
}

static void words_span(const void *ctx, span s, int worker)
{
    const words_product *w = ctx;
    row_ptr row[WORDS_MOST];
    for (int64_t i = s.first; i < s.end; i++) {
        const span r = words_item_rows(w, i);
        float *own = words_round_rows(w, row, r, worker);
        words_columns(w, row, r, span_of(w->p.n, TILE_WIDE, w->p.groups, i / w->p.blocks), own);
    }
}

/* As GATED_FLOATS. */
static int64_t words_gated_floats(const words_product *w)
{
    return words_block(w->width, &w->p, w->plain) * 2 * GATED_COLS;
}

/* As gated_span. */
typedef struct words_gated {
    words_product w;
    gated g;                          /* p is w's; own: words_gated_floats */
} words_gated;

static void words_gated_span(const void *ctx, span s, int worker)
{
    const words_gated *q = ctx;
    const product *p = &q->w.p;
    float *own = q->g.own + worker * words_gated_floats(&q->w);
    row_ptr row[WORDS_MOST];
    for (int64_t i = s.first; i < s.end; i++) {
        const span r = words_item_rows(&q->w, i), cols = span_of(p->n / 2, TILE_WIDE, p->groups, i / p->blocks);
        float *gather = words_round_rows(&q->w, row, r, worker);
        for (int64_t j = cols.first; j < cols.end; j += GATED_COLS) {
            const int64_t width = cols.end - j < GATED_COLS ? cols.end - j : GATED_COLS;
            for (int part = 0; part < 2; part++) {
                const int64_t first = j + part * (p->n / 2);
                words_product half = q->w;
                half.p = gated_half(p, r, first, part, own);
                words_columns(&half, row, r, (span){first, first + width}, gather);
            }
            gated_result(&q->g, r, j, width, own);
        }
    }
}

/* Rows of floats to rows in words. */
typedef struct words_rows_job {
    const words_width *width;
    float *to;
    const float *x;
    int64_t rows, depth;
} words_rows_job;

static void words_rows_span(const void *ctx, span s, int worker)
{
    const words_rows_job *j = ctx;
    (void)worker;
    for (int64_t i = s.first; i < s.end; i++)
        j->width->row(j->to + i * words_stride(j->width, j->depth), j->x + i * j->depth, j->depth);
}

/* Rounds x's rows, which w reads, before all products where they are few, into own, which then begins behind them. */
static void words_prepare_rows(const backend *be, words_product *w, matrix *x)
{
    const words_rows_job j = {w->width, w->own, x->data, w->p.m, w->p.depth};
    if (w->plain) return;
    run_spans(be, j.rows, 1, (double)j.depth, words_rows_span, &j);
    *x = (matrix){j.to, words_stride(j.width, j.depth)};
    w->own += words_size(j.width, j.rows, j.depth);
}

/* Into blocks of rows and groups of `cols` columns: see product_share. */
static void words_share(const backend *be, words_product *w, int64_t cols)
{
    product_share(be, &w->p, words_block(w->width, &w->p, w->plain), cols);
}

static void words_all(const backend *be, words_product *w)
{
    words_share(be, w, w->p.n);
    run_spans(be, w->p.blocks * w->p.groups, 1, product_work(&w->p) / 2, words_span, w);
}

/* With GEGLU: the result [m, n/2] goes to out; own: words_gated_floats a thread. */
static void words_gated_all(const backend *be, const words_product *w, float *out, float *own)
{
    words_gated q = {.w = *w};
    words_share(be, &q.w, w->p.n / 2);
    q.g = (gated){.p = q.w.p, .out = out, .out_step = q.w.p.n / 2, .own = own, .row = geglu_row_of(be)};
    run_spans(be, q.w.p.blocks * q.w.p.groups, 1, product_work(&q.w.p) / 2, words_gated_span, &q);
}

/* As peak_span, of words_add. */
static void words_peak_span(const void *ctx, span s, int worker)
{
    float *sink = *(float *const *)ctx;
    (void)worker;
    for (int64_t item = s.first; item < s.end; item++) {
        vi sum[PEAK_CHAINS];
        const vi a = (3 << 16 | 1) - (vi){0};
        for (int i = 0; i < PEAK_CHAINS; i++) sum[i] = i - (vi){0};
        for (int k = 0; k < PEAK_STEPS; k++) {
            UNROLL(12)
            for (int i = 0; i < PEAK_CHAINS; i++) {
                vi b = a;
                __asm__ volatile("" : "+v"(b));   /* or a product of two instructions would leave the loop */
                words_add(&sum[i], a, b);
            }
        }
        for (int i = 1; i < PEAK_CHAINS; i++) sum[0] += sum[i];
        sink[item] = vsum(__builtin_convertvector(sum[0], vf));
    }
}

static double words_peak(backend *be)
{
    return peak_of(be, words_peak_span, 4.0 * V * PEAK_CHAINS * PEAK_STEPS);
}
