/*
 * clock.c - time.
 */
#include "base/clock.h"

#include <time.h>

int64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int clock_left_ms(int64_t deadline_us, int most)
{
	int64_t left = (deadline_us - clock_us() + 999) / 1000;

	return left <= 0 ? 0 : left < most ? (int)left : most;
}

/* `digits` of them, and what comes behind. */
static char *put(char *out, int number, int digits, char behind)
{
	for (int i = digits; i-- > 0; number /= 10)
		out[i] = (char)('0' + number % 10);
	out[digits] = behind;
	return out + digits + 1;
}

const char *clock_stamp(char stamp[CLOCK_STAMP_SIZE])
{
	struct timespec now;
	char *out = stamp;
	struct tm utc;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	out = put(out, utc.tm_year + 1900, 4, '-');
	out = put(out, utc.tm_mon + 1, 2, '-');
	out = put(out, utc.tm_mday, 2, 'T');
	out = put(out, utc.tm_hour, 2, ':');
	out = put(out, utc.tm_min, 2, ':');
	out = put(out, utc.tm_sec, 2, '.');
	out = put(out, (int)(now.tv_nsec / 1000000), 3, 'Z');
	*out = '\0';
	return stamp;
}
