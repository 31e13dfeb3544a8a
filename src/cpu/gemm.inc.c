/* The matrix product under linear layers, convolutions and attention: C [m,n] = bias + sum over taps t and depth k of
 * A_t[i,k] * B[t,k,j].
 *
 * A is read where it lies, through one pointer per (tap, row): a convolution's taps are pixels of the image (an
 * implicit im2col), a padding pixel is a row of zeros. B is packed in panels of TILE_COLS columns:
 * [n/TILE_COLS][taps][depth] [TILE_COLS], zero-padded. A tile of TILE_ROWS (or, for what is left, TAIL_ROWS) x
 * TILE_COLS of C stays in registers over one block of taps and depth; a panel's block (about 20 KB) stays in L1 over
 * BLOCK_ROWS rows. */

enum {
    TILE_VECS = 2,
    TILE_COLS = TILE_VECS * V,
    BLOCK_DEPTH = 320,                /* taps * depth of one block, about */
    BLOCK_ROWS = 24 * TILE_ROWS,
    BLOCK_COLS = 8 * TILE_COLS,       /* whose part of C stays in L2 between depths */
    MAX_TAPS = 64,                    /* of one block */
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
    float *c;
    int64_t ldc;
    /* Pointers to A's rows first .. first+count-1 of one tap. */
    void (*rows)(const void *ctx, int64_t tap, int64_t first, int64_t count, row_ptr *row);
    const void *ctx;
    int64_t blocks, groups;           /* set by product_all */
} product;

/* How many rows the next tile takes when `left` are left: whole tiles, and at the end whatever computes least. */
static inline int tile_height(int64_t left)
{
    return left <= TAIL_ROWS || (left > TILE_ROWS && left <= 2 * TAIL_ROWS) ? TAIL_ROWS : TILE_ROWS;
}

/* The tile functions are text for one height each: `height` is TILE_ROWS or TAIL_ROWS, a constant where they are used.
 *
 * acc += A B over taps x depth. row[t * row_step + i]: row i of tap t. b: one panel, taps b_step apart. */
static inline __attribute__((always_inline)) void tile_run(int height, vf acc[TILE_ROWS][TILE_VECS], int64_t taps,
                                                           int64_t depth, const row_ptr *row, int64_t row_step,
                                                           int64_t k0, const float *b, int64_t b_step)
{
    for (int64_t t = 0; t < taps; t++, row += row_step, b += b_step) {
        const float *a[TILE_ROWS];
        const float *bk = b;
#pragma GCC unroll 8
        for (int i = 0; i < height; i++) a[i] = row[i] + k0;
        for (int64_t k = 0; k < depth; k++, bk += TILE_COLS) {
            const vf b0 = load(bk), b1 = load(bk + V);
#pragma GCC unroll 8
            for (int i = 0; i < height; i++) {
                acc[i][0] += a[i][k] * b0;
                acc[i][1] += a[i][k] * b1;
            }
        }
    }
}

/* The same with A by columns, a_step apart: A[i,k] = a[k * a_step + i]. */
static inline __attribute__((always_inline)) void tile_run_columns(int height, vf acc[TILE_ROWS][TILE_VECS],
                                                                   int64_t depth, const float *a, int64_t a_step,
                                                                   const float *b)
{
    for (int64_t k = 0; k < depth; k++, a += a_step, b += TILE_COLS) {
        const vf b0 = load(b), b1 = load(b + V);
#pragma GCC unroll 8
        for (int i = 0; i < height; i++) {
            acc[i][0] += a[i] * b0;
            acc[i][1] += a[i] * b1;
        }
    }
}

static inline __attribute__((always_inline)) void tile_clear(vf acc[TILE_ROWS][TILE_VECS])
{
#pragma GCC unroll 8
    for (int i = 0; i < TILE_ROWS; i++) acc[i][0] = acc[i][1] = splat(0);
}

/* c += acc (or c = bias + acc when first) for the part of the tile in `rows` (those left, maybe more than the tile's)
 * and `cols`. bias: TILE_COLS floats. */
static inline __attribute__((always_inline)) void tile_store(int height, vf acc[TILE_ROWS][TILE_VECS], float *c,
                                                             int64_t ldc, int64_t rows, int64_t cols, bool first,
                                                             const float *bias)
{
    if (first) {
        const vf b0 = load(bias), b1 = load(bias + V);
#pragma GCC unroll 8
        for (int i = 0; i < height; i++) {
            acc[i][0] += b0;
            acc[i][1] += b1;
        }
    }
    if (rows >= height && cols == TILE_COLS) {
#pragma GCC unroll 8
        for (int i = 0; i < height; i++, c += ldc) {
            store(c, first ? acc[i][0] : load(c) + acc[i][0]);
            store(c + V, first ? acc[i][1] : load(c + V) + acc[i][1]);
        }
        return;
    }
    float t[TILE_ROWS][TILE_COLS];
#pragma GCC unroll 8
    for (int i = 0; i < height; i++) {
        store(t[i], acc[i][0]);
        store(t[i] + V, acc[i][1]);
    }
    for (int64_t i = 0; i < rows && i < height; i++)
        for (int64_t j = 0; j < cols; j++) c[i * ldc + j] = first ? t[i][j] : c[i * ldc + j] + t[i][j];
}

