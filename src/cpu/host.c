/* Memory, copies and the table of packed parameters for the backends that live in host memory. */
#include "cpu/host.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HUGE_PAGE = 2 << 20, LARGE = 2 * HUGE_PAGE };

void *host_alloc(size_t bytes)
{
    size_t rounded = (bytes + 63) / 64 * 64;
    if (rounded < bytes) return NULL;
    if (rounded < LARGE) return aligned_alloc(64, rounded ? rounded : 64);
    // Products walk many rows at once, each in pages of its own: large pages spare them most misses of the TLB.
    void *p;
    if (posix_memalign(&p, HUGE_PAGE, rounded)) return NULL;    /* unlike aligned_alloc, of any size */
    madvise(p, rounded, MADV_HUGEPAGE);
    return p;
}

void host_free(void *p)
{
    free(p);
}

static size_t pack_hash(const param *p, int kind)
{
    uint64_t h = (uint64_t)(uintptr_t)p * 0x9E3779B97F4A7C15u + (uint64_t)kind * 0xC2B2AE3D27D4EB4Fu;
    return (size_t)(h >> 20);
}

static pack_entry *pack_slot(pack_entry *slot, size_t capacity, const param *p, int kind)
{
    for (size_t i = pack_hash(p, kind);; i++) {
        pack_entry *e = &slot[i & (capacity - 1)];
        if (!e->key || (e->key == p && e->kind == kind)) return e;
    }
}

static bool pack_grow(pack_table *t)
{
    size_t capacity = t->capacity ? 2 * t->capacity : 64;
    pack_entry *slot = calloc(capacity, sizeof *slot);
    if (!slot) return false;
    for (size_t i = 0; i < t->capacity; i++)
        if (t->slot[i].key) *pack_slot(slot, capacity, t->slot[i].key, t->slot[i].kind) = t->slot[i];
    free(t->slot);
    t->slot = slot;
    t->capacity = capacity;
    return true;
}

/* The entry with room for `bytes`, its content unknown when it was not there. */
static pack_entry *pack_room(pack_table *t, const param *p, int kind, size_t bytes)
{
    if (2 * t->used >= t->capacity && !pack_grow(t)) return NULL;
    pack_entry *e = pack_slot(t->slot, t->capacity, p, kind);
    if (e->key && e->bytes == bytes) return e;
    void *data = host_alloc(bytes);
    if (!data) return NULL;
    if (e->key) host_free(e->data);
    else t->used++;
    *e = (pack_entry){.key = p, .kind = kind, .bytes = bytes, .data = data};
    return e;
}

bool pack_has(const pack_table *t, const param *p, int kind)
{
    return t->capacity && pack_slot(t->slot, t->capacity, p, kind)->key;
}

bool pack_reserve(pack_table *t, const param *p, int kind, size_t bytes)
{
    return pack_room(t, p, kind, bytes) != NULL;
}

pack_entry *pack_get(pack_table *t, const param *p, int kind, size_t bytes, bool *stale)
{
    pack_entry *e = pack_room(t, p, kind, bytes);
    if (!e) return NULL;
    *stale = e->source != p->data || e->version != p->version;
    e->source = p->data;
    e->version = p->version;
    return e;
}

void pack_free(pack_table *t)
{
    for (size_t i = 0; i < t->capacity; i++) host_free(t->slot[i].data);
    free(t->slot);
    *t = (pack_table){0};
}

void param_drop_pages(const param *p)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)p->data;
    const uintptr_t first = (at + page - 1) / page * page;
    const uintptr_t end = (at + (uintptr_t)shape_count(p->shape) * dtype_size(p->type)) / page * page;
    if (p->mapped && first < end) madvise((void *)first, end - first, MADV_DONTNEED);
}

void *host_be_alloc(backend *be, size_t bytes)
{
    (void)be;
    return host_alloc(bytes);
}

void host_be_free(backend *be, void *p, size_t bytes)
{
    (void)be;
    (void)bytes;
    host_free(p);
}

void host_be_copy(backend *be, void *dst, const void *src, size_t bytes)
{
    (void)be;
    memmove(dst, src, bytes);   /* serves backend.copy too, where ranges may overlap */
}
