/*
 * buf.c - growing strings.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define ROOM_FIRST 64u

void buf_init(struct buf *buf, struct arena *arena, size_t max)
{
	*buf = (struct buf){.arena = arena, .max = max};
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->rc = RC_OK;
	if (buf->data != NULL)
		buf->data[0] = '\0';
}

static enum rc reserve(struct buf *buf, size_t n)
{
	size_t need, room;
	char *data;

	if (buf->rc != RC_OK)
		return buf->rc;
	if (n > buf->max - buf->len)
		return buf->rc = RC_TOOBIG;
	need = buf->len + n + 1;
	if (need <= buf->room)
		return RC_OK;
	room = buf->room < ROOM_FIRST ? ROOM_FIRST : buf->room * 2;
	if (room < need)
		room = need;
	data = arena_grow(buf->arena, buf->data, buf->room, room);
	if (data == NULL)
		return buf->rc = RC_NOMEM;
	buf->data = data;
	buf->room = room;
	return RC_OK;
}

enum rc buf_add(struct buf *buf, const void *bytes, size_t n)
{
	enum rc rc = reserve(buf, n);

	if (rc != RC_OK)
		return rc;
	if (n != 0)
		memcpy(buf->data + buf->len, bytes, n);
	buf->len += n;
	buf->data[buf->len] = '\0';
	return RC_OK;
}

enum rc buf_puts(struct buf *buf, const char *s)
{
	return buf_add(buf, s, strlen(s));
}

enum rc buf_putc(struct buf *buf, char c)
{
	return buf_add(buf, &c, 1);
}

enum rc buf_strings(struct buf *buf, ...)
{
	va_list ap;

	va_start(ap, buf);
	for (const char *s; (s = va_arg(ap, const char *)) != NULL;)
		buf_puts(buf, s);
	va_end(ap);
	return buf->rc;
}

enum rc buf_int(struct buf *buf, int64_t number)
{
	char text[STR_INT_SIZE];

	return buf_add(buf, text, str_write_int(text, number));
}

/* Printed on the stack first: what fits there, as nearly everything does, is formatted once. */
enum rc buf_printf(struct buf *buf, const char *format, ...)
{
	char text[256];
	va_list ap;
	enum rc rc;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof text)
		return buf_add(buf, text, (size_t)n);
	rc = n < 0 ? RC_INVALID : reserve(buf, (size_t)n);
	if (rc != RC_OK)
		return rc;
	va_start(ap, format);
	vsnprintf(buf->data + buf->len, (size_t)n + 1, format, ap);
	va_end(ap);
	buf->len += (size_t)n;
	return RC_OK;
}

/* Half of a surrogate pair, as three bytes that are no UTF-8: JSON.stringify writes it as an escape (ECMA-262 §25.5.2.3). */
static bool is_surrogate(const char *s, size_t n)
{
	return n >= 3 && (unsigned char)s[0] == 0xED && (unsigned char)s[1] >= 0xA0;
}

/* Writes what str_json_plain stopped at, and returns how many bytes that was. */
static size_t escape(struct buf *buf, const char *s, size_t n)
{
	static const char letters[] = "\bb\ff\nn\rr\tt\"\"\\\\";
	unsigned char c = (unsigned char)*s;

	if (is_surrogate(s, n)) {
		buf_printf(buf, "\\u%04x", 0xD000u | ((unsigned char)s[1] & 0x3Fu) << 6 | ((unsigned char)s[2] & 0x3Fu));
		return 3;
	}
	if (c == 0xED) {
		buf_putc(buf, *s);
		return 1;
	}
	for (const char *l = letters; *l != '\0'; l += 2) {
		if ((unsigned char)l[0] == c) {
			char pair[] = {'\\', l[1]};

			buf_add(buf, pair, sizeof pair);
			return 1;
		}
	}
	buf_printf(buf, "\\u%04x", c);
	return 1;
}

enum rc buf_json_string(struct buf *buf, const char *s, size_t n)
{
	buf_putc(buf, '"');
	for (size_t i = 0; i < n;) {
		size_t plain = str_json_plain(s + i, n - i);

		buf_add(buf, s + i, plain);
		i += plain;
		if (i < n)
			i += escape(buf, s + i, n - i);
	}
	return buf_putc(buf, '"');
}

const char *buf_text(const struct buf *buf)
{
	return buf->data == NULL ? "" : buf->data;
}
