/*
 * http.h - connections that callers keep open: whole requests in, answers or streams out, and word of a caller who leaves.
 *
 * HTTP/1.1 with keep-alive, one request at a time on a connection. Bytes go to the socket at once where it takes them, so
 * that a stream's time stamps are not aged by an event loop.
 */
#ifndef STANDIN_HTTP_H
#define STANDIN_HTTP_H

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct http_conn;

#define HTTP_HEADERS_MAX 64

struct http_header {
	const char *name, *value;
};

/* A whole request; everything in it lives until its answer is complete. */
struct http_request {
	const char *method, *path, *query; /* query: "" where there is none */
	struct http_header headers[HTTP_HEADERS_MAX];
	size_t header_count;
	char *body; /* NUL-terminated */
	size_t body_len;
};

typedef void http_handler(struct http_conn *conn, const struct http_request *request);

/* Listens on 127.0.0.1:port (0: any) and gives each request to `handler`, which answers at once or later. Returns the port.
 * With both files named it speaks TLS. Ends the program where it cannot listen. */
int http_listen(struct event_base *base, int port, const char *cert_file, const char *key_file, http_handler *handler);

/* NULL where there is none; names compare without case. */
const char *http_header(const struct http_request *request, const char *name);

/* `gone(arg)` is called when the caller leaves before the answer is complete; never after it. */
void http_on_gone(struct http_conn *conn, void (*gone)(void *arg), void *arg);

/* A complete answer. `headers` are whole lines with their ends, or "". */
void http_answer(struct http_conn *conn, int status, const char *headers, const char *type, const void *body, size_t n);

/* Announces `promised` bytes of body, sends `n` and closes. */
void http_answer_cut(struct http_conn *conn, const char *type, size_t promised, const void *body, size_t n);

/* A stream: a head, chunks, an end. `split` > 0 makes chunks of so many bytes whatever is written. */
void http_stream_open(struct http_conn *conn, const char *type, size_t split);
void http_stream_write(struct http_conn *conn, const void *bytes, size_t n);
void http_stream_close(struct http_conn *conn);

/* Closes once everything written is out; with `reset`, at once and by RST. The connection must not be used afterwards. */
void http_cut(struct http_conn *conn, bool reset);

#endif
