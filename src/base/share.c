#include "base/share.h"

#include "base/error.h"

#include <stdbool.h>
#include <stdio.h>

int share_read(share *s, const char *text, m2m_error *err)
{
    int i = 0, n = 1, used = 0;
    bool good = !text || (sscanf(text, "%9d/%9d%n", &i, &n, &used) == 2 && !text[used] && i >= 0 && i < n);
    *s = good ? (share){i, n} : (share){0, 1};
    if (good) return 0;
    return fail(err, M2M_EINVAL, "share: found \"%.40s\", wanted i/n with i from 0 to n-1, as 0/4", text);
}

int share_start(share s, int pieces)
{
    return (int)((int64_t)pieces * s.i / s.n);
}

int share_end(share s, int pieces)
{
    return (int)((int64_t)pieces * (s.i + 1) / s.n);
}
