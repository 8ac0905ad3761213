/*
 * text.h - a growing string for the stand-in: it ends the program when memory runs out, as a test tool may.
 *
 * The stand-in shares no code with the daemon, so that a fault of the one cannot hide in the other.
 */
#ifndef STANDIN_TEXT_H
#define STANDIN_TEXT_H

#include <stddef.h>

struct text {
	char *data; /* NUL-terminated once anything was added */
	size_t len, room;
};

void text_add(struct text *text, const void *bytes, size_t n);
void text_puts(struct text *text, const char *s);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends `n` bytes as a JSON string with its quotes. */
void text_json(struct text *text, const char *s, size_t n);

/* Appends `n` bytes of `fill`. */
void text_fill(struct text *text, char fill, size_t n);

void text_clear(struct text *text);
void text_free(struct text *text);

/* Memory or the end of the program. */
void *take(size_t n);
char *take_copy(const char *s, size_t n);

#endif
