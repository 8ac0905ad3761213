/*
 * counts.c - the counters.
 */
#include "counts.h"

#include <string.h>

#define STATUS_MAX 600

static const char *const names[COUNT_KINDS] = {
	"requests",     "plain", "streams",   "finished", "failed", "cancelled",     "unauthorized",  "open",
	"open_peak",    "gated", "pieces",    "prompt_tokens", "cached_tokens", "completion_tokens", "connections", "connections_open",
};
static long values[COUNT_KINDS];
static long by_status[STATUS_MAX];
static void (*watcher)(void);

void counts_watch(void (*changed)(void))
{
	watcher = changed;
}

void counts_add(enum count kind, long n)
{
	values[kind] += n;
	if (kind == OPEN && values[OPEN] > values[OPEN_PEAK])
		values[OPEN_PEAK] = values[OPEN];
	if (watcher != NULL)
		watcher();
}

void counts_status(int status)
{
	if (status > 0 && status < STATUS_MAX)
		by_status[status]++;
}

long counts_value(enum count kind)
{
	return values[kind];
}

enum count counts_find(const char *name, size_t n)
{
	for (int i = 0; i < COUNT_KINDS; i++)
		if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0)
			return (enum count)i;
	return COUNT_KINDS;
}

void counts_reset(void)
{
	for (int i = 0; i < COUNT_KINDS; i++)
		if (i != OPEN && i != GATED && i != CONNECTIONS_OPEN)
			values[i] = 0;
	values[OPEN_PEAK] = values[OPEN];
	memset(by_status, 0, sizeof by_status);
}

void counts_print(struct text *out)
{
	const char *separator = "";

	text_puts(out, "{");
	for (int i = 0; i < COUNT_KINDS; i++)
		text_printf(out, "\"%s\": %ld, ", names[i], values[i]);
	text_puts(out, "\"by_status\": {");
	for (int i = 0; i < STATUS_MAX; i++) {
		if (by_status[i] == 0)
			continue;
		text_printf(out, "%s\"%d\": %ld", separator, i, by_status[i]);
		separator = ", ";
	}
	text_puts(out, "}}");
}
