/* Linear layers: x [rows,I], w [O,I] -> [rows,O], and their gradients, on gemm.inc.c. Packed weights are kept per
 * parameter; a weight that is no parameter (tests, computed weights) is packed into scratch at every run. */

/* What a pack holds; part of its key. */
enum { PACK_FORWARD = 1, PACK_BACKWARD, PACK_WORDS, PACK_BYTES, PACK_WORDS_WINOGRAD, PACK_DIGITS };

/* Four numbers each at from, from + step .. from + 3 step, as columns of to[0 .. 3]. */
static inline void transpose_four(float *const to[4], const float *from, int64_t step)
{
    typedef float four __attribute__((vector_size(16)));
    typedef float four_unaligned __attribute__((vector_size(16), aligned(4), may_alias));
    const four a = *(const four_unaligned *)from, b = *(const four_unaligned *)(from + step);
    const four c = *(const four_unaligned *)(from + 2 * step), d = *(const four_unaligned *)(from + 3 * step);
    const four ac = __builtin_shufflevector(a, c, 0, 4, 1, 5), bd = __builtin_shufflevector(b, d, 0, 4, 1, 5);
    const four ca = __builtin_shufflevector(a, c, 2, 6, 3, 7), db = __builtin_shufflevector(b, d, 2, 6, 3, 7);
    *(four_unaligned *)to[0] = __builtin_shufflevector(ac, bd, 0, 4, 1, 5);
    *(four_unaligned *)to[1] = __builtin_shufflevector(ac, bd, 2, 6, 3, 7);
    *(four_unaligned *)to[2] = __builtin_shufflevector(ca, db, 0, 4, 1, 5);
    *(four_unaligned *)to[3] = __builtin_shufflevector(ca, db, 2, 6, 3, 7);
}

/* For `most` bytes of those left: a panel's rows are streams too short for the processor's own prefetching. */
static inline void ask_bytes(const char *from, size_t left, size_t most)
{
    for (size_t i = 63; i < most + 63 && i < left; i += 64) __builtin_prefetch(from + i, 0, 3);
}

/* One panel of a forward weight w [O, depth, taps] of any float type: dst [taps][depth][TILE_COLS]. */
static void pack_outputs(float *dst, const void *w, dtype type, int64_t j, int64_t n, int64_t taps, int64_t depth)
{
    enum { CHUNK = 128 };
    const int64_t width = n - j < TILE_COLS ? n - j : TILE_COLS, row = taps * depth;
    float t[TILE_COLS][CHUNK] = {{0}}, unused[TILE_COLS];
    int64_t tap = 0, k = 0;
    for (int64_t q0 = 0; q0 < row; q0 += CHUNK) {
        const int64_t count = row - q0 < CHUNK ? row - q0 : CHUNK;
        for (int64_t c = 0; c < width; c++) {
            const char *from = (const char *)w + (size_t)((j + c) * row + q0) * dtype_size(type);
            ask_bytes(from + (size_t)CHUNK * dtype_size(type), (size_t)(row - q0 - count) * dtype_size(type),
                      (size_t)CHUNK * dtype_size(type));
            widen(t[c], from, type, count);
        }
        for (int64_t q = 0; q < count; q += 4) {
            float *to[4];
            for (int i = 0; i < 4; i++) {
                to[i] = q + i < count ? dst + (tap * depth + k) * TILE_COLS : unused;
                if (++tap < taps) continue;
                tap = 0;
                k++;
            }
            for (int c = 0; c < TILE_COLS; c += 4)
                transpose_four((float *const[]){to[0] + c, to[1] + c, to[2] + c, to[3] + c}, &t[c][q], CHUNK);
        }
    }
}

typedef struct pack_weight_job {
    float *dst;
    const void *w;
    dtype type;
    int64_t no, ni, taps;
} pack_weight_job;

static void pack_weight_span(const void *ctx, span s, int worker)
{
    const pack_weight_job *p = ctx;
    (void)worker;
    for (int64_t j = s.first; j < s.end; j++)
        pack_outputs(p->dst + j * TILE_COLS * p->taps * p->ni, p->w, p->type, j * TILE_COLS, p->no, p->taps, p->ni);
}

/* A weight [O, I, taps] packed for the forward pass (columns O, depth I) or the backward one (columns I, depth O; only
 * from floats). */