static const float no_bias[TILE_COLS];

/* A tile's factors and place. */
typedef struct tile_job {
    int64_t taps, depth, k0, b_step;   /* as in tile_run */
    int64_t a_step;                    /* tile_rows: tile_run's row_step; tile_columns: tile_run_columns' a_step */
    float *c;
    int64_t ldc, rows, cols;           /* rows: left */
    bool first;
    const float *bias;
} tile_job;

static inline __attribute__((always_inline)) void tile_rows_of(int height, const tile_job *j, const row_ptr *row,
                                                               const float *b)
{
    vf acc[TILE_ROWS][TILE_VECS];
    tile_clear(acc);
    tile_run(height, acc, j->taps, j->depth, row, j->a_step, j->k0, b, j->b_step);
    tile_store(height, acc, j->c, j->ldc, j->rows, j->cols, j->first, j->bias);
}

/* Computes the next tile and says how many rows it took. */
static inline __attribute__((always_inline)) int tile_rows(const tile_job *j, const row_ptr *row, const float *b)
{
    const int height = tile_height(j->rows);
    if (height == TILE_ROWS) tile_rows_of(TILE_ROWS, j, row, b);
    else tile_rows_of(TAIL_ROWS, j, row, b);
    return height;
}

static inline __attribute__((always_inline)) void tile_columns_of(int height, const tile_job *j, const float *a,
                                                                  const float *b)
{
    vf acc[TILE_ROWS][TILE_VECS];
    tile_clear(acc);
    tile_run_columns(height, acc, j->depth, a, j->a_step, b);
    tile_store(height, acc, j->c, j->ldc, j->rows, j->cols, j->first, j->bias);
}

/* The same with A by columns. */
static inline __attribute__((always_inline)) int tile_columns(const tile_job *j, const float *a, const float *b)
{
    const int height = tile_height(j->rows);
    if (height == TILE_ROWS) tile_columns_of(TILE_ROWS, j, a, b);
    else tile_columns_of(TAIL_ROWS, j, a, b);
    return height;
}

/* Rows of A for one block of rows, padded to whole tiles by repeating the last: row[t * stride + i]. */
static int64_t block_rows(const product *p, int64_t tap, int64_t taps, span r, row_ptr *row)
{
    const int64_t count = r.end - r.first, stride = (count + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
    for (int64_t t = 0; t < taps; t++) {
        p->rows(p->ctx, tap + t, r.first, count, row + t * stride);
        for (int64_t i = count; i < stride; i++) row[t * stride + i] = row[t * stride + count - 1];
    }
    return stride;
}

/* One block of taps [tap, tap+taps) and depth k, on rows r and the panels in cols. */
static void product_block(const product *p, int64_t tap, int64_t taps, span k, span r, span cols)
{
    row_ptr row[MAX_TAPS * BLOCK_ROWS];
    const int64_t stride = block_rows(p, tap, taps, r, row);
    const bool first = tap == 0 && k.first == 0;
    for (int64_t j = cols.first; j < cols.end; j += TILE_COLS) {
        const float *b = p->b + (j * p->taps + tap * TILE_COLS) * p->depth + k.first * TILE_COLS;
        const int64_t width = p->n - j < TILE_COLS ? p->n - j : TILE_COLS;
        float bias[TILE_COLS] = {0};
        for (int64_t i = 0; p->bias && i < width; i++) bias[i] = p->bias[j + i];
        tile_job t = {.taps = taps, .depth = k.end - k.first, .k0 = k.first, .b_step = p->depth * TILE_COLS,
                      .a_step = stride, .ldc = p->ldc, .cols = width, .first = first, .bias = bias};
        for (int64_t i = r.first; i < r.end;) {
            t.c = p->c + i * p->ldc + j;
            t.rows = r.end - i;
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
                     span_of(p->n, TILE_COLS, p->groups, i / p->blocks));
}

/* All of C. Few rows are shared out by columns too. */
static void product_all(const backend *be, product *p)
{
    const int64_t panels = (p->n + TILE_COLS - 1) / TILE_COLS, wanted = 4 * be->threads;
    p->blocks = (p->m + BLOCK_ROWS - 1) / BLOCK_ROWS;
    p->groups = (wanted + p->blocks - 1) / p->blocks;
    if (p->groups > panels) p->groups = panels;
    const double work = (double)p->m * (double)p->n * (double)(p->taps * p->depth) / 16;
    run_spans(be, p->blocks * p->groups, 1, work / (double)(p->blocks * p->groups), product_span, p);
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
