/* The gradient of a 3x3 stride-1 convolution's weights by Winograd's way, the transpose of winograd.inc.c:
 * dw = G^T [sum over tiles (A dy A^T) * (B^T x B)] G. Tiles go through in blocks; a block's share of dw is transformed
 * back and added, so no sums of 36 x O x I floats are ever kept. */

enum {
    WINO_DW_TILES = 320,             /* of a block: a panel of TILE_COLS inputs then fits L1 */
    WINO_DW_BYTES = 16 << 20,        /* of a block's transformed input and gradient, about */
    WINO_DW_OUTPUTS = 6 * TILE_COLS, /* of a task */
    WINO_DW_SUMS = WINO_DW_OUTPUTS * TILE_COLS + 16,   /* see odd_lines */
};

typedef struct wino_dw_job {
    wino_job x;                      /* input: [36][panels][block][TILE_COLS], its chunks are panels */
    const float *g;
    float *z;                        /* the gradient transformed, laid out alike, z_step between the 36 */
    int64_t z_step;
    float *dw, *own;                 /* own: per thread, WINO_DW_OWN */
    int64_t no, ni;
} wino_dw_job;

/* 4 -> 6, by A */
static inline __attribute__((always_inline)) void wino_spread(vf *z, int z_step, vf y0, vf y1, vf y2, vf y3)
{
    const vf a = y0 + 0.5f * y2, b = WINO_LOW * (y1 + 0.5f * y3);
    const vf c = y0 + 2.0f * y2, d = WINO_HIGH * (y1 + 2.0f * y3);
    z[0] = y0;
    z[z_step] = a + b;
    z[2 * z_step] = a - b;
    z[3 * z_step] = c + d;
    z[4 * z_step] = c - d;
    z[5 * z_step] = y3;
}

/* 6 -> 3, by G^T */
static inline __attribute__((always_inline)) void wino_gather(vf *r, int r_step, const vf *s, int step)
{
    const vf a = (s[step] + s[2 * step]) * (1.0f / 3), b = (s[3 * step] + s[4 * step]) * (1.0f / 6);
    r[0] = s[0] - 2.0f * a + b;
    r[r_step] = (s[2 * step] - s[step]) * (2.0f / 3 * WINO_LOW) + (s[3 * step] - s[4 * step]) * (1.0f / 6 * WINO_HIGH);
    r[2 * r_step] = 2.0f * b - a + s[5 * step];
}

/* One tile's 4x4 window of the gradient, transformed into row `at` of the block; zero where there is no output. */
static void wino_transform_gradient(const wino_dw_job *j, int64_t tile, int64_t at)
{
    const wino_job *x = &j->x;
    const int64_t b = tile / (x->down * x->across), ty = tile / x->across % x->down, tx = tile % x->across;
    const float *from[16];
    for (int i = 0; i < 16; i++) {
        const int64_t oy = 4 * ty + i / 4, ox = 4 * tx + i % 4;
        const bool inside = oy < x->v.oh && ox < x->v.ow;
        from[i] = inside ? j->g + ((b * x->v.oh + oy) * x->v.ow + ox) * j->no : x->v.zeros;
    }
    for (int64_t k = 0; k < j->no; k += V) {
        float *to = j->z + (k / TILE_COLS * x->block + at) * TILE_COLS + k % TILE_COLS;
        vf t[24];
        UNROLL(4)
        for (int i = 0; i < 4; i++)
            wino_spread(t + i, 4, load(from[i] + k), load(from[4 + i] + k), load(from[8 + i] + k),
                        load(from[12 + i] + k));
        UNROLL(6)
        for (int i = 0; i < 6; i++) {
            vf row[6];
            wino_spread(row, 1, t[4 * i], t[4 * i + 1], t[4 * i + 2], t[4 * i + 3]);
            UNROLL(6)
            for (int f = 0; f < 6; f++) store(to + (i * 6 + f) * j->z_step, row[f]);
        }
    }
}

/* dw[o, i0 .. i0+width-1, 3, 3] (+)= G^T sums G; sums [36] WINO_DW_SUMS apart, [TILE_COLS] of row o. */
static void wino_dw_finish(const wino_dw_job *j, const float *sums, int64_t o, int64_t i0, bool first)
{
    float t[9][TILE_COLS];
    const int64_t width = j->ni - i0 < TILE_COLS ? j->ni - i0 : TILE_COLS;
    for (int64_t c = 0; c < TILE_COLS; c += V) {
        vf s[WINO], r[18], w[9];
        UNROLL(36)
        for (int f = 0; f < WINO; f++) s[f] = load(sums + f * WINO_DW_SUMS + c);
        UNROLL(6)
        for (int f = 0; f < 6; f++) wino_gather(r + f, 6, s + f, 6);
        UNROLL(3)
        for (int f = 0; f < 3; f++) wino_gather(w + 3 * f, 1, r + 6 * f, 1);
        UNROLL(9)
        for (int f = 0; f < 9; f++) store(t[f] + c, w[f]);
    }
    float *to = j->dw + (o * j->ni + i0) * 9;
    for (int64_t i = 0; i < width; i++, to += 9)
        for (int f = 0; f < 9; f++) to[f] = (first ? 0 : to[f]) + t[f][i];
}

