#include "recommended.h"

void recommended_take(const command *c, const args *a, const m2m_model *model, m2m_generate_options *options)
{
    m2m_generate_options plain;
    m2m_generate_defaults(&plain);
    m2m_model_defaults(model, options);
    if (args_given(a, "window")) options->anchors = plain.anchors;
    args_again(c, a, options);
}
