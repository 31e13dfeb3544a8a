#include "models/text_states.h"

#include <stdlib.h>

struct text_states {
    const text_model *m;
    int batch, length;
    clip_text_graph graph;
    exec *x;
    float *embedded;         /* [batch, length, D] */
    int32_t *lens;           /* [batch * length] */
};

text_states *text_states_new(const text_model *m, backend *be, int batch, int length, m2m_error *err)
{
    text_states *t = calloc(1, sizeof *t);
    if (!t) return fail(err, M2M_ENOMEM, "no memory for the text encoder"), NULL;
    t->m = m;
    t->batch = batch;
    t->length = length;
    int status = clip_text_graph_build(&t->graph, &m->config, m->params, batch, length, err);
    if (!status) t->x = exec_new(t->graph.g, be, &t->graph.states, 1, err);
    if (t->x) {
        t->embedded = malloc((size_t)shape_count(t->graph.embedded->shape) * sizeof *t->embedded);
        t->lens = malloc((size_t)(batch * length) * sizeof *t->lens);
        if (t->embedded && t->lens) return t;
        fail(err, M2M_ENOMEM, "no memory for %d texts of %d tokens", batch, length);
    }
    text_states_free(t);
    return NULL;
}

void text_states_free(text_states *t)
{
    if (!t) return;
    exec_free(t->x);
    clip_text_graph_free(&t->graph);
    free(t->embedded);
    free(t->lens);
    free(t);
}

size_t text_states_bytes(const text_states *t) { return exec_bytes(t->x); }

int text_states_run(text_states *t, const int32_t *ids, float *out, m2m_error *err)
{
    int64_t n = (int64_t)t->batch * t->length;
    int status = clip_text_embed(&t->m->config, t->m->params, ids, n, t->embedded, err);
    if (status) return status;
    clip_text_lens(t->lens, t->batch, t->length);
    status = exec_write(t->x, t->graph.embedded, t->embedded, err);
    if (!status) status = exec_write_i32(t->x, t->graph.lens, t->lens, err);
    if (!status) status = exec_run(t->x, err);
    if (!status) exec_read(t->x, t->graph.states, out);
    return status;
}
