/* What saves memory changes no bit of a step: gradients written where they are summed, parameters that backends keep no
 * copies of, and moments and average in a file, against the plain way. On M2M-Self's graph. */
#include "base/rng.h"
#include "cpu/cpu.h"
#include "models/component.h"
#include "models/m2m.h"
#include "train/modeldir.h"
#include "train/optimizer.h"
#include "scratch_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 4, IMAGES = 2, FLOATS = IMAGES * 4 * SIDE * SIDE, STEPS = 3 };

typedef struct run {
    unet_model m;
    backend *be;
    train_graph g;
    exec *x;
    optimizer *o;
    size_t plan;             /* bytes */
} run;

typedef struct way {
    bool prepared, bound;
    const char *offload, *only;
} way;

static void ok(int status, const m2m_error *err)
{
    if (status) fail_msg("%s", err->msg);
}

static void write_inputs(run *r, m2m_error *err)
{
    float x[FLOATS], times[2 * IMAGES] = {0, 0, 300, 300};
    rng_normal(1, RNG_NOISE, 0, x, FLOATS);
    ok(exec_write(r->x, r->g.context, x, err), err);
    rng_normal(1, RNG_NOISE, 1, x, FLOATS);
    ok(exec_write(r->x, r->g.noisy, x, err), err);
    rng_normal(1, RNG_NOISE, 2, x, FLOATS);
    ok(exec_write(r->x, r->g.target, x, err), err);
    ok(exec_write(r->x, r->g.timesteps, times, err), err);
    ok(train_graph_write_lens(&r->g, r->x, err), err);
}

static void start(run *r, const way *w)
{
    m2m_error err;
    train_shape s = {.sets = 1, .images = IMAGES, .draws = 1, .height = SIDE, .width = SIDE};
    optimizer_options o = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01, .clip = 1,
                           .ema_decay = 0.99, .accumulate = 1, .offload = w->offload};
    *r = (run){0};
    ok(unet_model_open(&r->m, TEST_DIR "/golden/models/m2m_self", true, &err), &err);
    paramset *params = r->m.params;
    if (w->prepared) ok(params_prepare(params, 0, w->only, &err), &err);
    for (int i = 0; !w->prepared && i < paramset_count(params); i++)
        ok(param_own_f32(paramset_at(params, i), &err), &err);
    r->be = backend_cpu_open(2, NULL, &err);
    assert_non_null(r->be);
    ok(train_graph_build(&r->g, &r->m.config, params, &s, true, true, &err), &err);
    r->x = task_exec(r->g.g, r->be, &r->g.loss, 1, params, r->g.grads, &err);
    assert_non_null(r->x);
    if (w->bound) optimizer_claim(params, &o, r->x, r->g.grads);
    r->plan = exec_bytes(r->x);
    r->o = optimizer_new(params, r->be, &o, &err);
    if (!r->o) fail_msg("%s", err.msg);
    if (w->bound) optimizer_bind(r->o, r->x, r->g.grads);
    write_inputs(r, &err);
    for (int k = 0; k < STEPS; k++) {
        float loss;
        ok(exec_run(r->x, &err), &err);
        exec_read(r->x, r->g.loss, &loss);
        optimizer_add(r->o, r->x, r->g.grads);
        assert_false(optimizer_step(r->o, 1e-3, loss).skipped);
    }
}

static void end(run *r)
{
    exec_free(r->x);
    optimizer_free(r->o);
    train_graph_free(&r->g);
    unet_model_close(&r->m);
    r->be->close(r->be);
}

static void same(const float *a, const float *b, const param *p, const char *what)
{
    if (memcmp(a, b, (size_t)shape_count(p->shape) * sizeof *a)) fail_msg("%s of %s differs", what, p->name);
}

static void same_state(const run *a, const run *b)
{
    static const struct { optimizer_part part; const char *name; } parts[] = {
        {OPTIMIZER_M, "exp_avg"}, {OPTIMIZER_V, "exp_avg_sq"}, {OPTIMIZER_EMA, "average"}};
    for (int i = 0; i < paramset_count(a->m.params); i++) {
        const param *p = paramset_at(a->m.params, i);
        same(p->data, paramset_at(b->m.params, i)->data, p, "value");
        for (int k = 0; k < 3; k++)
            same(optimizer_data(a->o, parts[k].part, i), optimizer_data(b->o, parts[k].part, i), p, parts[k].name);
    }
}

static void gradients_need_no_copy(void **state)
{
    run *plain = *state, copied, r;
    start(&copied, &(way){.prepared = true});
    same_state(plain, &copied);
    start(&r, &(way){.prepared = true, .bound = true});
    same_state(plain, &r);
    assert_true(r.plan < copied.plan);
    end(&copied);
    end(&r);
}

static void state_in_a_file(void **state)
{
    run *plain = *state, r;
    scratch_dir dir;
    assert_int_equal(scratch_dir_make(&dir), 0);
    start(&r, &(way){.prepared = true, .bound = true, .offload = dir.path});
    assert_int_equal(scratch_dir_count(&dir), 0);    /* it has no name: nothing stays behind, however the run ends */
    same_state(plain, &r);
    end(&r);
    scratch_dir_remove_tree(dir.path);
}

/* Frozen parameters keep their values and their place in the file; of the others each changes. */
static void frozen_parameters_stay(void **state)
{
    run *plain = *state, r;
    m2m_error err;
    unet_model from;
    ok(unet_model_open(&from, TEST_DIR "/golden/models/m2m_self", true, &err), &err);
    start(&r, &(way){.prepared = true, .bound = true, .only = "attn2,conv_in"});
    int trained = 0;
    for (int i = 0; i < paramset_count(from.params); i++) {
        const param *p = paramset_at(from.params, i), *now = paramset_at(r.m.params, i);
        bool chosen = strstr(p->name, "attn2") || strstr(p->name, "conv_in");
        bool kept = !memcmp(p->data, now->data, (size_t)shape_count(p->shape) * sizeof(float));
        if (chosen == kept) fail_msg("%s: %s", p->name, kept ? "is as it was" : "changed");
        assert_int_equal(now->mapped, !chosen);
        assert_true((optimizer_data(r.o, OPTIMIZER_M, i) != NULL) == chosen);
        trained += chosen;
    }
    assert_true(trained > 10 && trained < paramset_count(from.params) / 2);
    assert_true(r.plan < plain->plan);
    assert_int_equal(params_prepare(from.params, 0, "nothing,", &err), M2M_EINVAL);
    end(&r);
    unet_model_close(&from);
}

static int set_up(void **state)
{
    run *r = malloc(sizeof *r);
    *state = r;
    start(r, &(way){0});
    return 0;
}

static int tear_down(void **state)
{
    end(*state);
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_need_no_copy),
        cmocka_unit_test(state_in_a_file),
        cmocka_unit_test(frozen_parameters_stay),
    };
    return cmocka_run_group_tests_name("optimizer", tests, set_up, tear_down);
}