static void pack_weight(const backend *be, float *dst, const void *w, dtype type, int64_t no, int64_t ni, int64_t taps,
                        bool backward)
{
    if (backward) {
        const pack_job job = {dst, w, {1, ni * taps, taps}, ni, taps, no};
        run_spans(be, (ni + TILE_COLS - 1) / TILE_COLS, 1, (double)(TILE_COLS * taps * no), pack_span, &job);
    } else {
        const pack_weight_job job = {dst, w, type, no, ni, taps};
        run_spans(be, (no + TILE_COLS - 1) / TILE_COLS, 1, (double)(TILE_COLS * taps * ni), pack_weight_span, &job);
    }
}

static size_t weight_floats(const node *w, bool backward)
{
    const shape s = w->shape;
    const int64_t taps = s.rank == 4 ? s.dim[2] * s.dim[3] : 1;
    return backward ? panels_size(s.dim[1], taps, s.dim[0]) : panels_size(s.dim[0], taps, s.dim[1]);
}

/* Columns cols of input 1 packed for the forward pass, from whatever type a parameter is stored in. */
static void pack_columns(const call *c, span cols, float *to)
{
    const param *p = c->weight[1];
    const shape s = c->n->in[1]->shape;
    const int64_t ni = s.dim[1], taps = s.rank == 4 ? s.dim[2] * s.dim[3] : 1;
    const dtype type = p ? p->type : DT_F32;
    const char *w = p ? p->data : operand(c, 1);
    pack_weight(c->be, to, w + (size_t)(cols.first * ni * taps) * dtype_size(type), type, cols.end - cols.first, ni,
                taps, false);
}

/* After every column of a weight that has no kept copy: a compact one's pages serve the next run. */
static void columns_packed(const call *c)
{
    if (c->weight[1] && !c->weight[1]->compact) param_drop_pages(c->weight[1]);
}

/* Input 1 packed: the kept copy of a parameter, made again when it changed, or one in scratch. The plan decided. */
static const float *packed_weight(const call *c, bool backward, float *scratch)
{
    const node *w = c->n->in[1];
    const param *p = c->weight[1];
    const int64_t no = w->shape.dim[0], ni = w->shape.dim[1];
    const int64_t taps = w->shape.rank == 4 ? w->shape.dim[2] * w->shape.dim[3] : 1;
    const int kind = backward ? PACK_BACKWARD : PACK_FORWARD;
    pack_table *packs = &cpu_of(c->be)->packs;
    if (!p || !pack_has(packs, p, kind)) {
        check(!p || p->transient || p->compact, "%s: its packed copy was not reserved", p->name);
        if (backward) {
            pack_weight(c->be, scratch, operand(c, 1), DT_F32, no, ni, taps, true);
            return scratch;
        }
        pack_columns(c, (span){0, no}, scratch);
        columns_packed(c);
        return scratch;
    }
    bool stale;
    pack_entry *e = pack_get(packs, p, kind, weight_floats(w, backward) * sizeof(float), &stale);
    if (stale && !backward) pack_columns(c, (span){0, no}, e->data);
    if (stale && backward) pack_weight(c->be, e->data, c->be->param_data(c->be, p), DT_F32, no, ni, taps, true);
    if (stale) param_drop_pages(p);
    return e->data;
}

/* The parameter that input 1 is, if any. */
static const param *weight_param(const node *n)
{
    const node *w = n->in[1];
    while (w->op == OP_reshape) w = w->in[0];
    return w->op == OP_PARAM ? w->param : NULL;
}

/* That, if a packed copy of it is to be kept. A compact one's takes more than its data: it is packed at every run,
 * which costs little beside the products. */
static const param *kept_param(const node *n)
{
    const param *p = weight_param(n);
    return p && !p->transient && !p->compact ? p : NULL;
}

/* Memory is taken when the plan is made, so that a run can't fail. */
static int reserve_weight(backend *be, const node *n, bool backward, m2m_error *err)
{
    const param *p = kept_param(n);
    if (!p) return 0;
    const size_t bytes = weight_floats(n->in[1], backward) * sizeof(float);
    if (pack_reserve(&cpu_of(be)->packs, p, backward ? PACK_BACKWARD : PACK_FORWARD, bytes)) return 0;
    return fail(err, M2M_ENOMEM, "%s: no memory for its packed copy of %zu bytes", p->name, bytes);
}

static size_t pack_scratch(const node *n, bool backward)
{
    return kept_param(n) ? 0 : weight_floats(n->in[1], backward) * sizeof(float);
}

