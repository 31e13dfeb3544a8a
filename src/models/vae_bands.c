#include "models/vae_bands.h"

#include "graph/exec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Features [height, width, channels] in bands of rows (the last may be lower); NULL: one not made yet, or gone. */
typedef struct plane {
    int64_t height, width, channels, rows;
    int count;
    char **band;
} plane;

typedef enum step_kind { UPSAMPLE, FIRST_HALF, SECOND_HALF, OUTPUT } step_kind;

/* A step makes height x width x out channels; all but UPSAMPLE read as many pixels. */
typedef struct step {
    step_kind kind;
    int block, resnet;
    int64_t height, width, in, out, rows;
} step;

struct vae_bands {
    const vae_config *v;
    paramset *params;
    backend *be;
    int height, width;       /* of the latents */
    int first;               /* up_blocks.<first>'s upsampler is the first step */
    int n;
    step *steps;
};

/* The graph of a band of a step: one for each place in the image and height that bands have. */
typedef struct band_graph {
    nn n;
    exec *x;
    node *in;                /* [1, window, W, in] */
    node *stats;             /* [1, groups, 2] of the whole input: mean, 1/std; NULL: no norm */
    node *side;              /* SECOND_HALF: what is added, [1, rows, W, out] */
    node *out;               /* [1, rows, W, out]; OUTPUT: [1, out, rows, W] */
    node *shortcut;          /* FIRST_HALF: [1, rows, W, out], where the channels change */
    node *moments;           /* of out, [1, groups, 2]: mean, variance */
    int64_t rows;
    bool top, bottom;
} band_graph;

typedef struct decode {
    const vae_bands *b;
    plane x, h;              /* the image of features; inside a residual block also its first half */
    band_graph graph;
    void *window;            /* a band's input, with the rows around it */
    size_t window_bytes;
    float *stats;            /* [groups][2] of the last result */
    double *sums;            /* [groups][2]: mean and sum of squares about it, of the bands so far */
    double count;            /* elements of a group so far */
    float *rows;             /* host memory for a band of the image */
    float *image;
} decode;

static int64_t level_width(const vae_config *v, int block) { return v->width[v->blocks - 1 - block]; }

/* The first block whose upsampler makes more than the limit; blocks - 1: none. */
static int first_block(const vae_config *v, int height, int width, const band_limits *limits)
{
    int i = 0;
    for (; i < v->blocks - 1; i++) {
        const size_t pixels = ((size_t)height << (i + 1)) * ((size_t)width << (i + 1));
        if (pixels * (size_t)level_width(v, i) * sizeof(float) > limits->plane) break;
    }
    return i;
}

bool vae_bands_apply(const vae_config *v, int height, int width, const band_limits *limits)
{
    return first_block(v, height, width, limits) < v->blocks - 1;
}

/* ---- planes ---- */

static int64_t band_height(const plane *p, int k)
{
    const int64_t left = p->height - k * p->rows;
    return left < p->rows ? left : p->rows;
}

static size_t row_bytes(const vae_bands *b, const plane *p)
{
    return (size_t)(p->width * p->channels) * b->be->float_size;
}

static int plane_new(plane *p, int64_t height, int64_t width, int64_t channels, int64_t rows, m2m_error *err)
{
    *p = (plane){.height = height, .width = width, .channels = channels, .rows = rows,
                 .count = (int)((height + rows - 1) / rows)};
    p->band = calloc((size_t)p->count, sizeof *p->band);
    return p->band ? 0 : fail(err, M2M_ENOMEM, "no memory for the bands of an image");
}

/* Frees the bands that lie above row `end`. */
static void plane_drop(const vae_bands *b, plane *p, int64_t end)
{
    for (int k = 0; k < p->count && k * p->rows + band_height(p, k) <= end; k++) {
        if (p->band[k]) b->be->free(b->be, p->band[k], (size_t)band_height(p, k) * row_bytes(b, p));
        p->band[k] = NULL;
    }
}

static void plane_free(const vae_bands *b, plane *p)
{
    if (p->band) plane_drop(b, p, p->height);
    free(p->band);
    *p = (plane){0};
}

