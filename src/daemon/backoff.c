/*
 * backoff.c - pauses that double.
 */
#include "daemon/backoff.h"

#include "base/clock.h"

#define QUICK_US 1000000
#define FIRST_US 100000
#define LONGEST_US 10000000

int64_t backoff_after(unsigned *quick_ends, int64_t started)
{
	int64_t now = clock_us(), pause = FIRST_US;

	if (now - started >= QUICK_US) {
		*quick_ends = 0;
		return now;
	}
	if ((*quick_ends)++ == 0)
		return now;
	for (unsigned i = 2; i < *quick_ends && pause < LONGEST_US; i++)
		pause *= 2;
	return now + (pause < LONGEST_US ? pause : LONGEST_US);
}
