/*
 * load_stats.h - every measured time is kept, so that a percentile is one that happened.
 */
#ifndef LOAD_STATS_H
#define LOAD_STATS_H

#include <stddef.h>
#include <stdint.h>

struct samples {
	int64_t *at; /* microseconds */
	size_t count, room;
};

/* Monotonic microseconds, the clock of the stand-in's <t=…> stamps. */
int64_t stats_now(void);

void stats_add(struct samples *samples, int64_t us);

/* The sample below which `percent` of them lie, in microseconds; 100 is the greatest, and 0 is answered where there are none. Sorts. */
int64_t stats_percentile(struct samples *samples, double percent);

#endif
