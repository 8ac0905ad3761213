/*
 * clock.c - time.
 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

int64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int clock_left_ms(int64_t deadline_us, int most)
{
	int64_t left = (deadline_us - clock_us() + 999) / 1000;

	return left <= 0 ? 0 : left < most ? (int)left : most;
}

const char *clock_stamp(char stamp[CLOCK_STAMP_SIZE])
{
	struct timespec now;
	struct tm utc;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	n = strftime(stamp, CLOCK_STAMP_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(stamp + n, CLOCK_STAMP_SIZE - n, ".%03dZ", (int)(now.tv_nsec / 1000000) % 1000);
	return stamp;
}