/* Inputs of one panel, outputs o .. o+count-1, over a block of `tiles`. */
static void wino_dw_task(const wino_dw_job *j, int64_t panel, int64_t o, int64_t count, int64_t tiles, bool first,
                         float *sums)
{
    const wino_job *x = &j->x;
    for (int f = 0; f < WINO; f++)
        for (int64_t r = 0; r < count; r += TILE_COLS)
            outer_panel(tiles, j->z + f * j->z_step + (o + r) * x->block,
                        x->input + f * x->f_step + panel * x->chunk_step, sums + f * WINO_DW_SUMS + r * TILE_COLS,
                        TILE_COLS, count - r, TILE_COLS, true);
    for (int64_t r = 0; r < count; r++) wino_dw_finish(j, sums + r * TILE_COLS, o + r, panel * TILE_COLS, first);
}

enum { WINO_DW_OWN = WINO * WINO_DW_SUMS };

static wino_job wino_dw_sizes(shape x, shape g)
{
    wino_job j = wino_sizes(x, g);
    int64_t most = WINO_DW_BYTES / (WINO * 4 * (x.dim[3] + g.dim[3]));
    most = most < 48 ? 48 : most > WINO_DW_TILES ? WINO_DW_TILES : most;
    const int64_t blocks = (j.tiles + most - 1) / most, panels = (x.dim[3] + TILE_COLS - 1) / TILE_COLS;
    j.block = (j.tiles + blocks - 1) / blocks;
    j.chunk = j.row_step = TILE_COLS;
    j.chunk_step = j.block * TILE_COLS;
    j.f_step = odd_lines(panels * j.chunk_step);
    return j;
}

static int64_t wino_dw_z_step(const wino_job *x, int64_t no)
{
    return odd_lines(round_up(no, TILE_COLS) * x->block);
}

static size_t wino_dw_bytes(const backend *be, shape x, shape g)
{
    const wino_job j = wino_dw_sizes(x, g);
    return (size_t)(WINO * (j.f_step + wino_dw_z_step(&j, g.dim[3])) + be->threads * WINO_DW_OWN) * sizeof(float);
}

static void wino_dw_input_span(const void *ctx, span s, int worker)
{
    const wino_dw_job *j = ctx;
    (void)worker;
    for (int64_t t = s.first; t < s.end; t++) {
        wino_transform_input(&j->x, j->x.first + t, t);
        wino_transform_gradient(j, j->x.first + t, t);
    }
}

/* Item: panel of inputs x part of the outputs. */
static void wino_dw_span(const void *ctx, span s, int worker)
{
    const wino_dw_job *j = ctx;
    for (int64_t i = s.first; i < s.end; i++) {
        const span o = span_of(j->no, TILE_COLS, j->x.parts, i % j->x.parts);
        wino_dw_task(j, i / j->x.parts, o.first, o.end - o.first, j->x.count, j->x.first == 0,
                     j->own + (int64_t)worker * WINO_DW_OWN);
    }
}

/* j.x.v, g, dw, no and ni are set; the rest is made here. */
static void wino_dw_run(const backend *be, wino_dw_job *j, float *scratch)
{
    wino_job *x = &j->x;
    x->input = scratch;
    j->z = x->input + WINO * x->f_step;
    j->z_step = wino_dw_z_step(x, j->no);
    j->own = j->z + WINO * j->z_step;
    const int64_t panels = (j->ni + TILE_COLS - 1) / TILE_COLS;
    x->parts = (j->no + WINO_DW_OUTPUTS - 1) / WINO_DW_OUTPUTS;
    for (x->first = 0; x->first < x->tiles; x->first += x->block) {
        x->count = x->tiles - x->first < x->block ? x->tiles - x->first : x->block;
        run_spans(be, x->count, 1, 100 * (double)(j->ni + j->no), wino_dw_input_span, j);
        run_spans(be, panels * x->parts, 1, (double)(WINO * x->count * j->no / x->parts), wino_dw_span, j);
    }
}
