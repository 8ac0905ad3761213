/*
 * load_client.h - callers: each keeps one connection busy with requests until there are no more to make, and tells what it saw in the tally.
 */
#ifndef LOAD_CLIENT_H
#define LOAD_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "load_stats.h"

#define LOAD_STATUS_MAX 600

struct event_base;

/* What to do; const while it runs. */
struct load_plan {
	struct sockaddr_in to;
	const char *host, *path;      /* of the request line and the Host header */
	const char *const *bodies;    /* taken in turn; %n in them becomes a number of its own in each request */
	long body_count;
	const char *const *keys;      /* of callers, in turn; none: no Authorization */
	long key_count;
	const char *const *headers;   /* further lines without their ends */
	long header_count;
	const char *expect;           /* must stand near the end of a good answer; NULL: nothing must */
	long callers;                 /* connections at once */
	long requests;                /* in all; 0: until the time is over */
	long cut_max;                 /* > 0: leave after a random number of bytes of body, below this */
	bool one_each;                /* each caller makes one request and closes */
	int64_t first_number, stop_at; /* of %n; when no more requests are begun, by stats_now() */
};

struct load_tally {
	long begun, ended;       /* requests */
	long good;               /* 2xx, whole, with what was expected */
	long refused;            /* another status */
	long incomplete;         /* cut before its end, or without what was expected */
	long unconnected;        /* no connection, or none of the answer came */
	long retried;            /* sent again, as the server had closed the idle connection */
	long left;               /* left by us, as cut_max wants it */
	long pieces;             /* <t=…> stamps seen */
	long long bytes;         /* of bodies */
	long by_status[LOAD_STATUS_MAX];
	int64_t first_end, last_end; /* stats_now() */
	struct samples latency;  /* request sent to answer whole, of good ones */
	struct samples first;    /* request sent to first byte of body */
	struct samples lag;      /* stamp to arrival */
};

/* Starts the callers on `base`; the loop is ended when the last one is done. */
void load_start(struct event_base *base, const struct load_plan *plan, struct load_tally *tally);

#endif
