/* Winograd's F(4x4, 3x3) for stride 1: 36 multiplications per 4x4 outputs, input and output channel, instead of 144.
 * Y = A^T [sum over channels (G g G^T) * (B^T d B)] A, with points 0, +-1/sqrt(2), +-sqrt(2), infinity, which round
 * least: an error of the products reaches an output 5 times as large, and at most 7 times (the usual 0, +-1, +-2,
 * infinity: 11 and 31).
 *
 * Input tiles are transformed for a block of tiles; then each thread takes panels of outputs: it transforms their
 * weights from the plain packed ones (kept transformed they would take 4 times the memory, which a large model lacks)
 * into L2, multiplies, and transforms back. What one of the 36 products needs of a chunk of channels lies in one piece.
 *
 * Trap: 36 streams whose distance is a multiple of 4 KB share one set of L1's eight lines. All distances between the
 * 36 are odd numbers of lines (odd_lines). */

enum {
    WINO = 36,
    /* Of the six rows of six products so many have their weights in L2 at a time: where it is one, there is room for
     * more channels, and sums are read less often. For vectors of 16 neither that nor asking has been measured. */
    WINO_ROWS = V == 16 ? 6 : 1,
    WINO_DEPTH = V == 16 ? 64 : 320, /* channels of a chunk, about */
    WINO_WHOLE = V == 16 ? 128 : 320,   /* so many are one chunk yet */
    WINO_ASKS = V != 16,             /* asks for the next tile's input, which lies in L3 */
    WINO_TILES = 192,                /* of a block, at most */
    WINO_BYTES = 8 << 20,            /* of a block's transformed input, about */
    WINO_U_STEP = WINO_WHOLE * TILE_COLS + LINE,   /* between products of transformed weights: odd_lines */
};

#define WINO_LOW 0.70710678f      /* 1/sqrt(2) */
#define WINO_HIGH 1.41421356f     /* sqrt(2) */
#define WINO_NEAR (-2.0f / 3)     /* what G's rows for +-1/sqrt(2), +-sqrt(2) lack here and A's have more */
#define WINO_FAR (1.0f / 6)

typedef struct wino_job {
    conv_view v;
    int64_t down, across, tiles;     /* tiles of an image, down and across; of all images */
    int64_t block;                   /* tiles of a block, whole TAIL_ROWS */
    int64_t first, count;            /* the block at hand */
    int64_t parts;                   /* of the block's tiles, in which a panel is computed */
    int64_t depth, n;
    bool flip;                       /* the weight's taps run backwards */
    const float *panels, *bias;
    float *y;
    /* Transformed input: channel k of product f and tile i at f * f_step + i * row_step + k / chunk * chunk_step +
     * k % chunk. */
    float *input;
    int64_t chunk, f_step, row_step, chunk_step;
    float *own;                      /* per thread: weights, WINO_U_STEP between products; sums, s_step between them */
    int64_t s_step;
} wino_job;

/* At least `floats`, an odd number of cache lines. */
static int64_t odd_lines(int64_t floats)
{
    return ((floats + LINE - 1) / LINE | 1) * LINE;
}

static inline __attribute__((always_inline)) void wino_input(vf *d, int step)
{
    const vf d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    const vf a = d4 - 2.0f * d2, b = WINO_LOW * (d3 - 2.0f * d1);
    const vf c = d4 - 0.5f * d2, e = WINO_HIGH * (d3 - 0.5f * d1);
    d[0] = d0 - 2.5f * d2 + d4;
    d[step] = a + b;
    d[2 * step] = a - b;
    d[3 * step] = c + e;
    d[4 * step] = c - e;
    d[5 * step] = d1 - 2.5f * d3 + d5;
}

