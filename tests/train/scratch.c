#include "train/scratch.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

const char *scratch_dir(const char *name, char *buf, unsigned size)
{
    char **names = NULL;
    int n = 0;
    m2m_error err = {0};
    snprintf(buf, size, "scratch_%s.%ld", name, (long)getpid());
    if (dir_make(buf, &err) || dir_list(buf, &names, &n, &err)) fail_msg("%s", err.msg);
    for (int i = 0; i < n; i++) {
        char *path = path_join(buf, names[i]);
        unlink(path);
        free(path);
    }
    names_free(&names, n);
    return buf;
}

char *scratch_read(const char *path, unsigned long *size)
{
    char *text = NULL;
    size_t n = 0;
    m2m_error err = {0};
    if (file_read_all(path, 1 << 24, &text, &n, &err)) fail_msg("%s", err.msg);
    if (size) *size = n;
    return text;
}
