/*
 * load_stats.c - the samples.
 */
#include "load_stats.h"

#include <err.h>
#include <stdlib.h>
#include <time.h>

int64_t stats_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

void stats_add(struct samples *samples, int64_t us)
{
	if (samples->count == samples->room) {
		samples->room = samples->room * 2 + 1024;
		samples->at = reallocarray(samples->at, samples->room, sizeof *samples->at);
		if (samples->at == NULL)
			err(1, "memory");
	}
	samples->at[samples->count++] = us;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int64_t stats_percentile(struct samples *samples, double percent)
{
	size_t i = (size_t)((double)samples->count * percent / 100);

	if (samples->count == 0)
		return 0;
	qsort(samples->at, samples->count, sizeof *samples->at, compare);
	return samples->at[i < samples->count ? i : samples->count - 1];
}