typedef struct matrix {
    const float *data;
    int64_t step;
} matrix;

static void matrix_rows(const void *ctx, int64_t tap, int64_t first, int64_t count, row_ptr *row)
{
    const matrix *m = ctx;
    (void)tap;
    for (int64_t i = 0; i < count; i++) row[i] = m->data + (first + i) * m->step;
}

/* ---- with GEGLU: a piece of the columns and their gates stays in L2, and from there goes the result ---- */

enum {
    GATED_COLS = 4 * TILE_COLS,
    GATED_FLOATS = BLOCK_ROWS * 2 * GATED_COLS,
};

typedef struct gated {
    product p;                        /* n: of both halves; c is set piece by piece */
    float *out;                       /* [m, n/2], rows out_step apart */
    int64_t out_step, bias_gap;       /* bias: what lies between those of both halves */
    float *own;                       /* per thread: GATED_FLOATS */
    geglu_row_function *row;
} gated;

static bool gated_fit(const node *then)
{
    return then->op == OP_geglu && shape_last(then->shape) % TILE_COLS == 0;
}

/* Columns j .. j+width-1 of rows r from own [rows][columns | gates]. */
static void gated_result(const gated *g, span r, int64_t j, int64_t width, const float *own)
{
    for (int64_t i = r.first; i < r.end; i++, own += 2 * GATED_COLS)
        g->row(g->out + i * g->out_step + j, own, own + GATED_COLS, width);
}

/* p with its columns from first on in own's part for columns (0) or gates (1). */
static product gated_half(const product *p, span r, int64_t first, int part, float *own)
{
    product q = *p;
    q.c = own + part * GATED_COLS;
    q.ldc = 2 * GATED_COLS;
    q.c_row = r.first;
    q.c_col = first;
    return q;
}

/* Item i: block of rows i % blocks and group of columns i / blocks. */
static void gated_span(const void *ctx, span s, int worker)
{
    const gated *g = ctx;
    const product *p = &g->p;
    float *own = g->own + worker * GATED_FLOATS;
    for (int64_t i = s.first; i < s.end; i++) {
        const span r = span_of(p->m, TILE_ROWS, p->blocks, i % p->blocks);
        const span cols = span_of(p->n / 2, TILE_WIDE, p->groups, i / p->blocks);
        for (int64_t j = cols.first; j < cols.end; j += GATED_COLS) {
            const int64_t width = cols.end - j < GATED_COLS ? cols.end - j : GATED_COLS;
            for (int part = 0; part < 2; part++) {
                const int64_t first = j + part * (p->n / 2);
                product q = gated_half(p, r, first, part, own);
                if (part && q.bias) q.bias += g->bias_gap;
                product_part(&q, r, (span){first, first + width});
            }
            gated_result(g, r, j, width, own);
        }
    }
}

/* ---- a weight without a kept copy is packed some columns at a time, which stay in cache until they are used ---- */

enum { PASS_FLOATS = 1 << 18 };

/* Columns of a pass over a layer of `cols` columns and depth k, each with so many parts (a gate too). */
static int64_t pass_cols(int64_t cols, int64_t k, int64_t parts)
{
    const int64_t fit = PASS_FLOATS / (k * parts) / TILE_WIDE * TILE_WIDE, least = fit > TILE_WIDE ? fit : TILE_WIDE;
    return least < cols ? least : cols;
}

static size_t linear_scratch(const backend *be, const node *n)
{
    (void)be;
    const int64_t k = n->in[1]->shape.dim[1], no = n->in[1]->shape.dim[0];
    const int64_t one = pass_cols(no, k, 1), two = 2 * pass_cols(no, k, 2);    /* a graph may give it a gate */
    const size_t all = weight_floats(n->in[1], false), pass = panels_size(one > two ? one : two, 1, k);
    return kept_param(n) ? 0 : (all < pass ? all : pass) * sizeof(float);
}

static size_t linear_fuses(const backend *be, const node *n, const node *then)
{
    if (!gated_fit(then)) return SIZE_MAX;
    return linear_scratch(be, n) + (size_t)be->threads * GATED_FLOATS * sizeof(float);
}

static int linear_prepare(backend *be, const node *n, void **state, m2m_error *err)
{
    (void)state;
    return reserve_weight(be, n, false, err);
}