/* Stores band k, making its memory where there is none. */
static int plane_store(const vae_bands *b, plane *p, int k, const void *from, m2m_error *err)
{
    const size_t bytes = (size_t)band_height(p, k) * row_bytes(b, p);
    if (!p->band[k]) p->band[k] = b->be->alloc(b->be, bytes);
    if (!p->band[k]) return fail(err, M2M_ENOMEM, "no memory for a band of %.1f MiB", (double)bytes / 1048576.0);
    b->be->copy(b->be, p->band[k], from, bytes);
    return 0;
}

static void plane_read(const vae_bands *b, const plane *p, int64_t from, int64_t to, char *out)
{
    const size_t row = row_bytes(b, p);
    while (from < to) {
        const int k = (int)(from / p->rows);
        const int64_t at = from - k * p->rows, left = band_height(p, k) - at, n = to - from < left ? to - from : left;
        b->be->copy(b->be, out, p->band[k] + (size_t)at * row, (size_t)n * row);
        out += (size_t)n * row;
        from += n;
    }
}

/* ---- a band's graph ---- */

typedef struct window {
    int64_t from, to;
} window;

/* The rows of its input that rows [r0, r1) of a step's result depend on. r0 is even. */
static window reads(const step *s, int64_t r0, int64_t r1)
{
    const bool up = s->kind == UPSAMPLE;
    const int64_t height = up ? s->height / 2 : s->height;
    window w = {(up ? r0 / 2 : r0) - 1, (up ? (r1 + 1) / 2 : r1) + 1};
    if (w.from < 0) w.from = 0;
    if (w.to > height) w.to = height;
    return w;
}

static node *upsampled(band_graph *t, const step *s, int64_t r0, int64_t r1, window w)
{
    nn *n = &t->n;
    node *x = resize_nearest(n->g, t->in, 2 * (w.to - w.from), s->width);
    const int64_t from = t->top ? r0 : r0 - 1, to = t->bottom ? r1 : r1 + 1;
    x = slice(n->g, x, 1, from - 2 * w.from, to - from);
    nn_enter(n, "up_blocks.%d", s->block);
    nn_enter(n, "upsamplers.0");
    x = nn_conv_band(n, "conv", x, s->out, t->top, t->bottom);
    return nn_leave(n, nn_leave(n, x));
}

static node *half(band_graph *t, const vae_config *v, const step *s, int64_t r0, int64_t r1, window w)
{
    nn *n = &t->n;
    const bool second = s->kind == SECOND_HALF;
    nn_enter(n, "up_blocks.%d", s->block);
    nn_enter(n, "resnets.%d", s->resnet);
    node *h = nn_group_norm_band(n, second ? "norm2" : "norm1", t->in, t->stats, v->groups);
    h = nn_conv_band(n, second ? "conv2" : "conv1", h, s->out, t->top, t->bottom);
    if (second) h = add(n->g, h, t->side);
    else if (s->in != s->out)
        t->shortcut = nn_conv(n, "conv_shortcut", slice(n->g, t->in, 1, r0 - w.from, r1 - r0), s->out, 1, 1, 0);
    return nn_leave(n, nn_leave(n, h));
}

static void band_graph_free(band_graph *t)
{
    exec_free(t->x);
    nn_end(&t->n);
    *t = (band_graph){0};
}

static int band_graph_build(band_graph *t, const vae_bands *b, const step *s, int64_t r0, int64_t r1, m2m_error *err)
{
    const vae_config *v = b->v;
    const window w = reads(s, r0, r1);
    band_graph_free(t);
    t->rows = r1 - r0;
    t->top = r0 == 0;
    t->bottom = r1 == s->height;
    int status = nn_begin(&t->n, b->params, err);
    if (status) return status;
    graph *g = t->n.g;
    const int64_t width = s->kind == UPSAMPLE ? s->width / 2 : s->width;
    t->in = graph_input(g, "band", DT_F32, SHAPE(1, w.to - w.from, width, s->in));
    if (s->kind != UPSAMPLE) t->stats = graph_input(g, "statistics", DT_F32, SHAPE(1, v->groups, 2));
    if (s->kind == SECOND_HALF) t->side = graph_input(g, "side", DT_F32, SHAPE(1, r1 - r0, width, s->out));
    nn_enter(&t->n, "decoder");
    if (s->kind == UPSAMPLE) t->out = upsampled(t, s, r0, r1, w);
    else if (s->kind != OUTPUT) t->out = half(t, v, s, r0, r1, w);
    else {
        node *x = nn_group_norm_band(&t->n, "conv_norm_out", t->in, t->stats, v->groups);
        t->out = to_channels_first(g, nn_conv_band(&t->n, "conv_out", x, s->out, t->top, t->bottom));
    }
    if (s->kind != OUTPUT) t->moments = group_stats_op(g, t->out, v->groups);
    nn_leave(&t->n, NULL);
    status = nn_finish(&t->n, err);
    if (status) return status;
    node *outputs[3] = {t->out};
    int n = 1;
    if (t->moments) outputs[n++] = t->moments;
    if (t->shortcut) outputs[n++] = t->shortcut;
    t->x = exec_new(g, b->be, outputs, n, err);
    return t->x ? 0 : M2M_ENOMEM;
}

