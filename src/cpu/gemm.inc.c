/* The matrix product under linear layers, convolutions and attention: C [m,n] = bias + sum over taps t and depth k of
 * A_t[i,k] * B[t,k,j].
 *
 * A is read where it lies, through one pointer per (tap, row): a convolution's taps are pixels of the image (an
 * implicit im2col), a padding pixel is a row of zeros. B is packed in panels of TILE_COLS columns:
 * [n/TILE_COLS][taps][depth] [TILE_COLS], zero-padded. A tile of TILE_ROWS (or, for what is left, TAIL_ROWS) x
 * TILE_COLS of C stays in registers over one block of taps and depth; a panel's block (40 KB in vectors of 8, 80 in
 * those of 16) comes from L2 for each tile of BLOCK_ROWS rows. Where there are registers for it a tile is TWIN_ROWS
 * high and spans two panels: as many multiply-adds then need a fifth fewer instructions, which counts where two threads
 * share a core. */

enum {
    TILE_VECS = 2,
    TILE_COLS = TILE_VECS * V,
    TILE_PANELS = TWIN_ROWS ? 2 : 1,  /* of a tile, at most */
    TILE_WIDE = TILE_PANELS * TILE_COLS,
    BLOCK_DEPTH = 640,                /* taps * depth of one block, about */
    BLOCK_ROWS = 24 * TILE_ROWS,
    BLOCK_COLS = 8 * TILE_COLS,       /* whose part of C stays in L2 between depths */
    MAX_TAPS = 64,                    /* of one block */
    LINE = 16,                        /* floats of a cache line */
};

typedef const float *row_ptr;

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

typedef struct product {
    int64_t m, n, taps, depth;
    const float *b;                   /* packed */
    const float *bias;                /* [n] or NULL */
    float *c;                         /* from row c_row and column c_col on */
    int64_t ldc, c_row, c_col;
    /* Pointers to A's rows first .. first+count-1 of one tap. */
    void (*rows)(const void *ctx, int64_t tap, int64_t first, int64_t count, row_ptr *row);
    const void *ctx;
    int64_t blocks, groups;           /* set by product_share */
} product;

/* How many rows the next tile takes when `left` are left: whole tiles, and at the end whatever computes least. */
static inline int tile_height(int64_t left, int whole)
{
    return left <= TAIL_ROWS || (left > whole && left <= 2 * TAIL_ROWS) ? TAIL_ROWS : whole;
}

/* A tile's factors and place. */
typedef struct tile_job {
    int64_t taps, depth, k0, b_step;   /* b: one panel, its taps b_step apart */
    int64_t a_step;                    /* tile_rows: row[t * a_step + i]: row i of tap t; tile_columns: see there */
    int64_t b_panel, c_panel;          /* from one panel to the next, where cols > TILE_COLS */
    float *c;
    int64_t ldc, rows, cols;           /* left; cols: TILE_WIDE at most */
    bool first;                        /* c = bias + the product, not c += the product */
    const float *bias;                 /* [TILE_COLS] for each panel, or NULL */
} tile_job;

typedef vf tile_sums[TILE_ROWS][TILE_PANELS * TILE_VECS];

/* The tile functions are text for one height and one number of panels, constants where they are used.
 *
 * acc += A B over depths k. */
static inline __attribute__((always_inline)) void tile_depths(int height, int panels, tile_sums acc, int64_t b_panel,
                                                              const float *const a[TILE_ROWS], const float *b, span k)
{
    b += k.first * TILE_COLS;
    UNROLL_SOME(2)
    for (int64_t d = k.first; d < k.end; d++, b += TILE_COLS) {
        vf x[TILE_PANELS * TILE_VECS];
        UNROLL(4)
        for (int v = 0; v < panels * TILE_VECS; v++) x[v] = load(b + v / TILE_VECS * b_panel + v % TILE_VECS * V);
        UNROLL(8)
        for (int i = 0; i < height; i++) {
            UNROLL(4)
            for (int v = 0; v < panels * TILE_VECS; v++) acc[i][v] += a[i][d] * x[v];
        }
    }
}

/* The same over taps x depth. ask: a cache line of A's rows at a time, as many of the next tile's are asked for. */
static inline __attribute__((always_inline)) void tile_run(int height, int panels, bool ask, tile_sums acc,
                                                           const tile_job *j, const row_ptr *row, const float *b)
{
    for (int64_t t = 0; t < j->taps; t++, row += j->a_step, b += j->b_step) {
        const float *a[TILE_ROWS];
        UNROLL(8)
        for (int i = 0; i < height; i++) a[i] = row[i] + j->k0;
        const int64_t piece = ask ? LINE : j->depth;
        for (int64_t k = 0; k < j->depth; k += piece) {
            if (ask) {
                UNROLL(8)
                for (int i = 0; i < height; i++) __builtin_prefetch(row[height + i] + j->k0 + k, 0, 2);
            }
            tile_depths(height, panels, acc, j->b_panel, a, b, (span){k, k + piece < j->depth ? k + piece : j->depth});
        }
    }
}