static inline __attribute__((always_inline)) void wino_output(vf *y, int y_step, const vf *m, int step)
{
    const vf a = m[step] + m[2 * step], b = m[step] - m[2 * step];
    const vf c = m[3 * step] + m[4 * step], d = m[3 * step] - m[4 * step];
    y[0] = m[0] + WINO_NEAR * a + WINO_FAR * c;
    y[y_step] = WINO_NEAR * WINO_LOW * b + WINO_FAR * WINO_HIGH * d;
    y[2 * y_step] = 0.5f * WINO_NEAR * a + 2.0f * WINO_FAR * c;
    y[3 * y_step] = 0.5f * WINO_NEAR * WINO_LOW * b + 2.0f * WINO_FAR * WINO_HIGH * d + m[5 * step];
}

static inline __attribute__((always_inline)) void wino_weight(vf *u, int u_step, vf g0, vf g1, vf g2)
{
    const vf s = g0 + 0.5f * g2, p = g0 + 2.0f * g2;
    u[0] = g0;
    u[u_step] = s + WINO_LOW * g1;
    u[2 * u_step] = s - WINO_LOW * g1;
    u[3 * u_step] = p + WINO_HIGH * g1;
    u[4 * u_step] = p - WINO_HIGH * g1;
    u[5 * u_step] = g2;
}

/* Where the pixels of one tile's 6x6 window of the input lie. */
static void wino_window(const wino_job *j, int64_t tile, const float *from[WINO])
{
    const conv_view *v = &j->v;
    const int64_t b = tile / (j->down * j->across), ty = tile / j->across % j->down, tx = tile % j->across;
    for (int i = 0; i < WINO; i++) {
        const int64_t y = 4 * ty - v->top + i / 6, x = 4 * tx - v->left + i % 6;
        const bool inside = y >= 0 && y < v->h && x >= 0 && x < v->w;
        from[i] = inside ? v->data + ((b * v->h + y) * v->w + x) * v->channels : v->zeros;
    }
}

/* B^T d B of V channels from k on. */
static inline __attribute__((always_inline)) void wino_transform(vf d[WINO], const float *const from[WINO], int64_t k)
{
    UNROLL(36)
    for (int i = 0; i < WINO; i++) d[i] = load(from[i] + k);
    UNROLL(6)
    for (int i = 0; i < 6; i++) wino_input(d + i, 6);
    UNROLL(6)
    for (int i = 0; i < 6; i++) wino_input(d + 6 * i, 1);
}

/* One tile's window, transformed into column `at` of the block. */
static void wino_transform_input(const wino_job *j, int64_t tile, int64_t at)
{
    const float *from[WINO];
    const int64_t step = j->f_step;
    wino_window(j, tile, from);
    for (int64_t k = 0; k < j->depth; k += V) {
        float *to = j->input + at * j->row_step + k / j->chunk * j->chunk_step + k % j->chunk;
        vf d[WINO];
        wino_transform(d, from, k);
        UNROLL(36)
        for (int i = 0; i < WINO; i++, to += step) store(to, d[i]);
    }
}

/* Rows i .. of WINO_ROWS of G g G^T, channels k0 .. k0+count-1 of one panel [9][depth][TILE_COLS], into u
 * [6 * WINO_ROWS][count][TILE_COLS]. */
static inline __attribute__((always_inline)) void wino_transform_weight(const wino_job *j, const float *panel,
                                                                        int64_t k0, int64_t count, int i, float *u)
{
    const int64_t tap = j->depth * TILE_COLS * (j->flip ? -1 : 1);
    const float *g = panel + (j->flip ? 8 * j->depth * TILE_COLS : 0) + k0 * TILE_COLS;
    for (int64_t k = 0; k < count; k++, g += TILE_COLS, u += TILE_COLS) {
        vf t[TILE_VECS][18];   /* G g: [6][3]; both vectors at once, since the nine taps' lines share a set of L1 */
        UNROLL(2)
        for (int v = 0; v < TILE_VECS; v++)
            UNROLL(3)
            for (int c = 0; c < 3; c++)
                wino_weight(t[v] + c, 3, load(g + c * tap + v * V), load(g + (3 + c) * tap + v * V),
                            load(g + (6 + c) * tap + v * V));
        UNROLL(2)
        for (int v = 0; v < TILE_VECS; v++)
            UNROLL(6)
            for (int r = 0; r < WINO_ROWS; r++) {
                const vf *from = t[v] + 3 * (i + r);
                vf row[6];
                wino_weight(row, 1, from[0], from[1], from[2]);
                UNROLL(6)
                for (int f = 0; f < 6; f++) store(u + (r * 6 + f) * WINO_U_STEP + v * V, row[f]);
            }
    }
}