/* ---- the steps ---- */

static step *add_step(vae_bands *b, step_kind kind, int block, int64_t in, int64_t out, const band_limits *limits)
{
    const int level = kind == UPSAMPLE ? block + 1 : block;
    step *s = &b->steps[b->n++];
    *s = (step){.kind = kind, .block = block, .height = (int64_t)b->height << level,
                .width = (int64_t)b->width << level, .in = in, .out = out};
    /* a level's planes have bands of one height, by its widest; multiples of 4 keep Winograd's tiles where they were */
    const int64_t widest = level_width(b->v, level - 1) > level_width(b->v, level) ? level_width(b->v, level - 1)
                                                                                  : level_width(b->v, level);
    s->rows = (int64_t)(limits->band / ((size_t)(s->width * widest) * sizeof(float))) / 4 * 4;
    if (s->rows < 4) s->rows = 4;
    return s;
}

static void list_steps(vae_bands *b, const band_limits *limits)
{
    const vae_config *v = b->v;
    for (int block = b->first; block < v->blocks - 1; block++) {
        int64_t in = level_width(v, block), out = level_width(v, block + 1);
        add_step(b, UPSAMPLE, block, in, in, limits);
        for (int j = 0; j <= v->layers; j++) {
            add_step(b, FIRST_HALF, block + 1, in, out, limits)->resnet = j;
            add_step(b, SECOND_HALF, block + 1, out, out, limits)->resnet = j;
            in = out;
        }
    }
    add_step(b, OUTPUT, v->blocks - 1, v->width[0], v->out_channels, limits);
}

vae_bands *vae_bands_new(const vae_config *v, paramset *params, backend *be, int height, int width,
                         const band_limits *limits, m2m_error *err)
{
    check(vae_bands_apply(v, height, width, limits), "bands where none are wanted");
    vae_bands *b = calloc(1, sizeof *b);
    if (b) b->steps = calloc((size_t)(v->blocks * (2 * v->layers + 3) + 1), sizeof *b->steps);
    if (!b || !b->steps) {
        free(b);
        return fail(err, M2M_ENOMEM, "no memory for the VAE's bands"), NULL;
    }
    b->v = v;
    b->params = params;
    b->be = be;
    b->height = height;
    b->width = width;
    b->first = first_block(v, height, width, limits);
    list_steps(b, limits);
    return b;
}

void vae_bands_free(vae_bands *b)
{
    if (!b) return;
    free(b->steps);
    free(b);
}

/* ---- running ---- */

/* Joins a band's mean and variance into those of the bands before it (Chan, Golub, LeVeque). */
static void join_moments(decode *d, const float *moments, double count)
{
    const double all = d->count + count;
    for (int g = 0; g < d->b->v->groups; g++) {
        double *sum = d->sums + 2 * g;
        const double off = moments[2 * g] - sum[0];
        sum[0] += off * count / all;
        sum[1] += count * moments[2 * g + 1] + off * off * d->count * count / all;
    }
    d->count = all;
}

static void finish_stats(decode *d)
{
    for (int g = 0; g < d->b->v->groups; g++) {
        d->stats[2 * g] = (float)d->sums[2 * g];
        d->stats[2 * g + 1] = (float)(1 / sqrt(d->sums[2 * g + 1] / d->count + VAE_EPS));
    }
}

