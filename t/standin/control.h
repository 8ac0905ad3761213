/*
 * control.h - the paths under /_ by which a test asks what the stand-in saw, waits for it, and tells it what to do.
 *
 *   GET  /_counts                     the counters as JSON
 *   GET  /_wait?NAME=N&timeout_ms=MS  answers when the counter NAME has reached N (408 when the time is over), with the counters
 *   GET  /_last                       the last call: method, path, headers without the key, body
 *   GET  /_calls                      the calls that are over, a line each (record.h), where the stand-in was started with --record
 *   POST /_release                    lets all that waits at a gate go on
 *   POST /_next?calls=N               the next N calls go as the body's words say, as a directive would
 *   POST /_reset                      zeroes the counters, forgets /_next and /_calls
 */
#ifndef STANDIN_CONTROL_H
#define STANDIN_CONTROL_H

#include "http.h"

struct event_base;

void control_setup(struct event_base *base);
void control_answer(struct http_conn *conn, const struct http_request *request);

/* Keeps a copy of the call for /_last. */
void control_remember(const struct http_request *request);

#endif
