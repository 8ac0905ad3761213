/*
 * fcgi.h - FastCGI, through libfcgi (the only file that includes it is fcgi.c).
 *
 * A `struct fcgi` is one thread's place for one request at a time. Accepting needs no lock: threads of many processes block in
 * accept on the same socket, and the kernel wakes one, in turn.
 */
#ifndef PORT_FCGI_H
#define PORT_FCGI_H

#include <signal.h>
#include <stdbool.h>

#include "base/buf.h"

struct fcgi;

/* What wakes a thread that waits in fcgi_wait, by pthread_kill after fcgi_shutdown. Block it before the threads start: fcgi_wait lets it in, and
 * nothing else does, so that it never cuts short the reading of a request. */
#define FCGI_WAKE SIGUSR2

/* Once per process, before any thread: libfcgi's own signal handlers are put away again, SIGPIPE is ignored, FCGI_WAKE gets its handler. */
enum rc fcgi_init(void) MUST_CHECK;

/* Who may connect over TCP, as addresses separated by commas; "" (and until it is called) for this machine alone. Once per process, before any
 * thread. RC_INVALID for what is no address, RC_TOOBIG for more than 64 of them. */
enum rc fcgi_allow(const char *addresses) MUST_CHECK;

/* Whether fd 0 is a listening socket that spawn-fcgi, lighttpd (bin-path) or mod_fcgid handed us. Ask before opening any file. */
bool fcgi_inherited(void);

/* Listens on "/path" or "host:port", "[::1]:port" or ":port" (loopback unless a host is named). A stale socket file of no living server is
 * replaced; a live one is RC_UNAVAILABLE, as is a port in use. A new socket file has mode 0600: its owner and mode are the caller's to set.
 * RC_INVALID where the address has no such form, or the path is there and no socket; RC_NOTFOUND where the host is unknown; RC_SYS. *fd is the
 * caller's. */
enum rc fcgi_listen(const char *address, int backlog, int *fd) MUST_CHECK;

/* A place for requests of the listening socket. The caller owns it: fcgi_free. */
enum rc fcgi_new(int listen_fd, struct fcgi **out) MUST_CHECK;
void fcgi_free(struct fcgi *fcgi);

/* Waits for a connection. RC_OK: fcgi_begin comes next. RC_DONE when the process is shutting down (fcgi_shutdown); RC_PROTOCOL on a connection that
 * broke and RC_DENIED on one from a peer that is not allowed: wait again; RC_SYS (out of descriptors, say): wait again after a pause. */
enum rc fcgi_wait(struct fcgi *fcgi) MUST_CHECK;

/* Reads the parameters of the request on the connection that fcgi_wait took. RC_PROTOCOL when they are bad or do not come: wait again. */
enum rc fcgi_begin(struct fcgi *fcgi) MUST_CHECK;

/* Both, one after the other. */
enum rc fcgi_accept(struct fcgi *fcgi) MUST_CHECK;

/* From now on every fcgi_wait of this process ends with RC_DONE; blocked ones need FCGI_WAKE to notice, again and again until they have,
 * because it may come just before they block. Async-signal-safe. */
void fcgi_shutdown(void);

/* A parameter of the request (REQUEST_URI, HTTP_AUTHORIZATION…), NULL where there is none. Valid until fcgi_finish. */
const char *fcgi_param(const struct fcgi *fcgi, const char *name);

/* REQUEST_URI from its path on, with the query: of a request for a whole URL (RFC 9112 §3.2.2) Apache passes that on. NULL where there is none. */
const char *fcgi_uri(const struct fcgi *fcgi);

/* Reads the body, once, to its end (always to the end: an undrained body makes front ends fail the request). Past `max` bytes it is still drained,
 * but not kept: RC_TOOBIG. RC_PROTOCOL when it broke off, RC_NOMEM. */
enum rc fcgi_body(struct fcgi *fcgi, struct arena *arena, size_t max, const char **body, size_t *len) MUST_CHECK;

/* Writes; RC_GONE when the front end has closed, or has taken nothing for the send time-out. Bytes go out when the buffer (8 KB) is full
 * or at fcgi_flush. */
enum rc fcgi_write(struct fcgi *fcgi, const void *bytes, size_t n) MUST_CHECK;
enum rc fcgi_flush(struct fcgi *fcgi) MUST_CHECK;

/* How long one write may block, in milliseconds: of this request, and of all later ones of this place. 30 seconds until it is called. */
void fcgi_send_timeout(struct fcgi *fcgi, int milliseconds);

/* Whether it is measured how long writes and the finish take, of all later requests of this place: until it is called, it is not. */
void fcgi_measure_sending(struct fcgi *fcgi, bool measure);

/* That, in microseconds, of this request, or of the one that was finished last; 0 where it is not measured. */
int64_t fcgi_sending_us(const struct fcgi *fcgi);

/* The connection's descriptor, to watch for the caller's leaving (it turns readable); -1 outside a request. */
int fcgi_fd(const struct fcgi *fcgi);

/* Whether the front end has closed its side. Does not block and reads nothing. */
bool fcgi_gone(const struct fcgi *fcgi);

/* Flushes, ends the request and closes the connection. RC_GONE when the last bytes could not be delivered. */
enum rc fcgi_finish(struct fcgi *fcgi);

#endif
