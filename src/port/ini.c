/*
 * ini.c - settings files, through inih.
 *
 * inih hands out names and values; what it leaves open is decided here: lines are counted and capped, a value may stand in double quotes, a comment
 * may follow it, and "${NAME}" is replaced last, so that nothing in an environment variable is taken for a quote or a comment.
 */
#include "port/ini.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_ 4096  /* bytes of a line in the file */
#define VALUE_MAX_ 8192 /* bytes of a value once replaced */

struct reading {
	FILE *file;
	char *line;
	size_t room;
	unsigned number;
	ini_entry *entry;
	void *user;
	struct ini_error *error;
	bool failed;
};

PRINTF_LIKE(2, 3) static void fail(struct reading *reading, const char *format, ...)
{
	va_list ap;

	if (reading->failed)
		return;
	reading->failed = true;
	reading->error->line = reading->number;
	va_start(ap, format);
	vsnprintf(reading->error->reason, sizeof reading->error->reason, format, ap);
	va_end(ap);
}

/* inih says nothing of a section without settings. What is no heading, it finds out itself. */
static void begin_section(struct reading *reading, const char *line)
{
	const char *start = line + strspn(line, " \t"), *end = strchr(start, ']'), *wrong;
	char section[64];

	if (*start != '[' || end == NULL || end - start > (ptrdiff_t)sizeof section)
		return;
	snprintf(section, sizeof section, "%.*s", (int)(end - start - 1), start + 1);
	wrong = reading->entry(reading->user, section, NULL, NULL, reading->number);
	if (wrong != NULL)
		fail(reading, "[%s]: %s", section, wrong);
}

/* inih's fgets: one whole line a call, or NULL at the end and after a failure. */
static char *next_line(char *out, int size, void *stream)
{
	struct reading *reading = stream;
	ssize_t n;

	if (reading->failed)
		return NULL;
	errno = 0;
	n = getline(&reading->line, &reading->room, reading->file);
	if (n < 0) {
		if (ferror(reading->file))
			fail(reading, "cannot be read: %s", strerror(errno));
		return NULL;
	}
	reading->number++;
	if (n >= LINE_MAX_ || n >= size) {
		fail(reading, "the line is longer than %d bytes", LINE_MAX_ - 1);
		return NULL;
	}
	if (memchr(reading->line, '\0', (size_t)n) != NULL) {
		fail(reading, "there is a NUL byte in the line");
		return NULL;
	}
	begin_section(reading, reading->line);
	memcpy(out, reading->line, (size_t)n + 1);
	return reading->failed ? NULL : out;
}

/* What follows a closing quote: nothing, or a comment. */
static bool is_rest(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return *s == '\0' || *s == ';';
}

/* Takes the quotes off in place; \" and \\ stand for what follows the backslash. */
static const char *unquote(char *value)
{
	char *to = value;

	for (char *from = value + 1; *from != '\0'; from++) {
		if (*from == '"') {
			*to = '\0';
			return is_rest(from + 1) ? NULL : "there is something behind the closing quote";
		}
		if (*from == '\\' && (from[1] == '"' || from[1] == '\\'))
			from++;
		*to++ = *from;
	}
	return "the closing quote is missing";
}

/* Takes away a comment and the blanks before it. */
static void cut_comment(char *value)
{
	char *end = value;

	while (*end != '\0' && !(*end == ';' && (end == value || isspace((unsigned char)end[-1]))))
		end++;
	while (end > value && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
}

static size_t name_length(const char *s)
{
	size_t n = 0;

	while (isalnum((unsigned char)s[n]) || s[n] == '_')
		n++;
	return n;
}

/* Copies with each ${NAME} replaced. */
static const char *expand(const char *from, char *out, size_t size)
{
	char name[256];
	size_t len = 0;

	while (*from != '\0') {
		const char *piece = from;
		size_t n = 1;

		if (from[0] == '$' && from[1] == '{') {
			n = name_length(from + 2);
			if (n == 0 || n >= sizeof name || from[2 + n] != '}')
				return "\"${\" must be followed by the name of an environment variable and \"}\"";
			memcpy(name, from + 2, n);
			name[n] = '\0';
			from += n + 3;
			piece = getenv(name) != NULL ? getenv(name) : "";
			n = strlen(piece);
		} else {
			from++;
		}
		if (n >= size - len)
			return "the value is too long";
		memcpy(out + len, piece, n);
		len += n;
	}
	out[len] = '\0';
	return NULL;
}

static int take(void *user, const char *section, const char *name, const char *value)
{
	struct reading *reading = user;
	char plain[LINE_MAX_], expanded[VALUE_MAX_];
	const char *wrong = NULL;

	snprintf(plain, sizeof plain, "%s", value);
	if (*section == '\0')
		wrong = "a setting must stand below a [section]";
	else if (plain[0] == '"')
		wrong = unquote(plain);
	else
		cut_comment(plain);
	if (wrong == NULL)
		wrong = expand(plain, expanded, sizeof expanded);
	if (wrong == NULL)
		wrong = reading->entry(reading->user, section, name, expanded, reading->number);
	if (wrong != NULL)
		fail(reading, "%s: %s", name, wrong);
	return wrong == NULL;
}

/* inih's settings are the process's; a file is read before there are threads. */
static void configure(void)
{
	ini_allow_multiline = false; /* an indented line is a line, not more of the one before */
	ini_allow_inline_comments = false; /* cut_comment knows of quotes */
	ini_use_stack = false;
	ini_allow_realloc = false;
	ini_initial_alloc = LINE_MAX_ + 1;
	ini_max_line = LINE_MAX_ + 1;
	ini_stop_on_first_error = true;
	ini_allow_no_value = false;
}

enum rc ini_read(const char *path, ini_entry *entry, void *user, struct ini_error *error)
{
	struct reading reading = {.file = fopen(path, "re"), .entry = entry, .user = user, .error = error};
	int line;

	*error = (struct ini_error){0};
	if (reading.file == NULL) {
		fail(&reading, "cannot be opened: %s", strerror(errno));
		return RC_SYS;
	}
	configure();
	line = ini_parse_stream(next_line, &reading, take, &reading);
	if (line > 0)
		fail(&reading, "is neither a [section] nor name = value");
	fclose(reading.file);
	free(reading.line);
	if (line == -2)
		return RC_NOMEM;
	if (!reading.failed)
		return RC_OK;
	return error->line == 0 ? RC_SYS : RC_INVALID;
}
