/* Inception-v3 against pytorch-fid's module (tools/golden/make_inception_golden.py). The 96 MB of weights are made here
 * and there by the same formula and go through a file, as real ones do. */
#include "cpu/cpu.h"
#include "m2m_train.h"
#include "models/inception.h"
#include "scratch_dir.h"
#include "tensor/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 600 };

typedef struct world {
    scratch_dir dir;
    char path[480];
    safetensors_item items[MOST];    /* the state_dict */
    int n;
} world;

static void ok(int status, const m2m_error *err)
{
    if (status) fail_msg("%s", err->msg);
}

/* SplitMix64 of FNV-1a(name) + i, in [-1, 1): make_inception_golden.py's `uniform`. */
static float *uniform(const char *name, int64_t n)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (const char *c = name; *c; c++) h = (h ^ (uint64_t)*c) * 0x100000001B3u;
    float *u = malloc((size_t)n * sizeof *u);
    assert_non_null(u);
    for (int64_t i = 0; i < n; i++) {
        uint64_t z = h += 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        u[i] = (float)((double)((z ^ (z >> 31)) >> 40) * 0x1p-23 - 1);
    }
    return u;
}

static bool ends(const char *name, const char *end)
{
    const size_t a = strlen(name), b = strlen(end);
    return a >= b && !strcmp(name + a - b, end);
}

static void add_item(world *w, const char *name, shape s)
{
    const int64_t n = shape_count(s);
    float *u = uniform(name, n);
    double factor = 0.1, base = 0;
    if (ends(name, "conv.weight")) factor = sqrt(6 / (double)(n / s.dim[0]));
    if (!strcmp(name, "fc.weight")) factor = 1 / sqrt((double)s.dim[1]);
    if (ends(name, "bn.weight") || ends(name, "running_var")) factor = 0.3, base = 1;
    for (int64_t i = 0; i < n; i++) u[i] = (float)(base + factor * u[i]);
    assert_true(w->n < MOST);
    w->items[w->n++] = (safetensors_item){
        .name = strdup(name), .t = {.type = DT_F32, .shape = s, .data = u}, .stored = DT_F32};
}

/* The tensors that the folded parameters come from. */
static void add_tensors_of(world *w, const param *p)
{
    static const char *const norm[] = {"bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"};
    if (ends(p->name, "conv.bias")) return;
    add_item(w, p->name, p->shape);
    if (!ends(p->name, "conv.weight")) return;
    for (int i = 0; i < 4; i++) {
        char name[200];
        snprintf(name, sizeof name, "%.*s%s", (int)(strlen(p->name) - strlen("conv.weight")), p->name, norm[i]);
        add_item(w, name, SHAPE(p->shape.dim[0]));
    }
}

static int set_up(void **state)
{
    m2m_error err;
    static world w;
    inception_model m = {.params = paramset_new(), .classes = 1008};
    inception_graph t;
    assert_int_equal(scratch_dir_make(&w.dir), 0);
    ok(inception_graph_build(&t, &m, 1, INCEPTION_LEAST, INCEPTION_LEAST, &err), &err);
    for (int i = 0; i < paramset_count(m.params); i++) add_tensors_of(&w, paramset_at(m.params, i));
    inception_graph_free(&t);
    paramset_free(m.params);
    static int64_t seen = 7;
    w.items[w.n++] = (safetensors_item){.name = strdup("Conv2d_1a_3x3.bn.num_batches_tracked"),
                                        .t = {.type = DT_I64, .data = memcpy(malloc(sizeof seen), &seen, sizeof seen)},
                                        .stored = DT_I64};
    snprintf(w.path, sizeof w.path, "%s", scratch_dir_file(&w.dir, "model.safetensors"));
    ok(safetensors_save(w.path, w.items, w.n, NULL, 0, &err), &err);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    for (int i = 0; i < w->n; i++) {
        free((char *)w->items[i].name);
        free(w->items[i].t.data);
    }
    scratch_dir_remove_tree(w->dir.path);
    return 0;
}

