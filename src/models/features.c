#include "models/features.h"

#include <stdlib.h>

struct features {
    dinov2_graph graph;
    exec *x;
    bool written;        /* the graph's own inputs */
};

features *features_new(const encoder_model *encoder, backend *be, int batch, int height, int width, m2m_error *err)
{
    features *f = calloc(1, sizeof *f);
    if (!f) return fail(err, M2M_ENOMEM, "no memory for the image encoder"), NULL;
    int status = dinov2_graph_build(&f->graph, &encoder->config, encoder->params, batch, height, width, err);
    if (!status) f->x = exec_new(f->graph.g, be, &f->graph.features, 1, err);
    if (f->x) return f;
    features_free(f);
    return NULL;
}

void features_free(features *f)
{
    if (!f) return;
    exec_free(f->x);
    dinov2_graph_free(&f->graph);
    free(f);
}

size_t features_bytes(const features *f) { return exec_bytes(f->x); }
int64_t features_tokens(const features *f) { return f->graph.features->shape.dim[1]; }

int features_run(features *f, const float *pixels, float *out, m2m_error *err)
{
    int status = f->written ? 0 : dinov2_graph_write(&f->graph, f->x, err);
    if (status) return status;
    f->written = true;
    status = exec_write(f->x, f->graph.pixels, pixels, err);
    if (!status) status = exec_run(f->x, err);
    if (!status) exec_read(f->x, f->graph.features, out);
    return status;
}
