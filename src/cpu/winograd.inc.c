/* Winograd's F(4x4, 3x3) for stride 1: 36 multiplications per 4x4 outputs, input and output channel, instead of 144.
 * Y = A^T [sum over channels (G g G^T) * (B^T d B)] A, with points 0, +-1, +-2, infinity. Rounding: about 1e-6 to 1e-5
 * of the largest output, where a direct sum has 1e-7 to 1e-6.
 *
 * Input tiles are transformed for a block of tiles; then each thread takes panels of outputs: it transforms their
 * weights from the plain packed ones (kept transformed they would take 4 times the memory, which a large model lacks),
 * multiplies, and transforms back. */

enum {
    WINO = 36,
    WINO_DEPTH = 96,                 /* channels of weights transformed at a time */
    WINO_TILES = 192,                /* of a block, at most */
    WINO_BYTES = 8 << 20,            /* of a block's transformed input, about */
};

typedef struct wino_job {
    conv_view v;
    int64_t down, across, tiles;     /* tiles of an image, down and across; of all images */
    int64_t block;                   /* tiles of a block, whole TILE_ROWS */
    int64_t first, count, parts;     /* the block at hand, and in how many parts a panel is computed */
    int64_t depth, n;
    bool flip;                       /* the weight's taps run backwards */
    const float *panels, *bias;
    float *y;
    float *input;                    /* [36][block][depth]; the steps say where (f, tile, panel of channels) lies */
    int64_t f_step, row_step, panel_step;
    float *own;                      /* per thread: weights [36][WINO_DEPTH][TILE_COLS], sums [36][block][TILE_COLS] */
} wino_job;

static inline __attribute__((always_inline)) void wino_input(vf *d, int step)
{
    const vf d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    const vf a = d4 - 4.0f * d2, b = d3 - 4.0f * d1, c = d4 - d2, e = 2.0f * (d3 - d1);
    d[0] = 4.0f * d0 - 5.0f * d2 + d4;
    d[step] = a + b;
    d[2 * step] = a - b;
    d[3 * step] = c + e;
    d[4 * step] = c - e;
    d[5 * step] = 4.0f * d1 - 5.0f * d3 + d5;
}

static inline __attribute__((always_inline)) void wino_output(vf *y, int y_step, const vf *m, int step)
{
    const vf a = m[step] + m[2 * step], b = m[step] - m[2 * step];
    const vf c = m[3 * step] + m[4 * step], d = m[3 * step] - m[4 * step];
    y[0] = m[0] + a + c;
    y[y_step] = b + 2.0f * d;
    y[2 * y_step] = a + 4.0f * c;
    y[3 * y_step] = b + 8.0f * d + m[5 * step];
}

static inline __attribute__((always_inline)) void wino_weight(vf *u, int u_step, vf g0, vf g1, vf g2)
{
    const vf s = (g0 + g2) * (1.0f / 6), t = g1 * (1.0f / 6);
    const vf p = g0 * (1.0f / 24) + s - g0 * (1.0f / 6), q = g1 * (1.0f / 12);
    u[0] = g0 * 0.25f;
    u[u_step] = -(s + t);
    u[2 * u_step] = t - s;
    u[3 * u_step] = p + q;
    u[4 * u_step] = p - q;
    u[5 * u_step] = g2;
}

/* One tile's 6x6 window of the input, transformed into column `at` of the block. */
static void wino_transform_input(const wino_job *j, int64_t tile, int64_t at)
{
    const conv_view *v = &j->v;
    const int64_t b = tile / (j->down * j->across), ty = tile / j->across % j->down, tx = tile % j->across;
    const float *from[WINO];
    for (int i = 0; i < WINO; i++) {
        const int64_t y = 4 * ty - v->top + i / 6, x = 4 * tx - v->left + i % 6;
        const bool inside = y >= 0 && y < v->h && x >= 0 && x < v->w;
        from[i] = inside ? v->data + ((b * v->h + y) * v->w + x) * v->channels : v->zeros;
    }
    for (int64_t k = 0; k < j->depth; k += V) {
        float *to = j->input + at * j->row_step + k / TILE_COLS * j->panel_step + k % TILE_COLS;
        vf d[WINO];
#pragma GCC unroll 36
        for (int i = 0; i < WINO; i++) d[i] = load(from[i] + k);
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) wino_input(d + i, 6);
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) wino_input(d + 6 * i, 1);
#pragma GCC unroll 36
        for (int i = 0; i < WINO; i++) store(to + i * j->f_step, d[i]);
    }
}

