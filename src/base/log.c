/*
 * log.c - structured lines.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static int log_fd = STDERR_FILENO;
static enum log_level log_least = LOG_INFO_;

void log_open(int fd, enum log_level least)
{
	log_fd = fd;
	log_least = least;
}

enum rc log_level_parse(const char *name, enum log_level *level)
{
	if (str_eq(name, "notice"))
		name = "info";
	for (size_t i = 0; i < COUNT_OF(level_names); i++) {
		if (str_eq(name, level_names[i])) {
			*level = (enum log_level)i;
			return RC_OK;
		}
	}
	return RC_INVALID;
}

/* Leaves room for the newline and the NUL. */
static void put(struct log_line *line, const char *bytes, size_t n)
{
	size_t room = LOG_LINE_MAX - 2 - line->len;

	if (n > room)
		n = room;
	memcpy(line->text + line->len, bytes, n);
	line->len += n;
}

static void puts_(struct log_line *line, const char *s)
{
	put(line, s, strlen(s));
}

void log_begin(struct log_line *line, enum log_level level, const char *event)
{
	char stamp[CLOCK_STAMP_SIZE];

	line->level = level;
	line->len = 0;
	puts_(line, clock_stamp(stamp));
	puts_(line, " ");
	puts_(line, level_names[level]);
	puts_(line, " ");
	puts_(line, event);
}

static bool needs_quotes(const char *s)
{
	if (*s == '\0')
		return true;
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || *s == '"' || *s == '\\' || *s == '=' || (unsigned char)*s >= 0x7f)
			return true;
	return false;
}

/* The length of the character of several bytes that begins here; 0 for what is none, and for a control character, which may command a terminal. */
static size_t wide_character(const char *s)
{
	unsigned char first = (unsigned char)*s;
	size_t n = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

	if (first < 0x80 || strnlen(s, n) < n || !str_utf8_valid(s, n))
		return 0;
	return first == 0xc2 && (unsigned char)s[1] < 0xa0 ? 0 : n;
}

static void put_escaped(struct log_line *line, unsigned char c)
{
	char hex[8];

	if (c == '"' || c == '\\') {
		put(line, "\\", 1);
		put(line, (const char *)&c, 1);
	} else if (c == '\n') {
		put(line, "\\n", 2);
	} else if (c < ' ' || c >= 0x7f) {
		snprintf(hex, sizeof hex, "\\x%02x", c);
		puts_(line, hex);
	} else {
		put(line, (const char *)&c, 1);
	}
}

void log_str(struct log_line *line, const char *key, const char *value)
{
	if (value == NULL)
		return;
	puts_(line, " ");
	puts_(line, key);
	puts_(line, "=");
	if (!needs_quotes(value)) {
		puts_(line, value);
		return;
	}
	puts_(line, "\"");
	while (*value != '\0') {
		size_t n = wide_character(value);

		if (n > 0)
			put(line, value, n);
		else
			put_escaped(line, (unsigned char)*value);
		value += n > 0 ? n : 1;
	}
	puts_(line, "\"");
}

void log_int(struct log_line *line, const char *key, int64_t value)
{
	char digits[STR_INT_SIZE];

	str_write_int(digits, value);
	log_str(line, key, digits);
}

void log_send_to(struct log_line *line, int fd)
{
	ssize_t n;

	line->len = str_utf8_whole(line->text, line->len); /* the cap may have come in the middle of a character */
	line->text[line->len++] = '\n';
	n = write(fd, line->text, line->len);
	(void)n; /* a log that cannot be written to must not stop a request */
}

void log_send(struct log_line *line)
{
	if (line->level >= log_least)
		log_send_to(line, log_fd);
}

void log_msg(enum log_level level, const char *event, const char *format, ...)
{
	struct log_line line;
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	log_begin(&line, level, event);
	log_str(&line, "msg", text);
	log_send(&line);
}
