/*
 * frontmatter_body.c - where in a file front matter begins and ends, and what the template behind it is.
 */
#include <string.h>

#include "prompt/frontmatter_key.h"
#include "prompt/template_lex.h"

/* With its end: LF, CRLF, or the CR of old. */
static size_t line_length(const char *text, size_t n)
{
	size_t len = 0;

	while (len < n && text[len] != '\n' && text[len] != '\r')
		len++;
	if (len + 1 < n && text[len] == '\r' && text[len + 1] == '\n')
		len++;
	return len < n ? len + 1 : n;
}

static bool is_blank(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strchr(" \t\r\n", text[i]) == NULL || text[i] == '\0')
			return false;
	return true;
}

static bool is_fence(const char *line, size_t n)
{
	return n >= 3 && memcmp(line, "---", 3) == 0 && is_blank(line + 3, n - 3);
}

/* The offset of the line that opens front matter: the first, but for blank ones and a header of comments. n where none does. */
static size_t find_start(const char *text, size_t n)
{
	size_t at = 0, len;

	while (at < n && !is_fence(text + at, len = line_length(text + at, n - at))) {
		if (text[at] != '#' && !is_blank(text + at, len))
			return n;
		at += len;
	}
	return at;
}

/* The offset of the line that closes it, from the opening one on; n where none does. */
static size_t find_end(const char *text, size_t n, size_t start)
{
	size_t at = start + line_length(text + start, n - start);

	while (at < n && !is_fence(text + at, line_length(text + at, n - at)))
		at += line_length(text + at, n - at);
	return at;
}

/* Dotprompt drops the white space before and behind the template (JavaScript's, String.prototype.trim). */
static void find_body(const char *text, size_t n, size_t at, struct frontmatter_body *body)
{
	size_t len;

	*body = (struct frontmatter_body){.line = 1, .column = 1};
	while (at < n && (len = lexer_space(text + at, n - at)) > 0)
		at += len;
	while (n > at && (len = lexer_space_before(text + at, n - at)) > 0)
		n -= len;
	for (size_t i = 0; i < at; i++) {
		bool ends = text[i] == '\n' || (text[i] == '\r' && (i + 1 == at || text[i + 1] != '\n'));

		body->line += ends;
		body->column = ends ? 1 : body->column + (((unsigned char)text[i] & 0xC0) != 0x80);
	}
	body->text = text + at;
	body->len = n - at;
}

enum rc frontmatter_find(const char *text, size_t n, size_t *end, struct frontmatter_body *body)
{
	size_t start = find_start(text, n), at = start < n ? find_end(text, n, start) : n;

	if (start == 0 && n > 0 && at >= n)
		return RC_INVALID;
	*end = at < n ? at : 0;
	if (at < n)
		find_body(text, n, at + line_length(text + at, n - at), body);
	else
		*body = (struct frontmatter_body){.text = text, .len = n, .line = 1, .column = 1};
	return RC_OK;
}