/* The same for one panel with A by columns, a_step apart: A[i,k] = a[k * a_step + i]. */
static inline __attribute__((always_inline)) void tile_run_columns(int height, tile_sums acc, const tile_job *j,
                                                                   const float *a, const float *b)
{
    for (int64_t k = 0; k < j->depth; k++, a += j->a_step, b += TILE_COLS) {
        const vf b0 = load(b), b1 = load(b + V);
        UNROLL(8)
        for (int i = 0; i < height; i++) {
            acc[i][0] += a[i] * b0;
            acc[i][1] += a[i] * b1;
        }
    }
}

static inline __attribute__((always_inline)) void tile_clear(int height, int panels, tile_sums acc)
{
    UNROLL(8)
    for (int i = 0; i < height; i++) {
        UNROLL(4)
        for (int v = 0; v < panels * TILE_VECS; v++) acc[i][v] = splat(0);
    }
}

/* Panel p of the sums to C: the part in j->rows and j->cols. */
static inline __attribute__((always_inline)) void tile_store(int height, int p, tile_sums acc, const tile_job *j)
{
    float *c = j->c + p * j->c_panel;
    const int64_t cols = j->cols - p * TILE_COLS;
    if (j->first && j->bias) {
        const vf b0 = load(j->bias + p * TILE_COLS), b1 = load(j->bias + p * TILE_COLS + V);
        UNROLL(8)
        for (int i = 0; i < height; i++) {
            acc[i][2 * p] += b0;
            acc[i][2 * p + 1] += b1;
        }
    }
    if (j->rows >= height && cols >= TILE_COLS) {
        UNROLL(8)
        for (int i = 0; i < height; i++, c += j->ldc) {
            store(c, j->first ? acc[i][2 * p] : load(c) + acc[i][2 * p]);
            store(c + V, j->first ? acc[i][2 * p + 1] : load(c + V) + acc[i][2 * p + 1]);
        }
        return;
    }
    float t[TILE_ROWS][TILE_COLS];
    UNROLL(8)
    for (int i = 0; i < height; i++) {
        store(t[i], acc[i][2 * p]);
        store(t[i] + V, acc[i][2 * p + 1]);
    }
    for (int64_t i = 0; i < j->rows && i < height; i++)
        for (int64_t k = 0; k < cols && k < TILE_COLS; k++)
            c[i * j->ldc + k] = j->first ? t[i][k] : c[i * j->ldc + k] + t[i][k];
}

static inline __attribute__((always_inline)) void tile_rows_of(int height, int panels, bool ask, const tile_job *j,
                                                               const row_ptr *row, const float *b)
{
    tile_sums acc;
    tile_clear(height, panels, acc);
    tile_run(height, panels, ask, acc, j, row, b);
    UNROLL(2)
    for (int p = 0; p < panels; p++) tile_store(height, p, acc, j);
}

#if TWIN_ROWS
/* Not inline: there the row pointers would leave the registers. */
static __attribute__((noinline)) void tile_twin(const tile_job *j, const row_ptr *row, const float *b)
{
    tile_rows_of(TWIN_ROWS, 2, false, j, row, b);
}

static __attribute__((noinline)) void tile_twin_tail(const tile_job *j, const row_ptr *row, const float *b)
{
    tile_rows_of(TAIL_ROWS, 2, false, j, row, b);
}
#endif

/* tile_rows of one panel. ask: the rows of the tile after it are asked for, and row holds twice a tile's. */
static inline __attribute__((always_inline)) int tile_panel(bool ask, const tile_job *j, const row_ptr *row,
                                                            const float *b)
{
    const int height = tile_height(j->rows, TILE_ROWS);
    if (height == TILE_ROWS) tile_rows_of(TILE_ROWS, 1, ask, j, row, b);
    else tile_rows_of(TAIL_ROWS, 1, ask, j, row, b);
    return height;
}

/* Computes the next tile and says how many rows it took. Rows up to the tile's height are read: see block_rows. */
static inline __attribute__((always_inline)) int tile_rows(const tile_job *j, const row_ptr *row, const float *b)
{
#if TWIN_ROWS
    if (j->cols > TILE_COLS) {
        const int height = tile_height(j->rows, TWIN_ROWS);
        if (height == TWIN_ROWS) tile_twin(j, row, b);
        else tile_twin_tail(j, row, b);
        return height;
    }
#endif
    return tile_panel(false, j, row, b);
}

