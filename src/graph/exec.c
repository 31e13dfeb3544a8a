/* The executor: which nodes the outputs need, where each result lives, and the loop over kernels.
 *
 * A node's storage is its own block, or another node's: reshape is a view of its input, and an in-place kernel writes
 * over its first input when nothing else needs it any more. A node that a single other one reads has none where its
 * kernel computes both. */
#include "graph/exec.h"

#include "graph/plan.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct slot {
    bool needed;
    bool output;
    int root;             /* id of the node whose block this one uses */
    int last;             /* last step that reads the block (roots) */
    int with;             /* the node that one kernel computes with this one: see fuse; -1 = none */
    int block;            /* index into blocks (roots with planned memory), else -1 */
    bool external;        /* lives in the caller's memory, */
    const void *bound;    /* which is here */
    void *own;            /* exec_write's memory */
    size_t own_bytes;
    void *state;          /* kernel->prepare */
    bool prepared;
} slot;

struct exec {
    graph *g;
    backend *be;
    slot *slots;          /* [count] */
    int count;
    block *blocks;
    int n_blocks;
    bool planned;
    size_t bytes;
    int *scratch;         /* [count] block of a node's scratch, -1 = none */
    char *memory;
    bool profile;
    node_time *times;     /* [count] */
};

static size_t node_bytes(const exec *x, const node *n)
{
    return (size_t)shape_count(n->shape) * (n->type == DT_I32 ? sizeof(int32_t) : x->be->float_size);
}

static bool is_leaf(const node *n) { return n->op == OP_INPUT || n->op == OP_PARAM || n->op == OP_FILL; }
static bool runs(const node *n) { return !is_leaf(n) && n->op != OP_PART && n->op != OP_reshape; }

static int mark_needed(exec *x, node *const *outputs, int n, m2m_error *err)
{
    for (int i = 0; i < n; i++) {
        x->slots[outputs[i]->id].needed = true;
        x->slots[outputs[i]->id].output = true;
    }
    for (int id = x->count - 1; id >= 0; id--) {
        const node *v = graph_node(x->g, id);
        if (!x->slots[id].needed) continue;
        if (runs(v) && !x->be->kernels[v->op].run)
            return fail(err, M2M_EUNSUPPORTED, "op %s has no kernel on backend %s", op_name(v->op), x->be->name);
        for (int k = 0; k < v->n_in; k++)
            if (v->in[k]) x->slots[v->in[k]->id].needed = true;
    }
    return 0;
}

exec *exec_new(graph *g, backend *be, node *const *outputs, int n, m2m_error *err)
{
    if (graph_error(g, err)) return NULL;
    exec *x = calloc(1, sizeof *x);
    if (x) {
        x->g = g;
        x->be = be;
        x->count = graph_size(g);
        x->slots = calloc((size_t)x->count, sizeof *x->slots);
        x->scratch = calloc((size_t)x->count, sizeof *x->scratch);
        x->blocks = calloc(2 * (size_t)x->count, sizeof *x->blocks);
    }
    if (!x || !x->slots || !x->scratch || !x->blocks) {
        fail(err, M2M_ENOMEM, "no memory for the plan of %d graph nodes", graph_size(g));
        exec_free(x);
        return NULL;
    }
    if (mark_needed(x, outputs, n, err)) {
        exec_free(x);
        return NULL;
    }
    return x;
}

void exec_free(exec *x)
{
    if (!x) return;
    for (int id = 0; x->slots && id < x->count; id++) {
        slot *s = &x->slots[id];
        const kernel *k = &x->be->kernels[graph_node(x->g, id)->op];
        if (s->prepared && k->release) k->release(s->state);
        if (s->own) x->be->free(x->be, s->own, s->own_bytes);
    }
    if (x->memory) x->be->free(x->be, x->memory, x->bytes);
    free(x->slots);
    free(x->scratch);
    free(x->blocks);
    free(x->times);
    free(x);
}

/* ---- planning ---- */

static void view_roots(exec *x)
{
    for (int id = 0; id < x->count; id++) {
        const node *v = graph_node(x->g, id);
        slot *s = &x->slots[id];
        s->root = v->op == OP_reshape ? x->slots[v->in[0]->id].root : id;
        s->last = id;
        s->block = x->scratch[id] = s->with = -1;
    }
}

/* See fuse. */
static bool leads(const exec *x, int id) { return x->slots[id].with > id; }
static bool follows(const exec *x, int id) { return x->slots[id].with >= 0 && x->slots[id].with < id; }