static double apart(const safetensors *a, const safetensors *b, const char *name)
{
    const tensor *x, *y;
    double d = 0, norm = 0;
    m2m_error err;
    ok(safetensors_need(b, name, NULL, &y, &err), &err);
    ok(safetensors_need(a, name, &y->shape, &x, &err), &err);
    for (int64_t i = 0; i < shape_count(y->shape); i++) {
        const double v = ((float *)x->data)[i], r = ((float *)y->data)[i];
        d += (v - r) * (v - r);
        norm += r * r;
    }
    return sqrt(d / norm);
}

/* logits_unbiased is logits without fc.bias. */
static void check_unbiased(const world *w, const safetensors *out)
{
    const tensor *with = safetensors_find(out, "logits"), *without = safetensors_find(out, "logits_unbiased");
    const float *bias = NULL;
    for (int i = 0; i < w->n; i++)
        if (!strcmp(w->items[i].name, "fc.bias")) bias = w->items[i].t.data;
    assert_true(with && without && bias && shape_equal(with->shape, without->shape));
    for (int i = 0; i < 1008; i++)
        assert_float_equal(((float *)with->data)[i] - bias[i], ((float *)without->data)[i], 1e-5);
}

/* Measured (AVX2, Winograd): 4e-7 to 8e-7 relative L2; asked is 1e-3, 2e-5 would show a wrong padding. */
static void agrees_with_pytorch_fid(void **state)
{
    world *w = *state;
    static const struct { const char *name; shape s; } cases[] = {
        {"usual", {4, {2, 3, 299, 299}}}, {"small_odd", {4, {1, 3, 78, 91}}}};
    for (int i = 0; i < 2; i++) {
        m2m_error err = {0};
        safetensors *mine, *reference;
        char in[480], out[480], golden[480];
        float *u = uniform(cases[i].name, shape_count(cases[i].s));
        const safetensors_item item = {.name = "pixel_values", .t = {.type = DT_F32, .shape = cases[i].s, .data = u},
                                       .stored = DT_F32};
        snprintf(in, sizeof in, "%.400s/in.st", w->dir.path);
        snprintf(out, sizeof out, "%.400s/out.st", w->dir.path);
        snprintf(golden, sizeof golden, TEST_DIR "/golden/inception/%s.safetensors", cases[i].name);
        ok(safetensors_save(in, &item, 1, NULL, 0, &err), &err);
        ok(m2m_forward(w->dir.path, "inception", in, out, 0, 0, 0, 0, "cpu", 2, &err), &err);
        ok(safetensors_open(&mine, out, &err), &err);
        ok(safetensors_open(&reference, golden, &err), &err);
        const double f = apart(mine, reference, "features"), l = apart(mine, reference, "logits");
        print_message("             %s: features %.2g, logits %.2g relative\n", cases[i].name, f, l);
        assert_true(f < 2e-5 && l < 2e-5);
        check_unbiased(w, mine);
        safetensors_close(&mine);
        safetensors_close(&reference);
        free(u);
    }
}

static void refused(world *w, int n, const char *words)
{
    m2m_error err = {0};
    inception_model m;
    ok(safetensors_save(w->path, w->items, n, NULL, 0, &err), &err);
    assert_int_equal(inception_open(&m, w->dir.path, &err), M2M_ESHAPE);
    if (!strstr(err.msg, words)) fail_msg("\"%s\" lacks \"%s\"", err.msg, words);
    assert_null(m.params);
}

static void tensors_are_accounted_for(void **state)
{
    world *w = *state;
    const char *name = w->items[8].name;
    const shape s = w->items[8].t.shape;
    w->items[8].name = "Mixed_5b.unknown";
    refused(w, w->n, "Mixed_5b.unknown is not part of Inception-v3");
    w->items[8].name = name;
    w->items[8].t.shape = SHAPE(1, shape_count(s));
    refused(w, w->n, "wanted floats");
    w->items[8].t.shape = s;
    const safetensors_item last = w->items[8];
    w->items[8] = w->items[w->n - 1];
    refused(w, w->n - 1, "is missing");
    w->items[8] = last;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_pytorch_fid),
        cmocka_unit_test(tensors_are_accounted_for),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
