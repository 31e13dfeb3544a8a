/* Data sets in their owners' layouts, read record by record into shards of sets (`m2m data import`, `m2m data check
 * KIND`). import_kind.h says what a kind of data set is; docs/data.md and docs/formats.md describe both sides. */
#ifndef DATA_IMPORT_H
#define DATA_IMPORT_H

#include "m2m_train.h"

/* As m2m_data_import in m2m_train.h; rows: those of m2m_import.def. */
int data_import(const char *kind, const char *source, const char *out, const m2m_import_options *options,
                const m2m_option_table *rows, const char *report, const m2m_calls *calls, m2m_error *err);

#endif
