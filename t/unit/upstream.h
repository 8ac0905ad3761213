/*
 * upstream.h - an HTTP server inside a test: what it answers, byte by byte and moment by moment, is a function of the test's.
 */
#ifndef UNIT_UPSTREAM_H
#define UNIT_UPSTREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct upstream;
struct upstream_conn;

/* Answers one request (its head and body, NUL-terminated). The connection stays open for the next one unless upstream_close was called. */
typedef void upstream_serve(struct upstream_conn *conn, const char *request, void *user);

/* How to show a certificate. */
struct upstream_tls {
	const char *name;    /* "IP:127.0.0.1", "DNS:elsewhere.test" */
	const char *ca_file; /* is written: the certificate of the authority that signed ours */
	bool old;            /* TLS 1.1 at most */
};

/* Listens on a free port of 127.0.0.1. Aborts the test when it cannot. */
struct upstream *upstream_new(upstream_serve *serve, void *user, const struct upstream_tls *tls);
/* Ends all of them and their threads: for a test's tear-down, after its own connections are closed. */
void upstream_stop_all(void);

int upstream_port(const struct upstream *up);
int upstream_connections(const struct upstream *up);
int upstream_requests(const struct upstream *up);
int upstream_resumed(const struct upstream *up); /* TLS sessions */

/* Waits until every request that was read is served, so that what it is served from may be changed; two seconds at most. */
void upstream_settle(struct upstream *up);

/* Waits until so many connections have ended; false after two seconds. */
bool upstream_wait_closed(struct upstream *up, int count);

/* false when the other side has gone. */
bool upstream_send(struct upstream_conn *conn, const char *bytes, size_t n);
bool upstream_text(struct upstream_conn *conn, const char *text);
bool upstream_printf(struct upstream_conn *conn, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "HTTP/1.1 200 OK" with a length and the body. */
bool upstream_answer(struct upstream_conn *conn, int status, const char *headers, const char *body);
void upstream_close(struct upstream_conn *conn);
void upstream_reset(struct upstream_conn *conn); /* with an RST */
void upstream_pause(int ms);
/* Waits until the other side closes; false after two seconds. */
bool upstream_wait_gone(struct upstream_conn *conn);

/* A loopback port that nobody listens on; and one whose queue is full, so that connecting to it never ends. */
int upstream_dead_port(void);
int upstream_stuck_port(void);

#endif