/* Products fs of sums [36][block][TILE_COLS] (+)= the block's tiles t, channels k0 .. k0+count-1 of one chunk, by u
 * [fs][count][TILE_COLS]. */
static __attribute__((noinline)) void wino_multiply(const wino_job *j, const float *u, span fs, int64_t k0,
                                                    int64_t count, span t, float *sums)
{
    for (int64_t f = fs.first; f < fs.end; f++, u += WINO_U_STEP) {
        const float *a = j->input + f * j->f_step + k0 / j->chunk * j->chunk_step;
        tile_job job = {.taps = 1, .depth = count, .ldc = TILE_COLS, .cols = TILE_COLS, .first = k0 == 0};
        for (int64_t i = t.first; i < t.end;) {
            row_ptr row[2 * TILE_ROWS];
            for (int r = 0; r < (WINO_ASKS ? 2 : 1) * TILE_ROWS; r++)
                row[r] = a + (i + r < t.end ? i + r : t.end - 1) * j->row_step;
            job.c = sums + f * j->s_step + i * TILE_COLS;
            job.rows = t.end - i;
            i += tile_panel(WINO_ASKS, &job, row, u);
        }
    }
}

/* The 4x4 outputs of one tile, V channels from n0 on. m: that column of sums. */
static inline __attribute__((always_inline)) void wino_finish(const wino_job *j, int64_t tile, const float *m,
                                                              int64_t n0)
{
    const conv_view *v = &j->v;
    const int64_t b = tile / (j->down * j->across), y0 = tile / j->across % j->down * 4, x0 = tile % j->across * 4;
    const int64_t left = j->n - n0;
    const vf bias = !j->bias ? splat(0) : left >= V ? load(j->bias + n0) : load_part(j->bias + n0, left);
    const int64_t across = v->ow - x0 < 4 ? v->ow - x0 : 4, down = v->oh - y0 < 4 ? v->oh - y0 : 4;
    const int64_t n = j->n, row = v->ow * n, step = j->s_step;
    float *to = j->y + ((b * v->oh + y0) * v->ow + x0) * n + n0;
    vf d[WINO], t[24], out[16];
    UNROLL(36)
    for (int i = 0; i < WINO; i++, m += step) d[i] = load(m);
    UNROLL(6)
    for (int i = 0; i < 6; i++) wino_output(t + i, 6, d + i, 6);
    UNROLL(4)
    for (int i = 0; i < 4; i++) wino_output(out + 4 * i, 1, t + 6 * i, 1);
    for (int i = 0; i < down; i++, to += row)
        for (int k = 0; k < across; k++) {
            if (left >= V) store(to + k * n, out[4 * i + k] + bias);
            else store_part(to + k * n, out[4 * i + k] + bias, left);
        }
}

/* The outputs of tiles t of the block, from sums. */
static void wino_finish_panel(const wino_job *j, span t, int64_t panel, const float *sums)
{
    for (int64_t i = t.first; i < t.end && j->first + i < j->tiles; i++)
        for (int64_t c = 0, n0 = panel * TILE_COLS; c < TILE_COLS && n0 + c < j->n; c += V)
            wino_finish(j, j->first + i, sums + i * TILE_COLS + c, n0 + c);
}

