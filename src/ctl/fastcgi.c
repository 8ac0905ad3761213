/*
 * fastcgi.c - records of FastCGI, written and read.
 */
#include "ctl/fastcgi.h"

#include <string.h>

enum { BEGIN_REQUEST = 1, END_REQUEST = 3, PARAMS = 4, STDIN = 5, STDOUT = 6, STDERR = 7 };

#define VERSION 1
#define REQUEST_ID 1
#define RESPONDER 1
#define RECORD_MAX 65528 /* a multiple of eight below 64 KB: needs no padding */
#define PARAMS_MAX 262144

static void add_record(struct buf *out, int type, const char *content, size_t n)
{
	const char head[8] = {VERSION, (char)type, 0, REQUEST_ID, (char)(n >> 8), (char)n, 0, 0};

	buf_add(out, head, sizeof head);
	buf_add(out, content, n);
}

/* A stream is any number of records and an empty one. */
static void add_stream(struct buf *out, int type, const char *content, size_t n)
{
	while (n > 0) {
		size_t piece = n < RECORD_MAX ? n : RECORD_MAX;

		add_record(out, type, content, piece);
		content += piece;
		n -= piece;
	}
	add_record(out, type, "", 0);
}

static void add_length(struct buf *out, size_t n)
{
	const char four[4] = {(char)(n >> 24 | 0x80), (char)(n >> 16), (char)(n >> 8), (char)n};

	if (n < 128)
		buf_putc(out, (char)n);
	else
		buf_add(out, four, sizeof four);
}

enum rc fastcgi_request(struct buf *out, const struct fastcgi_param *params, size_t count, const char *body, size_t len)
{
	static const char begin[8] = {0, RESPONDER};
	struct buf pairs;

	buf_init(&pairs, out->arena, PARAMS_MAX);
	for (size_t i = 0; i < count; i++) {
		add_length(&pairs, strlen(params[i].name));
		add_length(&pairs, strlen(params[i].value));
		buf_puts(&pairs, params[i].name);
		buf_puts(&pairs, params[i].value);
	}
	if (pairs.rc != RC_OK)
		return pairs.rc;
	add_record(out, BEGIN_REQUEST, begin, sizeof begin);
	add_stream(out, PARAMS, buf_text(&pairs), pairs.len);
	add_stream(out, STDIN, body, len);
	return out->rc;
}

/* Collects a record's header; RC_DONE where more bytes are needed. */
static enum rc take_head(struct fastcgi_reader *reader, const char **bytes, size_t *n)
{
	while (reader->head_len < sizeof reader->head) {
		if (*n == 0)
			return RC_DONE;
		reader->head[reader->head_len++] = (unsigned char)*(*bytes)++;
		--*n;
		if (reader->head_len < sizeof reader->head)
			continue;
		if (reader->head[0] != VERSION)
			return RC_PROTOCOL;
		reader->content = (size_t)reader->head[4] << 8 | reader->head[5];
		reader->padding = reader->head[6];
	}
	return RC_OK;
}

static enum rc give(struct fastcgi_reader *reader, const char *bytes, size_t n)
{
	if (n == 0)
		return RC_OK;
	if (reader->head[1] == STDOUT)
		return reader->on_stdout(reader->user, bytes, n);
	return reader->head[1] == STDERR ? reader->on_stderr(reader->user, bytes, n) : RC_OK;
}

enum rc fastcgi_feed(struct fastcgi_reader *reader, const char *bytes, size_t n)
{
	enum rc rc;

	for (;;) {
		size_t content, padding;

		rc = take_head(reader, &bytes, &n);
		if (rc != RC_OK)
			return rc == RC_DONE ? RC_OK : rc;
		content = n < reader->content ? n : reader->content;
		rc = give(reader, bytes, content);
		if (rc != RC_OK)
			return rc;
		padding = n - content < reader->padding ? n - content : reader->padding;
		bytes += content + padding;
		n -= content + padding;
		reader->content -= content;
		reader->padding -= padding;
		if (reader->content > 0 || reader->padding > 0)
			return RC_OK;
		reader->head_len = 0;
		reader->ended = reader->ended || reader->head[1] == END_REQUEST;
	}
}
