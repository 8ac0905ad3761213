/*
 * arena.c - chunks that double, one after the other, and a list of deferred calls.
 *
 * The first chunk is small, so that a thousand requests waiting for their provider cost little.
 */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_FIRST 4096u
#define CHUNK_MOST (64u * 1024u)
#define ALIGNMENT _Alignof(max_align_t)

struct chunk {
	struct chunk *older;
	size_t size, used; /* of the bytes behind this header */
	max_align_t bytes[];
};

struct deferred {
	struct deferred *older;
	void (*release)(void *object);
	void *object;
};

struct arena {
	size_t max, used;
	bool full; /* something was past the cap */
	struct chunk *newest;
	struct deferred *deferred;
};

struct arena *arena_new(size_t max)
{
	struct arena *arena = calloc(1, sizeof *arena);

	if (arena != NULL)
		arena->max = max;
	return arena;
}

void arena_clear(struct arena *arena)
{
	struct chunk *kept = NULL;

	for (struct deferred *d = arena->deferred; d != NULL; d = d->older)
		d->release(d->object);
	for (struct chunk *chunk = arena->newest, *older; chunk != NULL; chunk = older) {
		older = chunk->older;
		if (older == NULL && chunk->size == CHUNK_FIRST)
			kept = chunk;
		else
			free(chunk);
	}
	if (kept != NULL)
		kept->used = 0;
	*arena = (struct arena){.max = arena->max, .newest = kept};
}

void arena_free(struct arena *arena)
{
	if (arena == NULL)
		return;
	arena_clear(arena);
	free(arena->newest);
	free(arena);
}

static size_t aligned(size_t n)
{
	return (n + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

/* Whether so much more is below the cap. */
static bool allows(struct arena *arena, size_t more)
{
	bool allowed = more <= arena->max && arena->used <= arena->max - more;

	arena->full |= !allowed;
	return allowed;
}

static bool add_chunk(struct arena *arena, size_t least)
{
	size_t size = arena->newest == NULL ? CHUNK_FIRST : arena->newest->size * 2;
	struct chunk *chunk;

	if (size > CHUNK_MOST)
		size = CHUNK_MOST;
	if (size < least)
		size = least;
	chunk = malloc(sizeof *chunk + size);
	if (chunk == NULL)
		return false;
	chunk->older = arena->newest;
	chunk->size = size;
	chunk->used = 0;
	arena->newest = chunk;
	return true;
}

void *arena_alloc(struct arena *arena, size_t n)
{
	struct chunk *chunk = arena->newest;
	void *p;

	if (!allows(arena, n))
		return NULL;
	n = aligned(n == 0 ? 1 : n);
	if (chunk == NULL || chunk->size - chunk->used < n) {
		if (!add_chunk(arena, n))
			return NULL;
		chunk = arena->newest;
	}
	p = (char *)chunk->bytes + chunk->used;
	chunk->used += n;
	arena->used += n;
	return memset(p, 0, n);
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
	if (size != 0 && count > SIZE_MAX / size)
		return NULL;
	return arena_alloc(arena, count * size);
}

static bool is_newest(const struct arena *arena, const void *p, size_t size)
{
	const struct chunk *chunk = arena->newest;

	return chunk != NULL && p != NULL && (const char *)p + aligned(size == 0 ? 1 : size) == (const char *)chunk->bytes + chunk->used;
}

void *arena_grow(struct arena *arena, void *p, size_t old, size_t n)
{
	struct chunk *chunk = arena->newest;
	void *moved;

	if (n <= old && p != NULL)
		return p;
	if (is_newest(arena, p, old)) {
		size_t more = aligned(n) - aligned(old == 0 ? 1 : old);

		if (!allows(arena, more))
			return NULL;
		if (chunk->size - chunk->used >= more) {
			memset((char *)chunk->bytes + chunk->used, 0, more);
			chunk->used += more;
			arena->used += more;
			return p;
		}
	}
	moved = arena_alloc(arena, n);
	if (moved != NULL && old != 0)
		memcpy(moved, p, old);
	return moved;
}

char *arena_strndup(struct arena *arena, const char *s, size_t n)
{
	char *copy = n == SIZE_MAX ? NULL : arena_alloc(arena, n + 1);

	if (copy != NULL && n != 0)
		memcpy(copy, s, n);
	return copy;
}

char *arena_strdup(struct arena *arena, const char *s)
{
	return s == NULL ? NULL : arena_strndup(arena, s, strlen(s));
}

char *arena_vprintf(struct arena *arena, const char *format, va_list ap)
{
	char small[256], *text = NULL;
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(small, sizeof small, format, again);
	va_end(again);
	if (n >= 0 && (size_t)n < sizeof small)
		return arena_strndup(arena, small, (size_t)n);
	if (n >= 0)
		text = arena_alloc(arena, (size_t)n + 1);
	if (text != NULL)
		vsnprintf(text, (size_t)n + 1, format, ap);
	return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	text = arena_vprintf(arena, format, ap);
	va_end(ap);
	return text;
}

enum rc arena_defer(struct arena *arena, void (*release)(void *object), void *object)
{
	struct deferred *d = arena_alloc(arena, sizeof *d);

	if (d == NULL) {
		release(object);
		return RC_NOMEM;
	}
	*d = (struct deferred){.older = arena->deferred, .release = release, .object = object};
	arena->deferred = d;
	return RC_OK;
}

bool arena_full(const struct arena *arena)
{
	return arena->full;
}

size_t arena_used(const struct arena *arena)
{
	return arena->used;
}
