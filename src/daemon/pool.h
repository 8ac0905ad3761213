/*
 * pool.h - the workers: started, replaced when they die, exchanged for others on a reload, drained at the end.
 *
 * Workers come in generations. A new generation is started beside the one that serves, on the same socket; once all of it takes requests, the old
 * one is told to finish. Where one of the new ones cannot start, the new generation is given up and the old one goes on.
 */
#ifndef DAEMON_POOL_H
#define DAEMON_POOL_H

#include "daemon/janitor.h"
#include "daemon/listener.h"
#include "daemon/scoreboard.h"

struct generation {
	unsigned number;
	struct settings *settings; /* owned; NULL where there is no such generation */
	struct identity identity;
};

struct member {
	pid_t pid; /* 0 where the place is free */
	unsigned generation;
	bool ready, draining;
	int64_t started;     /* clock_us */
	int64_t kill_due;    /* INT64_MAX until it drains */
	int64_t patience_ms; /* its process_control_timeout */
};

struct pool {
	struct scoreboard *board;
	const struct listener *listener;
	struct janitor *janitor;
	const struct roster *roster;
	int ready[2]; /* pipe of the process ids of workers that take requests; the master polls its first end */
	int master_fds[2]; /* descriptors that workers shall not have; -1 for none */
	char host[65];
	unsigned generations;
	struct generation serving, coming;
	struct member members[SCOREBOARD_SLOTS]; /* one for each slot of the scoreboard */
	unsigned quick_ends;
	int64_t respawn_due;
	bool stopping;
	enum pool_event { POOL_NOTHING, POOL_SERVES, POOL_GAVE_UP } event; /* not yet told by pool_step */
};

/* The rest of the members is the caller's to set. RC_SYS. */
enum rc pool_open(struct pool *pool) MUST_CHECK;

/* Starts a generation; one that was still coming is given up. The settings are the pool's from now on, whatever happens. RC_UNAVAILABLE while too
 * many old workers still finish (and one that was coming still does), RC_SYS. */
enum rc pool_begin(struct pool *pool, struct settings *settings, const struct identity *identity) MUST_CHECK;

/* Takes note of the workers that reported, and of a child that ended (false: it was none of ours). */
void pool_read_ready(struct pool *pool);
bool pool_ended(struct pool *pool, pid_t pid, int status);

/* Does what is due, and tells what has come of the generation begun last: that it serves now (once), or was given up. */
enum pool_event pool_step(struct pool *pool);
int64_t pool_due(const struct pool *pool); /* when the next step is due, of clock_us; INT64_MAX for never */

void pool_stop(struct pool *pool); /* all finish, none is replaced */
void pool_signal(const struct pool *pool, int number);
unsigned pool_count(const struct pool *pool);

#endif