/* How many needed nodes read each one. NULL: no memory, then nothing is fused. */
static int *count_readers(const exec *x)
{
    int *readers = calloc((size_t)x->count, sizeof *readers);
    for (int id = 0; readers && id < x->count; id++) {
        const node *v = graph_node(x->g, id);
        for (int k = 0; x->slots[id].needed && k < v->n_in; k++)
            if (v->in[k]) readers[v->in[k]->id]++;
    }
    return readers;
}

/* Pairs each node with its first input where the input's kernel computes both: the input leads, the node follows. */
static void fuse(exec *x)
{
    int *readers = count_readers(x);
    for (int id = 0; readers && id < x->count; id++) {
        const node *v = graph_node(x->g, id), *u = v->n_in ? v->in[0] : NULL;
        if (!x->slots[id].needed || !runs(v) || !u || !runs(u) || follows(x, u->id)) continue;
        const kernel *k = &x->be->kernels[u->op];
        if (!k->fuses || x->slots[u->id].output || readers[u->id] != 1) continue;
        if (k->fuses(x->be, u, v) == SIZE_MAX) continue;
        x->slots[id].with = u->id;
        x->slots[u->id].with = id;
    }
    free(readers);
}

/* When node id is computed. */
static int step_of(const exec *x, int id) { return leads(x, id) ? x->slots[id].with : id; }

static void last_uses(exec *x)
{
    for (int id = 0; id < x->count; id++) {
        const node *v = graph_node(x->g, id);
        slot *s = &x->slots[id];
        if (!s->needed) continue;
        for (int k = 0; k < v->n_in; k++)
            if (v->in[k] && v->op != OP_PART) {
                slot *r = &x->slots[x->slots[v->in[k]->id].root];
                if (step_of(x, id) > r->last) r->last = step_of(x, id);
            }
        if (s->output) x->slots[s->root].last = x->count;
    }
}

/* May v's kernel write over its first input? */
static bool can_overwrite(const exec *x, const node *v)
{
    if (!x->be->kernels[v->op].in_place) return false;
    const node *first = v->in[0];
    int root = x->slots[first->id].root, id = v->id;
    if (is_leaf(graph_node(x->g, root)) || x->slots[root].last != id || x->slots[id].external ||
        x->slots[root].external)
        return false;
    if (node_bytes(x, first) != node_bytes(x, v) || node_bytes(x, graph_node(x->g, root)) != node_bytes(x, v))
        return false;
    for (int k = 1; k < v->n_in; k++)
        if (v->in[k] && x->slots[v->in[k]->id].root == root && !shape_equal(v->in[k]->shape, first->shape))
            return false;
    return true;
}

/* Reshapes made of an overwritten node follow it, because views are resolved again in creation order. */
static void share_in_place(exec *x)
{
    for (int id = 0; id < x->count; id++) {
        const node *v = graph_node(x->g, id);
        slot *s = &x->slots[id];
        if (!s->needed) continue;
        if (v->op == OP_reshape) s->root = x->slots[v->in[0]->id].root;
        else if (runs(v) && can_overwrite(x, v)) {
            int root = x->slots[v->in[0]->id].root;
            x->slots[root].last = s->last;
            s->root = root;
        }
    }
}

static int new_block(exec *x, size_t bytes, int first, int last)
{
    x->blocks[x->n_blocks] = (block){.bytes = bytes ? bytes : 1, .first = first, .last = last};
    return x->n_blocks++;
}

static void make_blocks(exec *x)
{
    for (int id = 0; id < x->count; id++) {
        const node *v = graph_node(x->g, id);
        slot *s = &x->slots[id];
        if (!s->needed || s->root != id || v->op == OP_INPUT || v->op == OP_PARAM || s->external || leads(x, id))
            continue;
        int first = v->op == OP_FILL ? 0 : v->op == OP_PART ? v->in[0]->id : id;
        s->block = new_block(x, node_bytes(x, v), first, v->op == OP_FILL ? x->count : s->last);
    }
    for (int id = 0; id < x->count; id++) {
        const node *v = graph_node(x->g, id);
        const kernel *k = &x->be->kernels[v->op];
        if (!x->slots[id].needed || !runs(v) || follows(x, id) || (!k->scratch && !leads(x, id))) continue;
        const int step = step_of(x, id);
        size_t bytes = leads(x, id) ? k->fuses(x->be, v, graph_node(x->g, step)) : k->scratch(x->be, v);
        if (bytes) x->scratch[id] = new_block(x, bytes, step, step);
    }
}