/* Channels k0 .. k0+count-1 of one panel [9][depth][TILE_COLS], into u [36][count][TILE_COLS]. */
static void wino_transform_weight(const wino_job *j, const float *panel, int64_t k0, int64_t count, float *u)
{
    const int64_t tap = j->depth * TILE_COLS * (j->flip ? -1 : 1);
    const float *first = panel + (j->flip ? 8 * j->depth * TILE_COLS : 0) + k0 * TILE_COLS;
    for (int64_t k = 0; k < count * TILE_COLS; k += V) {
        const float *g = first + k;
        vf t[18];   /* G g: [6][3] */
#pragma GCC unroll 3
        for (int i = 0; i < 3; i++)
            wino_weight(t + i, 3, load(g + i * tap), load(g + (3 + i) * tap), load(g + (6 + i) * tap));
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) {
            vf row[6];
            wino_weight(row, 1, t[3 * i], t[3 * i + 1], t[3 * i + 2]);
#pragma GCC unroll 6
            for (int f = 0; f < 6; f++) store(u + (i * 6 + f) * count * TILE_COLS + k, row[f]);
        }
    }
}

/* Sums over channels k0 .. k0+count-1 for the block's tiles [t.first, t.end). */
static void wino_multiply(const wino_job *j, const float *u, int64_t k0, int64_t count, span t, float *sums)
{
    static const float none[TILE_COLS];
    for (int f = 0; f < WINO; f++)
        for (int64_t i = t.first; i < t.end; i += TILE_ROWS) {
            row_ptr row[TILE_ROWS];
            for (int r = 0; r < TILE_ROWS; r++) row[r] = j->input + f * j->f_step + (i + r) * j->row_step;
            vf acc[TILE_ROWS][TILE_VECS];
            tile_clear(acc);
            tile_run(acc, 1, count, row, 0, k0, u + f * count * TILE_COLS, 0);
            tile_store(acc, sums + (f * j->block + i) * TILE_COLS, TILE_COLS, TILE_ROWS, TILE_COLS, k0 == 0, none);
        }
}

/* The 4x4 outputs of one tile, V channels from n0 on. m: that column of sums. */
static inline __attribute__((always_inline)) void wino_finish(const wino_job *j, int64_t tile, const float *m,
                                                              int64_t n0, vf bias)
{
    const conv_view *v = &j->v;
    const int64_t b = tile / (j->down * j->across), y0 = tile / j->across % j->down * 4, x0 = tile % j->across * 4;
    const int64_t step = j->block * TILE_COLS, left = j->n - n0;
    vf d[WINO], t[24], out[16];
#pragma GCC unroll 36
    for (int i = 0; i < WINO; i++) d[i] = load(m + i * step);
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++) wino_output(t + i, 6, d + i, 6);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) wino_output(out + 4 * i, 1, t + 6 * i, 1);
    for (int i = 0; i < 16; i++) {
        const int64_t y = y0 + i / 4, x = x0 + i % 4;
        if (y >= v->oh || x >= v->ow) continue;
        float *to = j->y + ((b * v->oh + y) * v->ow + x) * j->n + n0;
        if (left >= V) store(to, out[i] + bias);
        else store_part(to, out[i] + bias, left);
    }
}

