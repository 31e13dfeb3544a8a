/* SHA-256 against the examples of FIPS 180-4 (and one of a million letters), in pieces of every size, and of files. */
#include "base/file.h"
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char million[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static void published_examples(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
         "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    char hex[SHA256_HEX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sha256_of(cases[i].text, strlen(cases[i].text), hex);
        assert_string_equal(hex, cases[i].hex);
    }
}

static void pieces_of_any_size_give_the_same(void **state)
{
    (void)state;
    uint8_t data[300], digest[SHA256_BYTES];
    char whole[SHA256_HEX], hex[SHA256_HEX];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 37);
    for (size_t n = 0; n <= sizeof data; n += 1 + n / 9) {
        sha256_of(data, n, whole);
        for (size_t piece = 1; piece <= 130; piece++) {
            struct sha256_ctx s;
            sha256_init(&s);
            for (size_t at = 0; at < n; at += piece) sha256_add(&s, data + at, n - at < piece ? n - at : piece);
            sha256_add(&s, NULL, 0);
            sha256_digest(&s, SHA256_BYTES, digest);
            assert_string_equal(sha256_hex(digest, hex), whole);
        }
    }
}

static void files(void **state)
{
    (void)state;
    char path[] = "/tmp/m2m-sha256-XXXXXX", hex[SHA256_HEX], *text = malloc(1000000);
    m2m_error err;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(sha256_of_file(path, hex, &err), 0);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_non_null(text);
    memset(text, 'a', 1000000);
    assert_int_equal(file_write_all(path, text, 1000000, &err), 0);
    assert_int_equal(sha256_of_file(path, hex, &err), 0);
    assert_string_equal(hex, million);
    unlink(path);
    free(text);
    assert_int_equal(sha256_of_file(path, hex, &err), M2M_EIO);
    assert_non_null(strstr(err.msg, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_examples),
        cmocka_unit_test(pieces_of_any_size_give_the_same),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