static void plan(exec *x)
{
    if (x->planned) return;
    view_roots(x);
    fuse(x);
    last_uses(x);
    share_in_place(x);
    make_blocks(x);
    x->bytes = plan_blocks(x->blocks, x->n_blocks);
    x->planned = true;
}

size_t exec_bytes(const exec *x)
{
    plan((exec *)x);   /* planning changes no answer, only when it is known */
    return x->bytes;
}

size_t exec_bytes_bound(const exec *x)
{
    plan((exec *)x);
    return plan_bound(x->blocks, x->n_blocks);
}

/* ---- memory ---- */

static void *place(const exec *x, const node *n)
{
    const slot *s = &x->slots[x->slots[n->id].root];
    if (s->bound) return (void *)s->bound;
    if (s->own) return s->own;
    return s->block < 0 ? NULL : x->memory + x->blocks[s->block].offset;
}

static void fill(exec *x, const node *n)
{
    int64_t count = shape_count(n->shape);
    char *host = malloc(node_bytes(x, n));
    if (!host) return;
    for (int64_t i = 0; i < count; i++) {
        if (x->be->float_size == sizeof(double)) ((double *)host)[i] = n->attr.alpha;
        else ((float *)host)[i] = n->attr.alpha;
    }
    x->be->upload(x->be, place(x, n), host, node_bytes(x, n));
    free(host);
}

int exec_alloc(exec *x, m2m_error *err)
{
    plan(x);
    if (x->memory) return 0;
    if (x->bytes == (size_t)-1) return fail(err, M2M_ENOMEM, "no memory for planning %d blocks", x->n_blocks);
    x->memory = x->be->alloc(x->be, x->bytes ? x->bytes : 64);
    if (!x->memory)
        return fail(err, M2M_ENOMEM, "activations need %.1f MiB, which %s can't give", (double)x->bytes / 1048576.0,
                    x->be->name);
    for (int id = 0; id < x->count; id++) {
        const node *v = graph_node(x->g, id);
        slot *s = &x->slots[id];
        const kernel *k = &x->be->kernels[v->op];
        if (!s->needed) continue;
        if (v->op == OP_FILL) fill(x, v);
        if (!runs(v) || !k->prepare) continue;
        int status = k->prepare(x->be, v, &s->state, err);
        if (status) return status;
        s->prepared = true;
    }
    return 0;
}

void exec_bind(exec *x, const node *input, const void *memory)
{
    check(input->op == OP_INPUT, "exec_bind of a %s", op_name(input->op));
    x->slots[input->id].bound = memory;
}

bool exec_bind_output(exec *x, const node *output, void *memory)
{
    slot *s = &x->slots[output->id];
    check(s->output, "node %d is not an output", output->id);
    if (!runs(output)) return false;
    check(s->external || !x->planned, "outputs are bound before planning");
    s->external = true;
    s->bound = memory;
    return true;
}

static int write_input(exec *x, const node *input, const void *data, m2m_error *err)
{
    slot *s = &x->slots[input->id];
    s->own_bytes = node_bytes(x, input);
    if (!s->own) s->own = x->be->alloc(x->be, s->own_bytes);
    if (!s->own) return fail(err, M2M_ENOMEM, "input %s: no memory for %zu bytes", input->name, s->own_bytes);
    s->bound = NULL;
    x->be->upload(x->be, s->own, data, s->own_bytes);
    return 0;
}

int exec_write(exec *x, const node *input, const float *host, m2m_error *err)
{
    check(input->op == OP_INPUT && input->type == DT_F32, "exec_write of a %s", op_name(input->op));
    if (x->be->float_size == sizeof(float)) return write_input(x, input, host, err);
    int64_t n = shape_count(input->shape);
    double *wide = malloc((size_t)n * sizeof *wide);
    if (!wide) return fail(err, M2M_ENOMEM, "input %s: no memory for %lld doubles", input->name, (long long)n);
    for (int64_t i = 0; i < n; i++) wide[i] = host[i];
    int status = write_input(x, input, wide, err);
    free(wide);
    return status;
}

int exec_write_i32(exec *x, const node *input, const int32_t *host, m2m_error *err)
{
    check(input->op == OP_INPUT && input->type == DT_I32, "exec_write_i32 of a %s", op_name(input->op));
    return write_input(x, input, host, err);
}

const void *exec_output(const exec *x, const node *output)
{
    check(x->slots[output->id].output, "node %d is not an output", output->id);
    return output->op == OP_PARAM ? x->be->param_data(x->be, output->param) : place(x, output);
}

