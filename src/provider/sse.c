/*
 * sse.c - reads Server-Sent Events. A line that lies whole within the bytes at hand is read where it lies; only what is cut is kept.
 */
#include "provider/sse.h"

#include <string.h>

#define NAME_MAX_ 256u
#define MARK "\xEF\xBB\xBF"
#define MARK_LEN 3u

void sse_init(struct sse *sse, struct arena *arena, size_t max, sse_handler *handler, void *user)
{
	*sse = (struct sse){.handler = handler, .user = user};
	buf_init(&sse->line, arena, max);
	buf_init(&sse->name, arena, NAME_MAX_);
	buf_init(&sse->data, arena, max);
}

static enum rc dispatch(struct sse *sse)
{
	struct sse_event event = {.name = sse->name.len == 0 ? "message" : buf_text(&sse->name), .data = buf_text(&sse->data), .len = sse->data.len};
	enum rc rc = sse->has_data ? sse->handler(sse->user, &event) : RC_OK;

	sse->has_data = false;
	buf_clear(&sse->name);
	buf_clear(&sse->data);
	return rc;
}

static enum rc add_data(struct sse *sse, const char *value, size_t n)
{
	if (sse->has_data)
		buf_putc(&sse->data, '\n');
	sse->has_data = true;
	return buf_add(&sse->data, value, n);
}

static enum rc set_name(struct sse *sse, const char *value, size_t n)
{
	buf_clear(&sse->name);
	return buf_add(&sse->name, value, n);
}

static bool field_is(const char *line, size_t field, const char *name)
{
	return field == strlen(name) && memcmp(line, name, field) == 0;
}

/* `id` and `retry` are for those who reconnect; a line that begins with a colon is a comment, and has no field's name. */
static enum rc take_line(struct sse *sse, const char *line, size_t n)
{
	const char *colon, *value;
	size_t field;

	if (n == 0)
		return dispatch(sse);
	colon = memchr(line, ':', n);
	field = colon == NULL ? n : (size_t)(colon - line);
	value = colon == NULL ? line + n : colon + 1;
	if (value < line + n && *value == ' ')
		value++;
	if (field_is(line, field, "data"))
		return add_data(sse, value, (size_t)(line + n - value));
	if (field_is(line, field, "event"))
		return set_name(sse, value, (size_t)(line + n - value));
	return RC_OK;
}

/* The mark is dropped from the first line, when that is whole. */
static enum rc end_line(struct sse *sse, const char *bytes, size_t n)
{
	enum rc rc;

	if (sse->line.len != 0) {
		rc = buf_add(&sse->line, bytes, n);
		if (rc != RC_OK)
			return rc;
		bytes = buf_text(&sse->line);
		n = sse->line.len;
	}
	if (!sse->begun && n >= MARK_LEN && memcmp(bytes, MARK, MARK_LEN) == 0) {
		bytes += MARK_LEN;
		n -= MARK_LEN;
	}
	sse->begun = true;
	rc = take_line(sse, bytes, n);
	buf_clear(&sse->line);
	return rc;
}

/* Where the line that begins at `bytes` ends; NULL where its end is yet to come. */
static const char *line_end(const char *bytes, size_t n)
{
	const char *lf = memchr(bytes, '\n', n);
	const char *cr = memchr(bytes, '\r', lf == NULL ? n : (size_t)(lf - bytes));

	return cr != NULL ? cr : lf;
}

enum rc sse_feed(struct sse *sse, const char *bytes, size_t n)
{
	const char *end, *stop = bytes + n;
	enum rc rc = RC_OK;

	if (n > 0 && sse->after_cr && *bytes == '\n')
		bytes++;
	if (n > 0)
		sse->after_cr = false;
	while (rc == RC_OK && bytes < stop && (end = line_end(bytes, (size_t)(stop - bytes))) != NULL) {
		rc = end_line(sse, bytes, (size_t)(end - bytes));
		bytes = end + 1;
		if (*end != '\r')
			continue;
		if (bytes == stop)
			sse->after_cr = true;
		else if (*bytes == '\n')
			bytes++;
	}
	return rc != RC_OK || bytes == stop ? rc : buf_add(&sse->line, bytes, (size_t)(stop - bytes));
}
