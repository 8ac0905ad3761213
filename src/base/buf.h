/*
 * buf.h - a growing string of bytes in an arena, capped at birth.
 *
 * The first failure (out of memory, past the cap) is latched: later writes do nothing and return the same result, so a
 * writer may check once at the end. The content is always followed by a NUL that does not count.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdint.h>

#include "base/arena.h"

struct buf {
	char *data;  /* NUL-terminated; NULL until the first write */
	size_t len;  /* bytes written, without the NUL */
	size_t room; /* bytes allocated */
	size_t max;  /* len never passes this */
	struct arena *arena;
	enum rc rc;  /* the first failure, or RC_OK */
};

/* An empty buffer for at most `max` bytes. Allocates nothing. */
void buf_init(struct buf *buf, struct arena *arena, size_t max);

/* Empties it and clears a latched failure; keeps the memory. */
void buf_clear(struct buf *buf);

/* Each appends; RC_TOOBIG past the cap (nothing is appended then), RC_NOMEM, or the latched failure. */
enum rc buf_add(struct buf *buf, const void *bytes, size_t n);
enum rc buf_puts(struct buf *buf, const char *s);
enum rc buf_putc(struct buf *buf, char c);
enum rc buf_strings(struct buf *buf, ...) __attribute__((sentinel)); /* each a string, the last NULL: far cheaper than buf_printf */
enum rc buf_int(struct buf *buf, int64_t number);
enum rc buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);

/* Appends `n` bytes of UTF-8 as a JSON string with its quotes (RFC 8259): control characters escaped, nothing else. */
enum rc buf_json_string(struct buf *buf, const char *s, size_t n);

/* The content as a C string, "" where nothing was written. Owned by the arena; valid until the next write. */
const char *buf_text(const struct buf *buf);

#endif
