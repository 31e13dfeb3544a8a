#include <m2m.h>
#include <stdio.h>

/* A name that m2m uses inside: it must not clash with the library's, nor replace it. */
int add(int a, int b);
int add(int a, int b)
{
    return a + b;
}

int main(void)
{
    m2m_error err;
    m2m_image img = {0};
    if (m2m_image_new(&img, add(1, 1), 2, 3, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    m2m_image_free(&img);
    puts(m2m_version());
    return 0;
}
