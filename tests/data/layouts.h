/* The small data sets in their owners' layouts (tests/data/layouts, made by tools/data/make_layouts.py), copied to
 * where they can be spoilt, and imports of them. */
#ifndef TESTS_DATA_LAYOUTS_H
#define TESTS_DATA_LAYOUTS_H

#include "m2m_train.h"
#include "scratch_dir.h"

/* Copies a folder with all below it. */
void layout_copy(const char *from, const char *to);
/* The path of a layout in the source tree; static buffer. */
const char *layout_path(const char *kind);

typedef struct import_run {
    int rc;
    m2m_error err;
    char lines[1 << 14];       /* what was told, a line each */
    long sets, images, problems;
} import_run;

/* m2m_data_import with the defaults, split "all", `least` 2, and options changed by `change` (may be NULL). out NULL:
 * checked only. The numbers come from the report. */
void layout_import(import_run *r, const char *kind, const char *source, const char *out,
                   void (*change)(m2m_import_options *));

#endif
