/* The public face of src/data. */
#include "m2m_train.h"

#include "data/check.h"
#include "data/compose.h"
#include "data/import.h"

int m2m_data_compose(const char *pool, const char *out, const m2m_compose_options *options, const m2m_calls *calls,
                     m2m_error *err)
{
    return compose(pool, out, options, calls, err);
}

int m2m_data_check(const char *path, const char *report, const m2m_calls *calls, m2m_error *err)
{
    return data_check(path, report, calls, err);
}

int m2m_data_import(const char *kind, const char *source, const char *out, const m2m_import_options *options,
                    const char *report, const m2m_calls *calls, m2m_error *err)
{
    return data_import(kind, source, out, options, m2m_options("import"), report, calls, err);
}
