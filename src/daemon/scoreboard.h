/*
 * scoreboard.h - what the master and its workers know of each other: one slot per worker, in memory they share.
 *
 * A worker writes its own slot alone, the master the rest; whoever answers a status request reads them all. Nothing is locked: each number is right,
 * their sum is as of now or a moment ago.
 */
#ifndef DAEMON_SCOREBOARD_H
#define DAEMON_SCOREBOARD_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "request/service.h"

/* Room for several generations of workers at once: those that serve, and those that still finish after one reload or more. */
#define SCOREBOARD_SLOTS 256

enum slot_state { SLOT_FREE, SLOT_STARTING, SLOT_SERVING, SLOT_DRAINING };

/* What is counted since a worker's start. */
enum counter {
	COUNTER_ACCEPTED, /* requests taken from the web server, ping and status among them */
	COUNTER_REQUESTS, /* those of endpoints */
	COUNTER_STREAMS,
	COUNTER_CACHE_HITS,
	COUNTER_REFUSED,
	COUNTER_FAILED,
	COUNTER_ABORTED,
	COUNTER_RETRIES,
	COUNTER_FALLBACKS,
	COUNTER_COUNT_
};

struct slot {
	atomic_int state; /* enum slot_state */
	pid_t pid;
	int64_t started; /* seconds since 1970 */
	int64_t born_ns; /* the same to the nanosecond: for its name */
	char name[SERVICE_WORKER_SIZE];
	atomic_long threads, active;
	atomic_long counters[COUNTER_COUNT_];
};

struct scoreboard {
	int64_t started; /* of the master, seconds since 1970 */
	pid_t master;
	atomic_long reloads, deaths; /* deaths: workers that ended without being told to */
	atomic_long ended[COUNTER_COUNT_]; /* of workers that are no more */
	struct shelf *shelf; /* what the workers know of .prompt files together */
	struct slot slots[SCOREBOARD_SLOTS];
};

/* Shared with every process forked later, for the life of the process. NULL when out of memory. */
struct scoreboard *scoreboard_new(void);

/* A free slot, taken and emptied; NULL when there is none. */
struct slot *scoreboard_take(struct scoreboard *board);
unsigned scoreboard_free_slots(const struct scoreboard *board);

/* Gives it back, and adds its counters to those of the workers that ended. */
void scoreboard_release(struct scoreboard *board, struct slot *slot);

/* One counter over all workers that are and were; requests in hand now. */
long scoreboard_sum(const struct scoreboard *board, enum counter counter);
long scoreboard_active(const struct scoreboard *board);

/* "accepted", "cache_hits" and what it counts, for the status page. Static storage. */
const char *scoreboard_counter_name(enum counter counter);
const char *scoreboard_counter_about(enum counter counter);
const char *scoreboard_state_name(int state);

#endif