/* Columns cols of the result, out of no. b: their packed weights, or NULL: those are packed here. */
static void linear_pass(const call *c, span cols, int64_t no, const float *b)
{
    const int64_t ni = shape_last(c->n->in[0]->shape), parts = c->then ? 2 : 1, width = cols.end - cols.first;
    const matrix x = {operand(c, 0), ni};
    const float *bias = operand(c, 2);
    float *scratch = c->scratch, *out = (float *)c->out + cols.first;
    for (int64_t i = 0; !b && i < parts; i++)
        pack_columns(c, (span){i * no + cols.first, i * no + cols.end}, scratch + i * width * ni);
    product p = {.m = shape_rows(c->n->shape), .n = parts * width, .taps = 1, .depth = ni, .b = b ? b : scratch,
                 .bias = bias ? bias + cols.first : NULL, .c = out, .ldc = no, .rows = matrix_rows, .ctx = &x};
    if (!c->then) {
        product_all(c->be, &p);
        return;
    }
    gated g = {.p = p, .out = out, .out_step = no, .bias_gap = no - width,
               .own = (float *)((char *)c->scratch + linear_scratch(c->be, c->n)), .row = geglu_row_of(c->be)};
    product_share(c->be, &g.p, BLOCK_ROWS, width);
    run_spans(c->be, g.p.blocks * g.p.groups, 1, product_work(&g.p), gated_span, &g);
}

static void fast_linear(const call *c)
{
    const int64_t parts = c->then ? 2 : 1, no = shape_last(c->n->shape) / parts;
    const float *b = kept_param(c->n) ? packed_weight(c, false, NULL) : NULL;
    const int64_t wide = b ? no : pass_cols(no, c->n->in[1]->shape.dim[1], parts);
    for (int64_t j = 0; j < no; j += wide) linear_pass(c, (span){j, j + wide < no ? j + wide : no}, no, b);
    if (!b) columns_packed(c);
}

static size_t linear_dx_scratch(const backend *be, const node *n)
{
    (void)be;
    return pack_scratch(n, true);
}

static int linear_dx_prepare(backend *be, const node *n, void **state, m2m_error *err)
{
    (void)state;
    return reserve_weight(be, n, true, err);
}

static void fast_linear_dx(const call *c)
{
    const int64_t no = shape_last(c->n->in[0]->shape), ni = shape_last(c->n->shape);
    const matrix g = {operand(c, 0), no};
    product p = {.m = shape_rows(c->n->shape), .n = ni, .taps = 1, .depth = no,
                       .b = packed_weight(c, true, c->scratch), .c = c->out, .ldc = ni, .rows = matrix_rows, .ctx = &g};
    product_all(c->be, &p);
}

/* ---- gradients of weights: C_t [O,I] = sum over pixels p of g[p,O] x_t[p,I] ---- */

typedef struct outer_job {
    int64_t pixels, no, ni, taps;
    const float *g;
    /* Pointers to x's pixels first .. first+count-1 as seen through one tap. */
    void (*rows)(const void *ctx, int64_t tap, int64_t first, int64_t count, row_ptr *row);
    const void *ctx;
    float *c;               /* [taps][O][I] */
    float *own;             /* per thread: OUTER_FLOATS */
    int64_t columns, groups, parts;   /* panels of all taps, in groups; parts of the outputs */
} outer_job;

enum {
    OUTER_PIXELS = 256,
    OUTER_ROWS = 6 * TILE_COLS,
    OUTER_FLOATS = OUTER_PIXELS * (OUTER_ROWS + TILE_COLS),
};

/* x's pixels k through a tap, inputs i .. i+TILE_COLS-1, as [pixels][TILE_COLS], zero-padded. */
static void outer_pack_x(const outer_job *p, span k, int64_t tap, int64_t i, float *b)
{
    row_ptr row[OUTER_PIXELS];
    const int64_t count = k.end - k.first, width = p->ni - i < TILE_COLS ? p->ni - i : TILE_COLS;
    p->rows(p->ctx, tap, k.first, count, row);
    for (int64_t at = 0; at < count; at++, b += TILE_COLS) {
        __builtin_prefetch(row[at] + i + TILE_COLS, 0, 2);   /* the next panel's */
        if (width == TILE_COLS) {
            store(b, load(row[at] + i));
            store(b + V, load(row[at] + i + V));
        } else {
            for (int64_t j = 0; j < TILE_COLS; j++) b[j] = j < width ? row[at][i + j] : 0;
        }
    }
}