static int bind_band(decode *d, const step *s, const plane *in, int64_t r0, int64_t r1, m2m_error *err)
{
    const vae_bands *b = d->b;
    const window w = reads(s, r0, r1);
    const size_t bytes = (size_t)(w.to - w.from) * row_bytes(b, in);
    if (bytes > d->window_bytes) {
        if (d->window) b->be->free(b->be, d->window, d->window_bytes);
        d->window = b->be->alloc(b->be, bytes);
        d->window_bytes = d->window ? bytes : 0;
        if (!d->window) return fail(err, M2M_ENOMEM, "no memory for a band of %.1f MiB", (double)bytes / 1048576.0);
    }
    plane_read(b, in, w.from, w.to, d->window);
    exec_bind(d->graph.x, d->graph.in, d->window);
    return d->graph.stats ? exec_write(d->graph.x, d->graph.stats, d->stats, err) : 0;
}

/* A band [1, C, rows, W] of the image to its place. */
static int store_pixels(decode *d, const step *s, int64_t r0, int64_t rows, m2m_error *err)
{
    const size_t band = (size_t)(rows * s->width);
    if (!d->rows) d->rows = malloc((size_t)(s->rows * s->width * s->out) * sizeof *d->rows);
    if (!d->rows) return fail(err, M2M_ENOMEM, "no memory for rows of an image");
    exec_read(d->graph.x, d->graph.out, d->rows);
    for (int64_t c = 0; c < s->out; c++)
        memcpy(d->image + (c * s->height + r0) * s->width, d->rows + (size_t)c * band, band * sizeof *d->rows);
    return 0;
}

/* Band k of a step. in: what it reads with the rows around; out: where its result goes, for SECOND_HALF onto what is
 * added; shortcut: where FIRST_HALF's goes, or NULL. */
static int run_band(decode *d, const step *s, int k, const plane *in, plane *out, plane *shortcut, m2m_error *err)
{
    band_graph *t = &d->graph;
    const int64_t r0 = k * s->rows, r1 = r0 + s->rows < s->height ? r0 + s->rows : s->height;
    int status = 0;
    if (!t->x || t->rows != r1 - r0 || t->top != (r0 == 0) || t->bottom != (r1 == s->height))
        status = band_graph_build(t, d->b, s, r0, r1, err);
    if (!status) status = bind_band(d, s, in, r0, r1, err);
    if (!status && t->side) exec_bind(t->x, t->side, out->band[k]);
    if (!status) status = exec_run(t->x, err);
    if (status || s->kind == OUTPUT) return status ? status : store_pixels(d, s, r0, r1 - r0, err);
    float *moments = malloc(2 * (size_t)d->b->v->groups * sizeof *moments);
    if (!moments) return fail(err, M2M_ENOMEM, "no memory for statistics");
    exec_read(t->x, t->moments, moments);
    join_moments(d, moments, (double)((r1 - r0) * s->width * s->out / d->b->v->groups));
    free(moments);
    status = plane_store(d->b, out, k, exec_output(t->x, t->out), err);
    if (!status && shortcut) status = plane_store(d->b, shortcut, k, exec_output(t->x, t->shortcut), err);
    return status;
}

static int run_step(decode *d, const step *s, m2m_error *err)
{
    const vae_bands *b = d->b;
    plane made = {0}, shortcut = {0};
    const bool widens = s->kind == FIRST_HALF && s->in != s->out, second = s->kind == SECOND_HALF;
    plane *in = second ? &d->h : &d->x, *out = second ? &d->x : &made;
    int status = 0;
    if (!second && s->kind != OUTPUT) status = plane_new(&made, s->height, s->width, s->out, s->rows, err);
    if (!status && widens) status = plane_new(&shortcut, s->height, s->width, s->out, s->rows, err);
    memset(d->sums, 0, 2 * (size_t)b->v->groups * sizeof *d->sums);
    d->count = 0;
    for (int k = 0; k * s->rows < s->height && !status; k++) {
        status = run_band(d, s, k, in, out, widens ? &shortcut : NULL, err);
        const int64_t next = (k + 1) * s->rows;
        if (s->kind != FIRST_HALF || widens) plane_drop(b, in, (s->kind == UPSAMPLE ? next / 2 : next) - 1);
    }
    band_graph_free(&d->graph);
    finish_stats(d);
    if (second) plane_free(b, &d->h);
    else if (s->kind == FIRST_HALF) d->h = made;
    if (widens || s->kind == UPSAMPLE) {
        plane_free(b, &d->x);
        d->x = widens ? shortcut : made;
    }
    return status;
}

