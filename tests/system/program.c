#include "program.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SECONDS = 120 };

static char scratch[PATH_MAX];

static void child(const way *w, const char *const *args, int out, int err)
{
    const char *argv[64] = {M2M_PROGRAM};
    for (int i = 0; args[i] && i < 62; i++) argv[i + 1] = args[i];
    if (w->output) {
        out = open(w->output, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (out < 0) _exit(126);
    }
    int in = open("/dev/null", O_RDONLY);
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    for (int fd = 3; fd < 256; fd++) close(fd);
    if (w->file_limit) {
        struct rlimit limit = {(rlim_t)w->file_limit, (rlim_t)w->file_limit};
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit)) _exit(126);
    }
    if (w->unprivileged && geteuid() == 0 && (setgid(65534) || setuid(65534))) _exit(126);
    execv(M2M_PROGRAM, (char *const *)argv);
    fprintf(stderr, "%s: %s\n", M2M_PROGRAM, strerror(errno));
    _exit(127);
}

/* Appends what the pipe has to a text of limited size; false at its end. */
static bool drain(int fd, char *text, size_t room)
{
    char piece[4096];
    ssize_t n = read(fd, piece, sizeof piece);
    if (n <= 0) return false;
    size_t have = strlen(text), fits = have + (size_t)n < room ? (size_t)n : room - 1 - have;
    for (size_t i = 0; i < fits; i++) text[have + i] = piece[i] ? piece[i] : '?';
    text[have + fits] = 0;
    return true;
}

void program_run(outcome *o, const way *w, const char *const *args)
{
    int out[2], err[2], status = 0;
    memset(o, 0, sizeof *o);
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(err), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) child(w, args, out[1], err[1]);
    close(out[1]);
    close(err[1]);
    struct pollfd p[2] = {{.fd = out[0], .events = POLLIN}, {.fd = err[0], .events = POLLIN}};
    bool interrupted = !w->until, late = false;
    time_t start = time(NULL);
    while (p[0].fd >= 0 || p[1].fd >= 0) {
        poll(p, 2, 20);
        if (p[0].fd >= 0 && p[0].revents && !drain(out[0], o->out, sizeof o->out)) p[0].fd = -1;
        if (p[1].fd >= 0 && p[1].revents && !drain(err[0], o->err, sizeof o->err)) p[1].fd = -1;
        if (!interrupted && there(w->until)) interrupted = !kill(pid, w->kill ? SIGKILL : SIGINT);
        if (!late && time(NULL) - start > SECONDS) late = !kill(pid, SIGKILL);
    }
    close(out[0]);
    close(err[0]);
    waitpid(pid, &status, 0);
    o->status = late ? 124 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void expect_success(const outcome *o)
{
    if (o->status || *o->err) fail_msg("exit status %d, wanted 0; stderr: \"%s\"", o->status, o->err);
}

static bool mentions(const char *text, const char *named)
{
    for (const char *part = named; part;) {
        const char *bar = strchr(part, '|');
        size_t n = bar ? (size_t)(bar - part) : strlen(part);
        if (memmem(text, strlen(text), part, n)) return true;
        part = bar ? bar + 1 : NULL;
    }
    return false;
}

void expect_refused(const outcome *o, const char *named)
{
    const char *line_end = strchr(o->err, '\n');
    if (o->status != 1 && o->status != 2) fail_msg("exit status %d, wanted 1 or 2; stderr: \"%s\"", o->status, o->err);
    if (strncmp(o->err, "m2m: ", 5) || !line_end || line_end[1])
        fail_msg("wanted one line on stderr that starts with \"m2m: \", found \"%s\"", o->err);
    if (named && !mentions(o->err, named)) fail_msg("stderr does not name \"%s\": %s", named, o->err);
}

int scratch_make(void **state)
{
    (void)state;
    snprintf(scratch, sizeof scratch, "/tmp/m2m-test-XXXXXX");
    if (!mkdtemp(scratch)) return -1;
    return chmod(scratch, 0755) || chdir(scratch);
}

int scratch_remove(void **state)
{
    (void)state;
    remove_tree(scratch);
    return chdir("/");
}

static char *next_buffer(void)
{
    static char buffers[16][PATH_MAX];
    static int at;
    return buffers[at++ % 16];
}

const char *in_scratch(const char *fmt, ...)
{
    char *path = next_buffer();
    int n = snprintf(path, PATH_MAX, "%s/", scratch);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(path + n, (size_t)(PATH_MAX - n), fmt, ap);
    va_end(ap);
    return path;
}

const char *in_tests(const char *name)
{
    char *path = next_buffer();
    snprintf(path, PATH_MAX, "%s/%s", TEST_DIR, name);
    return path;
}

void write_file(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    if (!f) fail_msg("%s: %s", path, strerror(errno));
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

void write_text(const char *path, const char *text)
{
    write_file(path, text, strlen(text));
}

char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s: %s", path, strerror(errno));
    struct stat st;
    assert_int_equal(fstat(fileno(f), &st), 0);
    *size = (size_t)st.st_size;
    char *data = malloc(*size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, f), *size);
    data[*size] = 0;
    fclose(f);
    return data;
}

bool same_files(const char *a, const char *b)
{
    size_t na, nb;
    char *x = read_file(a, &na), *y = read_file(b, &nb);
    bool same = na == nb && !memcmp(x, y, na);
    free(x);
    free(y);
    return same;
}

bool there(const char *path)
{
    struct stat st;
    return !lstat(path, &st);
}

/* Calls f for every entry of a directory. */
static void each(const char *dir, void (*f)(const char *path, const char *name, void *user), void *user)
{
    DIR *d = opendir(dir);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        char path[PATH_MAX + 260];
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        f(path, e->d_name, user);
    }
    closedir(d);
}