/* g's pixels k, outputs o, as [panels][pixels][TILE_COLS], zero-padded. */
static void outer_pack_g(const outer_job *p, span k, span o, float *a)
{
    const int64_t whole = o.first + (o.end - o.first) / TILE_COLS * TILE_COLS, step = (k.end - k.first) * TILE_COLS;
    for (int64_t at = k.first; at < k.end; at++, a += TILE_COLS) {
        const float *from = p->g + at * p->no;
        float *to = a;
        for (int64_t r = o.first; r < whole; r += TILE_COLS, to += step) {
            store(to, load(from + r));
            store(to + V, load(from + r + V));
        }
        for (int64_t t = 0; whole < o.end && t < TILE_COLS; t++) to[t] = whole + t < o.end ? from[whole + t] : 0;
    }
}

/* One panel of g against one panel of x, [pixels][TILE_COLS] both: `rows` rows of C. */
static void outer_panel(int64_t depth, const float *a, const float *b, float *c, int64_t ldc, int64_t rows,
                        int64_t cols, bool first)
{
    for (int64_t i = 0; i < rows && i < TILE_COLS;) {
        const int64_t left = rows < TILE_COLS ? rows - i : TILE_COLS - i;
        const tile_job t = {.depth = depth, .a_step = TILE_COLS, .c = c + i * ldc, .ldc = ldc, .rows = left,
                            .cols = cols, .first = first};
        i += tile_columns(&t, a + i, b);
    }
}

/* Outputs o, pixels k, the (tap, panel)s of columns. own: g packed, and x's panel. */
static void outer_block(const outer_job *p, span k, span o, span columns, float *own)
{
    const int64_t panels = (p->ni + TILE_COLS - 1) / TILE_COLS, depth = k.end - k.first;
    float *b = own + OUTER_PIXELS * OUTER_ROWS;
    outer_pack_g(p, k, o, own);
    for (int64_t j = columns.first; j < columns.end; j++) {
        const int64_t tap = j / panels, i = j % panels * TILE_COLS;
        const int64_t width = p->ni - i < TILE_COLS ? p->ni - i : TILE_COLS;
        outer_pack_x(p, k, tap, i, b);
        for (int64_t r = o.first; r < o.end; r += TILE_COLS)
            outer_panel(depth, own + (r - o.first) * depth, b, p->c + (tap * p->no + r) * p->ni + i, p->ni, o.end - r,
                        width, k.first == 0);
    }
}

/* Item: group of (tap, panel)s x part of the outputs. */
static void outer_span(const void *ctx, span s, int worker)
{
    const outer_job *p = ctx;
    for (int64_t item = s.first; item < s.end; item++) {
        const span o = span_of(p->no, TILE_COLS, p->parts, item % p->parts);
        const span columns = span_of(p->columns, 1, p->groups, item / p->parts);
        for (int64_t k = 0; k < p->pixels; k += OUTER_PIXELS)
            outer_block(p, (span){k, k + OUTER_PIXELS < p->pixels ? k + OUTER_PIXELS : p->pixels}, o, columns,
                        p->own + (int64_t)worker * OUTER_FLOATS);
    }
}

static void outer_run(const backend *be, outer_job *p)
{
    p->columns = (p->ni + TILE_COLS - 1) / TILE_COLS * p->taps;
    p->parts = (p->no + OUTER_ROWS - 1) / OUTER_ROWS;
    p->groups = (2 * be->threads + p->parts - 1) / p->parts;   /* more would pack g more often */
    if (p->groups > (p->columns + 1) / 2) p->groups = (p->columns + 1) / 2;
    const double work = (double)p->pixels * (double)p->no * (double)(p->ni * p->taps) / 16;
    run_spans(be, p->groups * p->parts, 1, work / (double)(p->groups * p->parts), outer_span, p);
}

static size_t linear_dw_scratch(const backend *be, const node *n)
{
    (void)n;
    return (size_t)be->threads * OUTER_FLOATS * sizeof(float);
}

static void fast_linear_dw(const call *c)
{
    const shape g = c->n->in[0]->shape;
    const int64_t no = shape_last(g), ni = shape_last(c->n->in[1]->shape);
    const matrix x = {c->in[1], ni};
    outer_job p = {.pixels = shape_rows(g),
                   .no = no,
                   .ni = ni,
                   .taps = 1,
                   .g = c->in[0],
                   .rows = matrix_rows,
                   .ctx = &x,
                   .c = c->out,
                   .own = c->scratch};
    outer_run(c->be, &p);
}
