/*
 * rate.h - a rate limit as people write it: "5/hour", "10/second burst 20".
 */
#ifndef BASE_RATE_H
#define BASE_RATE_H

#include <stdbool.h>

#include "base/rc.h"

/* A bucket of `burst` places (the count, where burst is 0) in which a place comes back every period_s / count seconds. Count 0: no limit. */
struct rate {
	int count, period_s, burst;
};

/* COUNT "/" ("second" | "minute" | "hour" | "day") [ "burst" COUNT ]. RC_INVALID for anything else, and *out is untouched. */
enum rc rate_parse(const char *text, struct rate *out) MUST_CHECK;

/* Whether they let the same through. */
bool rate_equal(struct rate a, struct rate b);

/* What keeps to both. */
struct rate rate_tighter(struct rate a, struct rate b);

#endif
