/*
 * fastcgi.h - the web server's side of FastCGI, as far as one request needs it: what `promptctl call` speaks to the pipeline with.
 *
 * FastCGI Specification 1.0 (Open Market, 1996): one request on one connection, role responder.
 */
#ifndef CTL_FASTCGI_H
#define CTL_FASTCGI_H

#include <stdbool.h>

#include "base/buf.h"

struct fastcgi_param {
	const char *name, *value;
};

/* Appends a whole request: its begin, its parameters, its body. RC_TOOBIG, RC_NOMEM. */
enum rc fastcgi_request(struct buf *out, const struct fastcgi_param *params, size_t count, const char *body, size_t len) MUST_CHECK;

/* Takes in what the application sent, in any pieces. */
struct fastcgi_reader {
	unsigned char head[8];
	size_t head_len;   /* of the record's header that came so far */
	size_t content;    /* bytes of content still to come */
	size_t padding;    /* bytes of padding still to come */
	bool ended;        /* the request is over */
	enum rc (*on_stdout)(void *user, const char *bytes, size_t n);
	enum rc (*on_stderr)(void *user, const char *bytes, size_t n);
	void *user;
};

/* RC_OK, RC_PROTOCOL, or what a callback returned. */
enum rc fastcgi_feed(struct fastcgi_reader *reader, const char *bytes, size_t n) MUST_CHECK;

#endif