static inline __attribute__((always_inline)) void tile_columns_of(int height, const tile_job *j, const float *a,
                                                                  const float *b)
{
    tile_sums acc;
    tile_clear(height, 1, acc);
    tile_run_columns(height, acc, j, a, b);
    tile_store(height, 0, acc, j);
}

/* The same with A by columns, and one panel. */
static inline __attribute__((always_inline)) int tile_columns(const tile_job *j, const float *a, const float *b)
{
    const int height = tile_height(j->rows, TILE_ROWS);
    if (height == TILE_ROWS) tile_columns_of(TILE_ROWS, j, a, b);
    else tile_columns_of(TAIL_ROWS, j, a, b);
    return height;
}

/* Rows of A for one block of rows, padded for the last tile by repeating the last: row[t * stride + i]. */
static int64_t block_rows(const product *p, int64_t tap, int64_t taps, span r, row_ptr *row)
{
    const int64_t count = r.end - r.first, stride = (count + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
    for (int64_t t = 0; t < taps; t++) {
        p->rows(p->ctx, tap + t, r.first, count, row + t * stride);
        for (int64_t i = count; i < stride; i++) row[t * stride + i] = row[t * stride + count - 1];
    }
    return stride;
}

/* What a block asks for while it computes, so that the next tiles find it in L2: the next panels share by share, a
 * tile's part of C, and with the first panels the next tile's rows. Streams of some KB are too short for the
 * processor's own prefetching. */
typedef struct ahead {
    const float *next;         /* the next tile's share of the next panels; NULL: none */
    int64_t share;             /* floats */
} ahead;

static inline void ask_lines(const float *from, int64_t floats)
{
    for (int64_t i = 0; i < floats; i += LINE) __builtin_prefetch(from + i, 0, 2);
}

/* panel: the next ones, or NULL, of so many floats; for few rows they would come all at once. */
static ahead ahead_of(const float *panel, int64_t floats, int64_t rows)
{
    const int64_t tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    return (ahead){tiles < 4 ? NULL : panel, round_up(floats / tiles + 1, LINE)};
}

static inline void ask_next(ahead *a)
{
    if (!a->next) return;
    ask_lines(a->next, a->share);
    a->next += a->share;
}

static inline void ask_ahead(ahead *a, const float *c, int64_t ldc, int64_t rows, int64_t cols)
{
    ask_next(a);
    for (int64_t i = 0; i < TILE_ROWS && i < rows; i++)
        for (int64_t k = 0; k < cols; k += LINE) __builtin_prefetch(c + i * ldc + k, 1, 3);
}

/* The rows of the tile after this one. */
static void ask_rows(const tile_job *t, const row_ptr *row)
{
    for (int64_t i = TILE_ROWS; i < 2 * TILE_ROWS && i < t->rows; i++)
        for (int64_t tap = 0; tap < t->taps; tap++) ask_lines(row[tap * t->a_step + i] + t->k0, t->depth);
}

/* One block of taps [tap, tap+taps) and depth k, on rows r and the panels in cols. */
static void product_block(const product *p, int64_t tap, int64_t taps, span k, span r, span cols)
{
    row_ptr row[MAX_TAPS * BLOCK_ROWS];
    const int64_t stride = block_rows(p, tap, taps, r, row), panel = p->taps * p->depth * TILE_COLS;
    const bool first = tap == 0 && k.first == 0;
    for (int64_t j = cols.first; j < cols.end; j += TILE_WIDE) {
        const float *b = p->b + (j * p->taps + tap * TILE_COLS) * p->depth + k.first * TILE_COLS;
        const int64_t left = (cols.end < p->n ? cols.end : p->n) - j, width = left < TILE_WIDE ? left : TILE_WIDE;
        float bias[TILE_WIDE] = {0};
        for (int64_t i = 0; p->bias && i < width; i++) bias[i] = p->bias[j + i];
        tile_job t = {.taps = taps, .depth = k.end - k.first, .k0 = k.first, .b_step = p->depth * TILE_COLS,
                      .a_step = stride, .b_panel = panel, .c_panel = TILE_COLS, .ldc = p->ldc, .cols = width,
                      .first = first, .bias = bias};
        ahead next = ahead_of(left > TILE_WIDE ? b + TILE_PANELS * panel : NULL, taps * t.depth * TILE_COLS,
                              r.end - r.first);
        for (int64_t i = r.first; i < r.end;) {
            t.c = p->c + (i - p->c_row) * p->ldc + j - p->c_col;
            t.rows = r.end - i;
            ask_ahead(&next, t.c, t.ldc, t.rows, width);
            if (j == cols.first) ask_rows(&t, row + (i - r.first));
            i += tile_rows(&t, row + (i - r.first), b);
        }
    }
}

/* Rows r (one block) and the panels in cols, through all taps and depths: by groups of columns, so that what one depth
 * leaves in C is in L2 for the next. */
static void product_part(const product *p, span r, span cols)
{
    int64_t taps = BLOCK_DEPTH / p->depth, pieces = (p->depth + BLOCK_DEPTH - 1) / BLOCK_DEPTH;
    if (taps < 1) taps = 1;
    if (taps > MAX_TAPS) taps = MAX_TAPS;
    const int64_t wide = p->taps > taps || pieces > 1 ? BLOCK_COLS : cols.end - cols.first;
    for (int64_t j = cols.first; j < cols.end; j += wide) {
        const span group = {j, j + wide < cols.end ? j + wide : cols.end};
        for (int64_t t = 0; t < p->taps; t += taps)
            for (int64_t k = 0; k < pieces; k++)
                product_block(p, t, p->taps - t < taps ? p->taps - t : taps, span_of(p->depth, 8, pieces, k), r, group);
    }
}

/* Item i: block of rows i % blocks and group of columns i / blocks. */
static void product_span(const void *ctx, span s, int worker)
{
    const product *p = ctx;
    (void)worker;
    for (int64_t i = s.first; i < s.end; i++)
        product_part(p, span_of(p->m, TILE_ROWS, p->blocks, i % p->blocks),
                     span_of(p->n, TILE_WIDE, p->groups, i / p->blocks));
}

/* Into blocks of rows, `most` at most; few rows are shared out by columns too, of which there are `cols`. Items are a
 * multiple of the threads and of one size, where panels allow it. */
static void product_share(const backend *be, product *p, int64_t most, int64_t cols)
{
    const int64_t panels = (cols + TILE_WIDE - 1) / TILE_WIDE, threads = be->threads, wanted = 4 * threads;
    p->blocks = (p->m + most - 1) / most;
    if (p->blocks >= wanted) p->blocks = round_up(p->blocks, threads);
    const int64_t least = (wanted + p->blocks - 1) / p->blocks;
    p->groups = least < panels ? least : panels;
    for (int64_t g = least; g <= panels && g <= 2 * least; g++)
        if (panels % g == 0 && p->blocks * g % threads == 0) {
            p->groups = g;
            break;
        }
}

/* Of an item. */
static double product_work(const product *p)
{
    const double work = (double)p->m * (double)p->n * (double)(p->taps * p->depth) / 16;
    return work / (double)(p->blocks * p->groups);
}

/* All of C. */
static void product_all(const backend *be, product *p)
{
    product_share(be, p, BLOCK_ROWS, p->n);
    run_spans(be, p->blocks * p->groups, 1, product_work(p), product_span, p);
}

/* Floats of a packed B. */
static size_t panels_size(int64_t n, int64_t taps, int64_t depth)
{
    return (size_t)((n + TILE_COLS - 1) / TILE_COLS * TILE_COLS * taps * depth);
}

/* Where element (tap, k, j) of B lies in the source: s[tap * tap_step + k * k_step + j * col_step]. */
typedef struct b_steps {
    int64_t tap, k, col;
} b_steps;

static void pack_panel(float *dst, const float *s, b_steps step, int64_t j, int64_t n, int64_t taps, int64_t depth)
{
    const int64_t width = n - j < TILE_COLS ? n - j : TILE_COLS;
    s += j * step.col;
    for (int64_t t = 0; t < taps; t++)
        for (int64_t k = 0; k < depth; k++, dst += TILE_COLS) {
            const float *from = s + t * step.tap + k * step.k;
            if (step.col == 1 && width == TILE_COLS) {
                store(dst, load(from));
                store(dst + V, load(from + V));
                continue;
            }
            for (int64_t i = 0; i < width; i++) dst[i] = from[i * step.col];
            for (int64_t i = width; i < TILE_COLS; i++) dst[i] = 0;
        }
}

typedef struct pack_job {
    float *dst;
    const float *s;
    b_steps step;
    int64_t n, taps, depth;
} pack_job;

static void pack_span(const void *ctx, span s, int worker)
{
    const pack_job *p = ctx;
    (void)worker;
    for (int64_t j = s.first; j < s.end; j++)
        pack_panel(p->dst + j * TILE_COLS * p->taps * p->depth, p->s, p->step, j * TILE_COLS, p->n, p->taps, p->depth);
}