/* One panel of outputs, for tiles t of the block that starts at tile `first`. */
static void wino_panel(const wino_job *j, int64_t first, span t, int64_t panel, float *own)
{
    float *u = own, *sums = own + WINO * WINO_DEPTH * TILE_COLS;
    for (int64_t k = 0; k < j->depth; k += WINO_DEPTH) {
        const int64_t count = j->depth - k < WINO_DEPTH ? j->depth - k : WINO_DEPTH;
        wino_transform_weight(j, j->panels + panel * 9 * j->depth * TILE_COLS, k, count, u);
        wino_multiply(j, u, k, count, t, sums);
    }
    for (int64_t n0 = panel * TILE_COLS, i = 0; i < TILE_VECS && n0 < j->n; i++, n0 += V) {
        const int64_t left = j->n - n0;
        const vf bias = !j->bias ? splat(0) : left >= V ? load(j->bias + n0) : load_part(j->bias + n0, left);
        for (int64_t k = t.first; k < t.end && first + k < j->tiles; k++)
            wino_finish(j, first + k, sums + k * TILE_COLS + i * V, n0, bias);
    }
}

static int64_t wino_thread_floats(int64_t block)
{
    return WINO * TILE_COLS * (WINO_DEPTH + block);
}

/* Sizes alone: shapes of what is read and written. */
static wino_job wino_sizes(shape x, shape y)
{
    wino_job j = {.down = (y.dim[1] + 3) / 4, .across = (y.dim[2] + 3) / 4, .depth = x.dim[3], .n = y.dim[3]};
    j.tiles = y.dim[0] * j.down * j.across;
    int64_t most = WINO_BYTES / (WINO * 4 * j.depth);
    most = most < 48 ? 48 : most > WINO_TILES ? WINO_TILES : most;
    const int64_t blocks = (j.tiles + most - 1) / most;
    j.block = ((j.tiles + blocks - 1) / blocks + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
    j.row_step = j.depth;
    j.panel_step = TILE_COLS;
    j.f_step = j.block * j.depth;
    return j;
}

static size_t wino_bytes(const backend *be, shape x, shape y)
{
    const wino_job j = wino_sizes(x, y);
    return (size_t)(WINO * j.block * j.depth + be->threads * wino_thread_floats(j.block)) * sizeof(float);
}

/* Where it pays: 3x3, stride 1, wide enough that the transforms (about 20 cycles per input and output value) are small
 * beside the products, and outputs that fill most of their tiles. */
static bool wino_fits(shape w, shape x, shape y, int stride)
{
    const wino_job j = wino_sizes(x, y);
    if (w.dim[2] != 3 || w.dim[3] != 3 || stride != 1 || x.dim[3] % 16 || y.dim[3] < 16) return false;
    return (double)(y.dim[0] * y.dim[1] * y.dim[2]) >= 0.45 * 16 * (double)j.tiles;
}

static void wino_input_span(const void *ctx, span s, int worker)
{
    const wino_job *j = ctx;
    (void)worker;
    for (int64_t t = s.first; t < s.end; t++)
        wino_transform_input(j, j->first + t < j->tiles ? j->first + t : j->tiles - 1, t);
}

/* Item: panel of outputs x part of the block's tiles. */
static void wino_panel_span(const void *ctx, span s, int worker)
{
    const wino_job *j = ctx;
    for (int64_t i = s.first; i < s.end; i++)
        wino_panel(j, j->first, span_of(j->count, TILE_ROWS, j->parts, i % j->parts), i / j->parts,
                   j->own + worker * wino_thread_floats(j->block));
}

static void wino_run(const backend *be, wino_job *j)
{
    const int64_t panels = (j->n + TILE_COLS - 1) / TILE_COLS;
    j->parts = (2 * be->threads + panels - 1) / panels;
    for (j->first = 0; j->first < j->tiles; j->first += j->block) {
        j->count = j->tiles - j->first < j->block ? j->tiles - j->first : j->block;
        if (j->parts > (j->count + TILE_ROWS - 1) / TILE_ROWS) j->parts = (j->count + TILE_ROWS - 1) / TILE_ROWS;
        run_spans(be, round_up(j->count, TILE_ROWS), 1, 100 * (double)j->depth, wino_input_span, j);
        run_spans(be, panels * j->parts, 1, (double)(WINO * j->count * j->depth / j->parts), wino_panel_span, j);
    }
}
