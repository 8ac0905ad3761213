/*
 * arena.h - memory that lives exactly as long as a request (or a loaded file).
 *
 * Everything of a request is allocated from its arena and goes with it at once: no step ever calls free. Foreign objects
 * (a PGresult, a curl list) are handed over with arena_defer on the line that creates them. An arena is used by one thread
 * at a time and has a cap, so that nothing from outside can make it grow without bound.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"

struct arena;

/* A new arena that hands out at most `max` bytes in all. NULL when out of memory. The caller owns it: arena_free. */
struct arena *arena_new(size_t max);

/* Runs the deferred calls, last first, and releases all memory. NULL is fine. */
void arena_free(struct arena *arena);

/* Runs the deferred calls, last first, and takes back all that was handed out: the arena is as new, but keeps its first, small block of memory for what comes next. */
void arena_clear(struct arena *arena);

/* `n` zeroed bytes, aligned for any type; NULL when out of memory or past the cap. Owned by the arena. */
void *arena_alloc(struct arena *arena, size_t n) MUST_CHECK;

/* `count` zeroed elements of `size` bytes; NULL also where the product overflows. */
void *arena_array(struct arena *arena, size_t count, size_t size) MUST_CHECK;

/* Grows the block at `p` (which was `old` bytes, NULL with 0 for a first one) to `n` bytes: in place where it is the arena's newest block,
 * else by copying. What is new of it is zeroed. NULL as arena_alloc; the old block stays valid then. */
void *arena_grow(struct arena *arena, void *p, size_t old, size_t n) MUST_CHECK;

/* Copies, NUL-terminated; NULL as arena_alloc. arena_strdup(arena, NULL) is NULL. */
char *arena_strdup(struct arena *arena, const char *s) MUST_CHECK;
char *arena_strndup(struct arena *arena, const char *s, size_t n) MUST_CHECK;
char *arena_printf(struct arena *arena, const char *format, ...) MUST_CHECK PRINTF_LIKE(2, 3);
char *arena_vprintf(struct arena *arena, const char *format, va_list ap) MUST_CHECK;

/* Calls release(object) when the arena goes. On RC_NOMEM it has already been called, so the object never leaks. */
enum rc arena_defer(struct arena *arena, void (*release)(void *object), void *object) MUST_CHECK;

/* Whether something was refused because of the cap: what had no memory then will have none the next time either. */
bool arena_full(const struct arena *arena);

/* Bytes handed out so far, for tests and the status page. */
size_t arena_used(const struct arena *arena);

#endif