/* The levels before the first step, at once. */
static int run_head(decode *d, const float *latents, size_t *bytes, m2m_error *err)
{
    const vae_bands *b = d->b;
    nn n;
    int status = nn_begin(&n, b->params, err);
    if (status) return status;
    node *in = graph_input(n.g, "latents", DT_F32, SHAPE(1, b->v->latent_channels, b->height, b->width));
    node *out = vae_decode_head(&n, b->v, to_channels_last(n.g, in), b->first);
    status = nn_finish(&n, err);
    exec *x = status ? NULL : exec_new(n.g, b->be, &out, 1, err);
    if (!status && !x) status = M2M_ENOMEM;
    if (x && bytes) *bytes = exec_bytes(x);
    if (x && latents) {
        status = exec_write(x, in, latents, err);
        if (!status) status = exec_run(x, err);
        const shape s = out->shape;
        if (!status) status = plane_new(&d->x, s.dim[1], s.dim[2], s.dim[3], s.dim[1], err);
        if (!status) status = plane_store(b, &d->x, 0, exec_output(x, out), err);
    }
    exec_free(x);
    nn_end(&n);
    return status;
}

int vae_bands_decode(const vae_bands *b, const float *latents, float *image, m2m_error *err)
{
    decode d = {.b = b, .image = image};
    d.stats = calloc(2 * (size_t)b->v->groups, sizeof *d.stats);
    d.sums = calloc(2 * (size_t)b->v->groups, sizeof *d.sums);
    int status = d.stats && d.sums ? 0 : fail(err, M2M_ENOMEM, "no memory for statistics");
    if (!status) status = run_head(&d, latents, NULL, err);
    for (int i = 0; i < b->n && !status; i++) status = run_step(&d, &b->steps[i], err);
    plane_free(b, &d.x);
    plane_free(b, &d.h);
    if (d.window) b->be->free(b->be, d.window, d.window_bytes);
    free(d.stats);
    free(d.sums);
    free(d.rows);
    return status;
}

/* Planned, not run: what is alive in a step's middle, where its input goes as its result comes. */
static size_t step_bytes(const vae_bands *b, const step *s)
{
    band_graph t = {0};
    m2m_error err;
    const int64_t r0 = s->rows < s->height ? s->rows : 0, r1 = r0 + s->rows < s->height ? r0 + s->rows : s->height;
    const window w = reads(s, r0, r1);
    const size_t f = b->be->float_size, pixels = (size_t)(s->height * s->width);
    size_t most = band_graph_build(&t, b, s, r0, r1, &err) ? (size_t)-1 : exec_bytes(t.x);
    band_graph_free(&t);
    if (most == (size_t)-1) return most;
    const size_t in = pixels * (size_t)s->in * f / (s->kind == UPSAMPLE ? 4 : 1), out = pixels * (size_t)s->out * f;
    const bool widens = s->kind == FIRST_HALF && s->in != s->out;
    const size_t made = s->kind == OUTPUT ? 0 : widens ? 2 * out : out, band = (size_t)(s->rows * s->width) * f;
    most += (size_t)((w.to - w.from) * s->width * s->in) * f;                     /* the window */
    if (s->kind == UPSAMPLE || widens) return most + (in > made ? in : made) + 2 * band * (size_t)(s->in + s->out);
    return most + in + made;
}

size_t vae_bands_bytes(const vae_bands *b)
{
    decode d = {.b = b};
    m2m_error err;
    size_t most = 0;
    if (run_head(&d, NULL, &most, &err)) return (size_t)-1;
    const size_t side = (size_t)(b->height << b->first) * (size_t)(b->width << b->first);
    most += side * (size_t)level_width(b->v, b->first) * b->be->float_size;
    for (int i = 0; i < b->n; i++) {
        const size_t bytes = step_bytes(b, &b->steps[i]);
        if (bytes > most) most = bytes;
    }
    return most;
}