/* One panel of outputs, for tiles t of the block. */
static void wino_panel(const wino_job *j, span t, int64_t panel, float *own)
{
    float *u = own, *sums = own + 6 * WINO_ROWS * WINO_U_STEP;
    for (int64_t k = 0; k < j->depth; k += j->chunk) {
        const int64_t count = j->depth - k < j->chunk ? j->depth - k : j->chunk;
        UNROLL(6)
        for (int i = 0; i < 6; i += WINO_ROWS) {
            wino_transform_weight(j, j->panels + panel * 9 * j->depth * TILE_COLS, k, count, i, u);
            wino_multiply(j, u, (span){6 * i, 6 * (i + WINO_ROWS)}, k, count, t, sums);
        }
    }
    wino_finish_panel(j, t, panel, sums);
}

static int64_t wino_thread_floats(const wino_job *j)
{
    return 6 * WINO_ROWS * WINO_U_STEP + WINO * j->s_step;
}

static int64_t wino_panels(const wino_job *j)
{
    return (j->n + TILE_COLS - 1) / TILE_COLS;
}

/* Sizes alone: shapes of what is read and written. */
static wino_job wino_sizes(shape x, shape y)
{
    wino_job j = {.down = (y.dim[1] + 3) / 4, .across = (y.dim[2] + 3) / 4, .depth = x.dim[3], .n = y.dim[3]};
    j.tiles = y.dim[0] * j.down * j.across;
    int64_t most = WINO_BYTES / (WINO * 4 * j.depth);
    most = most < 48 ? 48 : most > WINO_TILES ? WINO_TILES : most;
    const int64_t blocks = (j.tiles + most - 1) / most;
    const int64_t chunks = j.depth <= WINO_WHOLE ? 1 : (j.depth + WINO_DEPTH - 1) / WINO_DEPTH;
    j.block = round_up((j.tiles + blocks - 1) / blocks, TAIL_ROWS);
    j.chunk = round_up((j.depth + chunks - 1) / chunks, 16);
    j.row_step = j.chunk;
    j.f_step = odd_lines(j.block * j.chunk);
    j.chunk_step = WINO * j.f_step;
    j.s_step = odd_lines(j.block * TILE_COLS);
    return j;
}

static int64_t wino_input_floats(const wino_job *j)
{
    return (j->depth + j->chunk - 1) / j->chunk * j->chunk_step;
}

static size_t wino_bytes(const backend *be, shape x, shape y)
{
    const wino_job j = wino_sizes(x, y);
    return (size_t)(wino_input_floats(&j) + be->threads * wino_thread_floats(&j)) * sizeof(float);
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

/* The tiles of item i: panel i / parts, part i % parts of the block. */
static span wino_part(const wino_job *j, int64_t i)
{
    return span_of(round_up(j->count, TAIL_ROWS), 2 * TILE_ROWS, j->parts, i % j->parts);
}

static void wino_panel_span(const void *ctx, span s, int worker)
{
    const wino_job *j = ctx;
    for (int64_t i = s.first; i < s.end; i++)
        wino_panel(j, wino_part(j, i), i / j->parts, j->own + worker * wino_thread_floats(j));
}

/* A share for every thread, and a few more so that a thread that is disturbed takes less. */
static void wino_share(const backend *be, wino_job *j)
{
    const int64_t panels = wino_panels(j), pieces = (j->count + 2 * TILE_ROWS - 1) / (2 * TILE_ROWS);
    j->parts = (2 * be->threads + panels - 1) / panels;
    if (j->parts > pieces) j->parts = pieces;
}

/* input, panel: the spans over tiles and over panels x parts, on ctx, which holds j. */
static void wino_run(const backend *be, wino_job *j, span_job *input, span_job *panel, const void *ctx)
{
    for (j->first = 0; j->first < j->tiles; j->first += j->block) {
        j->count = j->tiles - j->first < j->block ? j->tiles - j->first : j->block;
        wino_share(be, j);
        run_spans(be, round_up(j->count, TAIL_ROWS), 1, 100 * (double)j->depth, input, ctx);
        run_spans(be, wino_panels(j) * j->parts, 1, (double)(WINO * j->count * j->depth) / (double)j->parts, panel,
                  ctx);
    }
}