void exec_read(const exec *x, const node *output, float *host)
{
    const void *src = exec_output(x, output);
    int64_t n = shape_count(output->shape);
    if (x->be->float_size == sizeof(float)) {
        x->be->download(x->be, host, src, (size_t)n * sizeof *host);
        return;
    }
    for (int64_t i = 0; i < n; i++) host[i] = (float)((const double *)src)[i];
}

/* ---- running ---- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int input_of(exec *x, const node *n, bool packs, const void **at, m2m_error *err)
{
    if (n->op == OP_PARAM) {
        if (!n->param->data) return fail(err, M2M_ESHAPE, "parameter %s was never filled", n->param->name);
        *at = packs ? NULL : x->be->param_data(x->be, n->param);
        if (*at || packs) return 0;
        return fail(err, M2M_ENOMEM, "parameter %s: no memory for its conversion", n->param->name);
    }
    *at = place(x, n);
    check(*at, "input %s of the graph is not bound", n->name ? n->name : op_name(n->op));
    return 0;
}

/* Node v, and the one that follows it unless that is NULL. */
static int run_node(exec *x, const node *v, const node *then, m2m_error *err)
{
    const slot *s = &x->slots[v->id];
    call c = {.be = x->be, .n = v, .out = place(x, then ? then : v), .state = s->state, .then = then};
    for (int k = 0; k < v->n_in; k++) {
        if (!v->in[k]) continue;
        const node *root = graph_node(x->g, x->slots[v->in[k]->id].root);
        if (root->op == OP_PARAM) c.weight[k] = root->param;
        int status = input_of(x, root, x->be->kernels[v->op].packs, &c.in[k], err);
        if (status) return status;
    }
    for (int k = 0; k < MAX_PARTS; k++)
        if (v->part[k] && x->slots[v->part[k]->id].needed) c.part[k] = place(x, v->part[k]);
    check(c.out, "output %d is not bound", v->id);
    if (x->scratch[v->id] >= 0) c.scratch = x->memory + x->blocks[x->scratch[v->id]].offset;
    x->be->kernels[v->op].run(&c);
    return 0;
}

int exec_run(exec *x, m2m_error *err)
{
    int status = exec_alloc(x, err);
    for (int id = 0; id < x->count && !status; id++) {
        const node *v = graph_node(x->g, id);
        if (!x->slots[id].needed || !runs(v) || leads(x, id)) continue;
        const node *then = follows(x, id) ? v : NULL;
        if (then) v = graph_node(x->g, x->slots[id].with);
        if (!x->profile) {
            status = run_node(x, v, then, err);
            continue;
        }
        double start = seconds();
        status = run_node(x, v, then, err);
        x->times[v->id].seconds += seconds() - start;
        x->times[v->id].calls++;
    }
    return status;
}

void exec_profile(exec *x, bool on)
{
    if (!x->times) x->times = calloc((size_t)x->count, sizeof *x->times);
    x->profile = on && x->times;
    if (x->profile) memset(x->times, 0, (size_t)x->count * sizeof *x->times);
}

const node_time *exec_times(const exec *x) { return x->times; }
const graph *exec_graph(const exec *x) { return x->g; }

double graph_flops(const graph *g)
{
    double sum = 0;
    for (int i = 0; i < graph_size(g); i++) sum += node_flops(graph_node(g, i));
    return sum;
}

double node_work(const backend *be, const node *n)
{
    const kernel *k = &be->kernels[n->op];
    return k->work ? k->work(be, n) : node_flops(n);
}

double node_tiles(const backend *be, const node *n)
{
    const kernel *k = &be->kernels[n->op];
    return k->tiles ? k->tiles(be, n) : 0;
}

double node_flops(const node *n)
{
    double out = (double)shape_count(n->shape);
    switch (n->op) {
    case OP_linear: return 2.0 * out * (double)shape_last(n->in[0]->shape);
    case OP_linear_dx: return 2.0 * out * (double)shape_last(n->in[0]->shape);
    case OP_linear_dw: return 2.0 * out * (double)shape_rows(n->in[0]->shape);
    case OP_conv2d: return 2.0 * out * (double)(shape_count(n->in[1]->shape) / n->shape.dim[3]);
    case OP_conv2d_dx: return 2.0 * (double)shape_count(n->in[0]->shape) *
                              (double)(shape_count(n->in[1]->shape) / n->in[1]->shape.dim[0]);
    case OP_conv2d_dw: return 2.0 * (double)shape_rows(n->in[0]->shape) * out;
    case OP_attention: return 4.0 * out * (double)n->in[1]->shape.dim[1];
    case OP_attention_grad: return 10.0 * out * (double)n->in[1]->shape.dim[1];
    default: return 0.0;
    }
}
