/*
 * http.h - one HTTP exchange with an upstream, through libcurl (which http_pair.h alone includes).
 *
 * One wait serves everything: the upstream's bytes, the caller's leaving (watch_fd), the deadline and the tick. Handles with their live connections
 * are kept in a LIFO pool per process, because accept wakes threads in turn and a handle per thread would go cold. The certificate store is read
 * once and shared.
 */
#ifndef PORT_HTTP_H
#define PORT_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

struct http_pool;

struct http_settings {
	const char *ca_file;    /* PEM bundle to verify upstreams with; NULL for the system's */
	const char *user_agent; /* sent with each request */
	unsigned keep;          /* handles kept open for reuse; more may be in use */
	int connect_timeout_ms;
};

/* Whether an exchange can be had with it: http or https, and a host. */
bool http_url_valid(const char *url);

/* Once per process, after fork. The caller owns the pool: http_pool_free when no exchange is under way. */
enum rc http_pool_new(const struct http_settings *settings, struct http_pool **out) MUST_CHECK;
void http_pool_free(struct http_pool *pool);

struct http_header {
	const char *name, *value; /* a value may be a secret: it is never logged */
};

struct http_call {
	const char *url; /* http or https */
	const struct http_header *headers;
	size_t header_count;
	const char *body; /* sent by POST */
	size_t body_len;
	int64_t deadline_us; /* of clock_us: the whole exchange ends by then */
	int idle_ms;         /* silence longer than this ends it; 0 for none */
	int watch_fd;        /* ends it when the peer behind this socket has gone; -1 for none */
	int tick_ms;         /* calls on_tick at least this often; 0 for never */

	/* A result other than RC_OK ends the exchange with it. RC_DONE says that enough was read: the rest is dropped, its end awaited for a moment, so
	 * that the connection stays of use, and the exchange is RC_OK. `status` is known from the first call on. */
	enum rc (*on_body)(void *user, int status, const char *bytes, size_t n);
	enum rc (*on_rest)(void *user); /* behind calls of on_body, before anything is waited for: no more bytes are at hand. May be NULL */
	enum rc (*on_tick)(void *user);
	void *user;
};

struct http_outcome {
	int status;                /* of the answer; 0 where none came */
	bool sent;                 /* whether any byte of the request may have reached the upstream: where not, nothing was spent */
	int retry_after_s;         /* from Retry-After, bounded to a day; 0 where there was none */
	int64_t first_byte_us;     /* from the start to the first byte of the body; 0 where none came */
	const char *detail;        /* a static word or curl's static text, for the log only */
};

/* RC_OK: the answer came to its end, whatever its status. RC_TIMEOUT (deadline or silence), RC_GONE (watch_fd closed), RC_UNAVAILABLE (no connection,
 * or TLS not to be trusted), RC_PROTOCOL (cut in the middle, garbage), RC_INVALID (no URL or header that can be sent), RC_NOMEM, or what a callback
 * returned. The outcome is filled in every case. */
enum rc http_exchange(struct http_pool *pool, struct arena *arena, const struct http_call *call, struct http_outcome *outcome) MUST_CHECK;

#endif
