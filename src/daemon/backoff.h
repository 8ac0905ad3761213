/*
 * backoff.h - when to start a child again that has ended.
 */
#ifndef DAEMON_BACKOFF_H
#define DAEMON_BACKOFF_H

#include <stdint.h>

/* The time (of clock_us) to start the next one: at once after a life of a second or more and after the first short one, then 100 ms, 200 ms and
 * so on up to 10 s later. `started` is when the one that ended was started; *quick_ends counts the short lives in a row. */
int64_t backoff_after(unsigned *quick_ends, int64_t started);

#endif
