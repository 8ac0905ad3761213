/*
 * slow_log.h - entries of the requests that kept their callers waiting for longer than request_slowlog_timeout.
 *
 * What counts is the wait, not the length: an answer in one piece is waited for from its request to its last byte, a stream for its first text, then from each text to the next,
 * and from the last to the end. A stream that is long because much is said is not slow; one that stalls is. Heartbeats are no text.
 */
#ifndef REQUEST_SLOW_LOG_H
#define REQUEST_SLOW_LOG_H

#include "request/request.h"

/* Entries go there from now on; -1, and until it is called, nowhere. Before any thread; the fd may be replaced with dup2 for reopening. */
void slow_log_open(int fd);

/* Text came from the provider. Of a stream, the wait for it ends here, and the next begins. */
void slow_log_text(struct request *rq);

/* The request has ended, and the web server has its last byte: writes the entry, where it was slow. */
void slow_log_end(const struct request *rq);

#endif
