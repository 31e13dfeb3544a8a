#include "data/mis_plan.h"

#include "base/file.h"
#include "base/sha256.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096 };         /* captions whose tokens are counted side by side */

const char *mis_split_name(mis_split s)
{
    static const char *const names[MIS_SPLITS] = {"train", "validation", "test"};
    return names[s];
}

static mis_split split_of(const mis_filter *f, const char *text, size_t len)
{
    uint8_t digest[SHA256_BYTES];
    struct sha256_ctx s;
    sha256_init(&s);
    sha256_add(&s, text, len);
    sha256_digest(&s, SHA256_BYTES, digest);
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) word = word << 8 | digest[i];
    double u = (double)(word >> 11) * 0x1p-53;
    if (u < f->test) return MIS_TEST;
    return u < f->test + f->validation ? MIS_VALIDATION : MIS_TRAIN;
}

/* ---- A block of captions ---- */

typedef struct block {
    int n;
    int64_t row[BLOCK], offset[BLOCK];
    size_t at[BLOCK], len[BLOCK];          /* in text */
    int tokens[BLOCK];
    str text;
} block;

/* Up to `most` good captions; bad lines are counted. *ended: the file is. */
static int read_block(block *b, int64_t most, mis_plan *p, caption_file *c, bool *ended, m2m_error *err)
{
    caption_line line;
    int rc = 1;
    b->n = 0;
    str_clear(&b->text);
    while (b->n < most && (rc = captions_next(c, &line, err)) > 0) {
        p->rows++;
        p->states[line.state]++;
        if (line.state != CAPTION_GOOD) continue;
        b->row[b->n] = line.row;
        b->offset[b->n] = line.offset;
        b->at[b->n] = b->text.len;
        b->len[b->n++] = line.len;
        str_bytes(&b->text, line.text, line.len + 1);
    }
    *ended = rc == 0;
    if (b->text.failed) return fail(err, M2M_ENOMEM, "no memory for %d captions", BLOCK);
    return rc < 0 ? rc : 0;
}

static int count_tokens(block *b, const mis_filter *f, m2m_error *err)
{
    int failed = 0;
#pragma omp parallel for schedule(dynamic, 64) num_threads(f->threads) reduction(|| : failed)
    for (int i = 0; i < b->n; i++) {
        b->tokens[i] = f->tokens(f->user, b->text.data + b->at[i]);
        failed = failed || b->tokens[i] < 0;
    }
    return failed ? fail(err, M2M_ENOMEM, "no memory to count the tokens of captions") : 0;
}

/* ---- Shards ---- */

typedef struct maker {
    mis_plan *p;
    const mis_filter *f;
    int open[MIS_SPLITS];      /* the shard being filled, or -1 */
    int numbers[MIS_SPLITS];
    struct sha256_ctx sums[MIS_SPLITS];
    block block;
} maker;

static void close_shard(maker *m, mis_split split)
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX];
    mis_shard *s = &m->p->shards[m->open[split]];
    sha256_digest(&m->sums[split], SHA256_BYTES, digest);
    sha256_hex(digest, hex);
    memcpy(s->hash, hex, sizeof s->hash - 1);
    m->open[split] = -1;
}

static int open_shard(maker *m, mis_split split, int64_t row, int64_t offset, m2m_error *err)
{
    mis_plan *p = m->p;
    if (p->n == p->room) {
        int more_room = p->room ? 2 * p->room : 64;
        mis_shard *more = realloc(p->shards, (size_t)more_room * sizeof *more);
        if (!more) return fail(err, M2M_ENOMEM, "no memory for %d shards", more_room);
        p->shards = more;
        p->room = more_room;
    }
    m->open[split] = p->n;
    p->shards[p->n++] = (mis_shard){.split = split, .number = m->numbers[split]++, .row = row, .offset = offset};
    sha256_init(&m->sums[split]);
    return 0;
}

static int use_caption(maker *m, int i, m2m_error *err)
{
    const block *b = &m->block;
    const char *text = b->text.data + b->at[i];
    mis_split split = split_of(m->f, text, b->len[i]);
    int rc = m->open[split] < 0 ? open_shard(m, split, b->row[i], b->offset[i], err) : 0;
    if (rc) return rc;
    sha256_add(&m->sums[split], text, b->len[i]);
    sha256_add(&m->sums[split], "\n", 1);
    m->p->used++;
    m->p->sets[split]++;
    if (++m->p->shards[m->open[split]].sets == m->f->shard) close_shard(m, split);
    return 0;
}

/* How many captions more may be read: never so many that bad lines behind the last one that is used are counted. */
static int64_t room(const maker *m)
{
    int64_t left = m->f->limit > 0 ? m->f->limit - m->p->used : BLOCK;
    return left < BLOCK ? left : BLOCK;
}

