/*
 * janitor.h - one process beside the workers that ends what they left open in the ledger.
 *
 * Every janitor.interval it sweeps what is past its time; when a worker has died, its rows at once. It is a process of its own because its master
 * must never wait for a database, and because the workers that could do it are the ones that die.
 */
#ifndef DAEMON_JANITOR_H
#define DAEMON_JANITOR_H

#include "daemon/roster.h"
#include "request/service.h"

/* The master's end of it. */
struct janitor {
	const struct roster *roster;
	pid_t pid;       /* 0 where none runs */
	int names[2];    /* pipe of dead workers' names; it outlives the process, so that none is lost with it. Its end ends the janitor */
	int64_t started; /* clock_us */
	unsigned quick_ends;
	bool restarting; /* it was asked to end */
	int64_t due; /* when to start it again */
};

/* Those who died unseen it finds on the roster. */
enum rc janitor_open(struct janitor *janitor, const struct roster *roster) MUST_CHECK;

/* Starts the process if none runs and it is due. `closes` are the master's descriptors that are none of its business. */
void janitor_start(struct janitor *janitor, const struct settings *settings, const struct identity *identity, const int *closes, size_t count);

/* Has this dead worker's rows swept. */
void janitor_tell(struct janitor *janitor, const char *worker);

/* The process has ended: it will be started again, later and later where it keeps ending. */
void janitor_ended(struct janitor *janitor, int status);

/* Ends it, to be started again with other settings. */
void janitor_restart(struct janitor *janitor);

/* Nothing more will be told: it sweeps what it was told of, and ends. The same happens when the master dies, because its descriptor goes with it. */
void janitor_dismiss(struct janitor *janitor);

#endif
