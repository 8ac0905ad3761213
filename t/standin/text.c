/*
 * text.c - the growing string.
 */
#include "text.h"

#include <err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *take(size_t n)
{
	void *p = calloc(1, n);

	if (p == NULL)
		err(1, "memory");
	return p;
}

char *take_copy(const char *s, size_t n)
{
	char *copy = take(n + 1);

	memcpy(copy, s, n);
	return copy;
}

static void reserve(struct text *text, size_t n)
{
	if (text->room > text->len + n)
		return;
	text->room = (text->len + n + 1) * 2;
	text->data = realloc(text->data, text->room);
	if (text->data == NULL)
		err(1, "memory");
}

void text_add(struct text *text, const void *bytes, size_t n)
{
	reserve(text, n);
	memcpy(text->data + text->len, bytes, n);
	text->len += n;
	text->data[text->len] = '\0';
}

void text_puts(struct text *text, const char *s)
{
	text_add(text, s, strlen(s));
}

void text_printf(struct text *text, const char *format, ...)
{
	va_list ap;
	size_t n;

	reserve(text, 128);
	va_start(ap, format);
	n = (size_t)vsnprintf(text->data + text->len, text->room - text->len, format, ap);
	va_end(ap);
	if (n >= text->room - text->len) {
		reserve(text, n);
		va_start(ap, format);
		vsnprintf(text->data + text->len, n + 1, format, ap);
		va_end(ap);
	}
	text->len += n;
}

void text_json(struct text *text, const char *s, size_t n)
{
	text_add(text, "\"", 1);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			text_printf(text, "\\%c", c);
		else if (c < 0x20)
			text_printf(text, "\\u%04x", c);
		else
			text_add(text, &s[i], 1);
	}
	text_add(text, "\"", 1);
}

void text_fill(struct text *text, char fill, size_t n)
{
	reserve(text, n);
	memset(text->data + text->len, fill, n);
	text->len += n;
	text->data[text->len] = '\0';
}

void text_clear(struct text *text)
{
	text->len = 0;
	if (text->data != NULL)
		text->data[0] = '\0';
}

void text_free(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}