static int use_block(maker *m, m2m_error *err)
{
    int rc = count_tokens(&m->block, m->f, err);
    for (int i = 0; i < m->block.n && !rc; i++) {
        if (m->block.tokens[i] > m->f->max_tokens) m->p->over_long++;
        else rc = use_caption(m, i, err);
    }
    return rc;
}

static int by_split(const void *a, const void *b)
{
    const mis_shard *x = a, *y = b;
    return x->split != y->split ? (int)x->split - (int)y->split : x->number - y->number;
}

static int make(maker *m, caption_file *c, const m2m_calls *calls, m2m_error *err)
{
    bool ended = false;
    int rc = 0;
    while (!rc && !ended && room(m) > 0) {
        rc = read_block(&m->block, room(m), m->p, c, &ended, err);
        if (!rc) rc = use_block(m, err);
        if (!rc && calls && calls->progress &&
            calls->progress(calls->user, "reading captions", captions_done(c), file_size(captions_path(c))))
            rc = fail(err, M2M_ECANCELLED, "stopped after %lld captions", (long long)m->p->rows);
    }
    return rc;
}

int mis_plan_make(mis_plan *p, caption_file *c, const mis_filter *f, const m2m_calls *calls, m2m_error *err)
{
    *p = (mis_plan){0};
    maker *m = calloc(1, sizeof *m);
    if (!m) return fail(err, M2M_ENOMEM, "no memory to read captions");
    m->p = p;
    m->f = f;
    for (int s = 0; s < MIS_SPLITS; s++) m->open[s] = -1;
    int rc = make(m, c, calls, err);
    for (int s = 0; s < MIS_SPLITS; s++)
        if (m->open[s] >= 0) close_shard(m, (mis_split)s);
    str_free(&m->block.text);
    free(m);
    if (!rc && !p->used)
        rc = fail(err, M2M_EFORMAT,
                  "%s: no caption in it can be used (%lld lines, %lld without that column, %lld empty, %lld not UTF-8, "
                  "%lld over %d bytes, %lld over %d tokens); wanted url<TAB>caption",
                  captions_path(c), (long long)p->rows, (long long)p->states[CAPTION_NO_COLUMN],
                  (long long)p->states[CAPTION_EMPTY], (long long)p->states[CAPTION_NOT_TEXT],
                  (long long)p->states[CAPTION_LINE_LONG], CAPTION_BYTES, (long long)p->over_long, f->max_tokens);
    if (!rc) qsort(p->shards, (size_t)p->n, sizeof *p->shards, by_split);
    return rc;
}

void mis_plan_free(mis_plan *p)
{
    free(p->shards);
    *p = (mis_plan){0};
}

/* ---- Captions of a shard ---- */

static bool is_wanted(const mis_filter *f, mis_split split, const caption_line *line)
{
    return line->state == CAPTION_GOOD && split_of(f, line->text, line->len) == split &&
           f->tokens(f->user, line->text) <= f->max_tokens;
}

int mis_captions_read(mis_captions *m, caption_file *c, const mis_filter *f, const mis_shard *s, m2m_error *err)
{
    *m = (mis_captions){0};
    m->rows = malloc((size_t)s->sets * sizeof *m->rows);
    m->texts = malloc((size_t)s->sets * sizeof *m->texts);
    size_t *at = malloc((size_t)s->sets * sizeof *at);
    int rc = m->rows && m->texts && at ? 0 : fail(err, M2M_ENOMEM, "no memory for %d captions", s->sets);
    struct sha256_ctx sum;
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX];
    caption_line line;
    sha256_init(&sum);
    if (!rc) rc = captions_seek(c, s->row, s->offset, err);
    while (!rc && m->n < s->sets && (rc = captions_next(c, &line, err)) > 0) {
        rc = 0;
        if (!is_wanted(f, s->split, &line)) continue;
        sha256_add(&sum, line.text, line.len);
        sha256_add(&sum, "\n", 1);
        at[m->n] = m->arena.len;
        m->rows[m->n++] = line.row;
        str_bytes(&m->arena, line.text, line.len + 1);
    }
    sha256_digest(&sum, SHA256_BYTES, digest);
    sha256_hex(digest, hex);
    if (!rc && m->arena.failed) rc = fail(err, M2M_ENOMEM, "no memory for %d captions", s->sets);
    if (!rc && (m->n != s->sets || strncmp(hex, s->hash, sizeof s->hash - 1)))
        rc = fail(err, M2M_EFORMAT,
                  "%s: captions from row %lld on are not those that this data set was begun with (hash %.16s, wanted "
                  "%s)", captions_path(c), (long long)s->row, hex, s->hash);
    for (int i = 0; i < m->n && !rc; i++) m->texts[i] = m->arena.data + at[i];
    free(at);
    return rc;
}

void mis_captions_free(mis_captions *m)
{
    free(m->rows);
    free(m->texts);
    str_free(&m->arena);
    *m = (mis_captions){0};
}
