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
    WORDS_BYTES = 512 << 10,          /* of a block's rows, about */
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

static int64_t words_pieces(int64_t depth)
{
    return (depth + WORDS_DEPTH - 1) / WORDS_DEPTH;
}

static span words_piece(int64_t depth, int64_t k)
{
    return span_of(depth, 2 * V, words_pieces(depth), k);
}

/* Floats before a row's integers, and of the whole row; depth is a multiple of 16, for 8 bits of 32. */
static int64_t words_head(int64_t depth)
{
    return round_up(words_pieces(depth), 16);
}

static int64_t words_stride(int64_t depth, int each)
{
    return words_head(depth) + depth / each;
}

static void words_row(float *row, const float *x, int64_t depth)
{
    int16_t *to = (int16_t *)(row + words_head(depth));
    for (int64_t p = 0; p < words_pieces(depth); p++) {
        const span k = words_piece(depth, p);
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

/* A tile's factors and place. row[i]: scale and integers of one piece. */
typedef struct words_tile {
    const struct words_width *width;
    tile_job to;                       /* c, ldc, c_panel, rows, cols, first, bias */
    int64_t groups;                    /* of 32 bits: the depth by the integers in one */
    int64_t b_panel, scale_panel;      /* from one panel to the next, where cols > TILE_COLS */
    const float *scale;                /* [TILE_COLS] for each panel */
    const int32_t *offset;             /* the same; NULL: 16 bits */
} words_tile;

typedef struct words_row_ptr {
    const int32_t *groups;
    float scale;
} words_row_ptr;

typedef void words_tile_function(const words_tile *j, const words_row_ptr *row, const int16_t *b);

/* Integers of one size: of_words, of_bytes. */
typedef struct words_width {
    int each;                          /* in 32 bits */
    void (*row)(float *row, const float *x, int64_t depth);
    void (*pack_piece)(void *to, float *scale, int32_t *offset, const float *s, int64_t depth);
    words_tile_function *tiles[2][2];  /* [two panels][tail] */
} words_width;

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

static const words_width of_words = {
    .each = 2,
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

typedef struct words_product {
    product p;                        /* sizes, bias, c; rows gives rows in words, or floats where `plain` */
    bool plain;                       /* rows are floats: each block's are rounded first (one tap) */
    const words_width *width;
    const int16_t *b;
    const float *scale;
    const int32_t *offset;            /* for 8 bits, as scale */
    float *own;                       /* per thread, where plain: words_own floats */
} words_product;

static int64_t words_block(int64_t depth, int each)
{
    const int64_t fit = WORDS_BYTES / (4 * words_stride(depth, each)) / TILE_ROWS * TILE_ROWS;
    return fit > WORDS_ROWS ? WORDS_ROWS : fit < 2 * TILE_ROWS ? 2 * TILE_ROWS : fit;
}

static int64_t words_own(int64_t depth, int each)
{
    return words_block(depth, each) * words_stride(depth, each);
}

/* Piece k of tap t, on rows r and the panels in cols. */
static void words_part(const words_product *w, int64_t t, int64_t k, const row_ptr *row, span r, span cols)
{
    const product *p = &w->p;
    const int64_t pieces = words_pieces(p->depth), head = words_head(p->depth), count = r.end - r.first;
    const span depth = words_piece(p->depth, k);
    const int64_t step = 2 * TILE_COLS / w->width->each;   /* of b for one depth */
    words_row_ptr at[WORDS_ROWS + TILE_ROWS];
    for (int64_t i = 0; i < round_up(count, TILE_ROWS); i++) {
        const float *from = row[i < count ? i : count - 1];
        at[i] = (words_row_ptr){(const int32_t *)(from + head + depth.first / w->width->each), from[k]};
    }
    for (int64_t j = cols.first; j < cols.end; j += TILE_WIDE) {
        const int64_t panel = j / TILE_COLS * p->taps + t, left = (cols.end < p->n ? cols.end : p->n) - j;
        const int64_t width = left < TILE_WIDE ? left : TILE_WIDE, far = p->taps * p->depth * step;
        float bias[TILE_WIDE] = {0};
        for (int64_t i = 0; p->bias && i < width; i++) bias[i] = p->bias[j + i];
        words_tile job = {.width = w->width,
                          .to = {.ldc = p->ldc, .c_panel = TILE_COLS, .cols = width, .first = t == 0 && k == 0,
                                 .bias = bias},
                          .groups = (depth.end - depth.first) / w->width->each, .b_panel = far,
                          .scale = w->scale + (panel * pieces + k) * TILE_COLS,
                          .offset = w->offset ? w->offset + (panel * pieces + k) * TILE_COLS : NULL,
                          .scale_panel = p->taps * pieces * TILE_COLS};
        const int16_t *b = w->b + (panel * p->depth + depth.first) * step;
        ahead next = ahead_of((const float *)(left > TILE_WIDE ? b + TILE_PANELS * far : NULL), job.groups * TILE_COLS,
                              count);
        for (int64_t i = 0; i < count;) {
            job.to.c = p->c + (r.first + i - p->c_row) * p->ldc + j - p->c_col;
            job.to.rows = count - i;
            ask_ahead(&next, job.to.c, p->ldc, job.to.rows, width);
            i += words_tile_rows(&job, at + i, b);
        }
    }
}

/* Rows r, which are row[], through all taps and pieces, on the panels in cols. */
static void words_columns(const words_product *w, row_ptr *row, span r, span cols)
{
    const product *p = &w->p;
    const int64_t pieces = words_pieces(p->depth);
    const int64_t wide = p->taps * pieces > 1 ? BLOCK_COLS : cols.end - cols.first;   /* as in product_part */
    for (int64_t j = cols.first; j < cols.end; j += wide)
        for (int64_t t = 0; t < p->taps; t++) {
            if (!w->plain) p->rows(p->ctx, t, r.first, r.end - r.first, row);
            for (int64_t k = 0; k < pieces; k++)
                words_part(w, t, k, row, r, (span){j, j + wide < cols.end ? j + wide : cols.end});
        }
}

/* Where rows are plain floats: rows r, rounded into the worker's own. */
static void words_round_rows(const words_product *w, row_ptr *row, span r, int worker)
{
    const product *p = &w->p;
    if (!w->plain) return;
    float *own = w->own + worker * words_own(p->depth, w->width->each);
    p->rows(p->ctx, 0, r.first, r.end - r.first, row);
    for (int64_t i = 0; i < r.end - r.first; i++, own += words_stride(p->depth, w->width->each)) {
        w->width->row(own, row[i], p->depth);
        row[i] = own;
    }
}

static span words_item_rows(const product *p, int64_t i)
{
    return span_of(p->m, TILE_ROWS, p->blocks, i % p->blocks);
}

/* Item i: block of rows i % blocks and group of columns i / blocks. */
static void words_span(const void *ctx, span s, int worker)
{
    const words_product *w = ctx;
    const product *p = &w->p;
    row_ptr row[WORDS_ROWS];
    for (int64_t i = s.first; i < s.end; i++) {
        const span r = words_item_rows(p, i);
        words_round_rows(w, row, r, worker);
        words_columns(w, row, r, span_of(p->n, TILE_WIDE, p->groups, i / p->blocks));
    }
}

/* As gated_span. gates: per thread, GATED_FLOATS. */
typedef struct words_gated {
    words_product w;
    gated g;                          /* p is w's */
} words_gated;

static void words_gated_span(const void *ctx, span s, int worker)
{
    const words_gated *q = ctx;
    const product *p = &q->w.p;
    float *own = q->g.own + worker * GATED_FLOATS;
    row_ptr row[WORDS_ROWS];
    for (int64_t i = s.first; i < s.end; i++) {
        const span r = words_item_rows(p, i), cols = span_of(p->n / 2, TILE_WIDE, p->groups, i / p->blocks);
        words_round_rows(&q->w, row, r, worker);
        for (int64_t j = cols.first; j < cols.end; j += GATED_COLS) {
            const int64_t width = cols.end - j < GATED_COLS ? cols.end - j : GATED_COLS;
            for (int part = 0; part < 2; part++) {
                const int64_t first = j + part * (p->n / 2);
                words_product half = q->w;
                half.p = gated_half(p, r, first, part, own);
                words_columns(&half, row, r, (span){first, first + width});
            }
            gated_result(&q->g, r, j, width, own);
        }
    }
}

static void words_all(const backend *be, words_product *w)
{
    product_share(be, &w->p, words_block(w->p.depth, w->width->each), w->p.n);
    run_spans(be, w->p.blocks * w->p.groups, 1, product_work(&w->p) / 2, words_span, w);
}

/* With GEGLU: the result [m, n/2] goes to out; own: GATED_FLOATS a thread. */
static void words_gated_all(const backend *be, const words_product *w, float *out, float *own)
{
    words_gated q = {.w = *w};
    product_share(be, &q.w.p, words_block(w->p.depth, w->width->each), w->p.n / 2);
    q.g = (gated){.p = q.w.p, .out = out, .out_step = q.w.p.n / 2, .own = own};
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
