/*
 * clock.h - time: a monotonic clock for deadlines, the wall clock for people.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Microseconds of CLOCK_MONOTONIC: comparable within this machine's uptime, over processes too. */
int64_t clock_us(void);

/* Nanoseconds since 1970, of the wall clock. */
int64_t clock_wall_ns(void);

/* Milliseconds left until the deadline (of clock_us), rounded up; 0 where it has passed; at most `most`. */
int clock_left_ms(int64_t deadline_us, int most);

#define CLOCK_STAMP_SIZE 32

/* UTC as RFC 3339 with milliseconds: "2026-11-23T12:30:28.123Z". */
const char *clock_stamp(char stamp[CLOCK_STAMP_SIZE]);

#endif