static bool is_dir(const char *path)
{
    struct stat st;
    return !lstat(path, &st) && S_ISDIR(st.st_mode);
}

static void count_one(const char *path, const char *name, void *user)
{
    (void)name;
    if (is_dir(path)) each(path, count_one, user);
    else ++*(int *)user;
}

int count_files(const char *dir)
{
    int n = 0;
    each(dir, count_one, &n);
    return n;
}

static void copy_one(const char *path, const char *name, void *user)
{
    char to[PATH_MAX];
    snprintf(to, sizeof to, "%s/%s", (const char *)user, name);
    if (is_dir(path)) {
        copy_tree(path, to);
        return;
    }
    size_t size;
    char *data = read_file(path, &size);
    write_file(to, data, size);
    free(data);
}

void copy_tree(const char *from, const char *to)
{
    if (!is_dir(from)) fail_msg("%s: no such directory", from);
    assert_int_equal(mkdir(to, 0755), 0);
    each(from, copy_one, (void *)(uintptr_t)to);
}

static void remove_one(const char *path, const char *name, void *user)
{
    (void)name;
    (void)user;
    if (is_dir(path)) remove_tree(path);
    else unlink(path);
}

void remove_tree(const char *dir)
{
    chmod(dir, 0700);
    each(dir, remove_one, NULL);
    rmdir(dir);
}

void st_read(stfile *f, const char *path)
{
    size_t size;
    char *all = read_file(path, &size);
    uint64_t length;
    assert_true(size >= 8);
    memcpy(&length, all, 8);
    assert_true(length <= size - 8);
    f->header = cJSON_ParseWithLength(all + 8, length);
    assert_non_null(f->header);
    f->size = size - 8 - length;
    f->data = malloc(f->size + 1);
    assert_non_null(f->data);
    memcpy(f->data, all + 8 + length, f->size);
    free(all);
}

static void st_write_parts(const char *path, uint64_t length, const char *header, const void *data, size_t size)
{
    size_t n = strlen(header);
    char *all = calloc(1, 8 + n + size + 1);
    uint64_t field = length ? length : n;
    assert_non_null(all);
    memcpy(all, &field, 8);
    memcpy(all + 8, header, n);
    if (data) memcpy(all + 8 + n, data, size);
    write_file(path, all, 8 + n + size);
    free(all);
}

void st_write(const stfile *f, const char *path)
{
    char *header = cJSON_PrintUnformatted(f->header);
    assert_non_null(header);
    st_write_parts(path, 0, header, f->data, f->size);
    cJSON_free(header);
}

void st_free(stfile *f)
{
    cJSON_Delete(f->header);
    free(f->data);
    *f = (stfile){0};
}

void st_write_one(const char *path, const char *name, int rank, const int *dim)
{
    char header[512], shape[128] = "";
    int count = 1;
    for (int i = 0; i < rank; i++) {
        count *= dim[i];
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%d", i ? "," : "", dim[i]);
    }
    float *x = calloc((size_t)count + 1, sizeof *x);
    assert_non_null(x);
    uint32_t random = 12345;
    for (int i = 0; i < count; i++) x[i] = (float)((random = random * 1664525u + 1013904223u) >> 8) / 8388608.f - 1.f;
    snprintf(header, sizeof header,
             "{\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[0,%d]}}", name, shape, 4 * count);
    st_write_parts(path, 0, header, x, 4 * (size_t)count);
    free(x);
}

void st_write_raw(const char *path, uint64_t length, const char *header, size_t n)
{
    st_write_parts(path, length, header, NULL, n);
}

/* ---- Models that look at images ---- */

static const char clip_processor[] =
    "{\"do_resize\": true, \"size\": {\"shortest_edge\": 15}, \"resample\": 3, \"do_center_crop\": true,"
    " \"crop_size\": {\"height\": 15, \"width\": 15}, \"do_rescale\": true, \"rescale_factor\": 0.00392156862745098,"
    " \"do_normalize\": true, \"image_mean\": [0.5, 0.5, 0.5], \"image_std\": [0.5, 0.5, 0.5],"
    " \"image_processor_type\": \"CLIPImageProcessor\"}";

/* A tokenizer of letters: 60 tokens, as many as the tiny CLIP has. */
static void write_tokenizer(const char *dir)
{
    char text[2048] = "{";
    for (int i = 0; i < 26; i++) {
        char one[64];
        snprintf(one, sizeof one, "\"%c\": %d, \"%c</w>\": %d, ", 'a' + i, i, 'a' + i, 26 + i);
        strcat(text, one);
    }
    strcat(text, "\",\": 52, \",</w>\": 53, \"-\": 54, \"-</w>\": 55, \"<|startoftext|>\": 58, \"<|endoftext|>\": 59}");
    write_text(in_scratch("%s/vocab.json", dir), text);
    write_text(in_scratch("%s/merges.txt", dir), "#version: 0.2\n");
    write_text(in_scratch("%s/tokenizer_config.json", dir),
               "{\"model_max_length\": 9, \"bos_token\": \"<|startoftext|>\", \"eos_token\": \"<|endoftext|>\","
               " \"unk_token\": \"<|endoftext|>\", \"pad_token\": \"<|endoftext|>\"}");
}

void make_eyes(void)
{
    copy_tree(in_tests("golden/models/clip"), in_scratch("clip"));
    copy_tree(in_tests("golden/models/m2m_dino/image_encoder"), in_scratch("dino"));
    size_t size;
    char *config = read_file(in_tests("golden/models/m2m_dino/feature_extractor/preprocessor_config.json"), &size);
    write_file(in_scratch("dino/preprocessor_config.json"), config, size);
    free(config);
    write_text(in_scratch("clip/preprocessor_config.json"), clip_processor);
    write_tokenizer("clip");
}
