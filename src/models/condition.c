#include "models/condition.h"

enum { SINUSOID = 256 };

int condition_numbers(set_condition kind)
{
    return kind == CONDITION_CAMERA ? 12 : kind == CONDITION_POSITION ? 1 : 0;
}

const char *condition_name(set_condition kind)
{
    static const char *const names[] = {"none", "camera", "position"};
    return names[kind];
}

condition_inputs condition_declare(graph *g, set_condition kind, int64_t rows, int64_t present_rows)
{
    condition_inputs in = {.kind = kind};
    if (kind == CONDITION_NONE) return in;
    in.values = graph_input(g, "condition", DT_F32, SHAPE(rows, condition_numbers(kind)));
    in.present = graph_input(g, "present", DT_F32, SHAPE(present_rows, 1));
    return in;
}

node *condition_embed(nn *n, const char *name, const condition_inputs *in, int64_t hidden, int64_t out)
{
    graph *g = n->g;
    node *x = in->values;
    int64_t rows = x->shape.dim[0], wanted = in->present->shape.dim[0];
    if (in->kind == CONDITION_POSITION) x = timestep_embedding(g, reshape(g, x, SHAPE(rows)), SINUSOID, true, 0);
    x = nn_timestep_mlp(n, name, x, hidden, out);
    if (rows != wanted) x = broadcast_to(g, x, SHAPE(wanted, out));
    return mul(g, x, in->present);
}
