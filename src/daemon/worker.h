/*
 * worker.h - one worker process: pm.threads threads that each take one request at a time from the shared socket.
 */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include "daemon/roster.h"
#include "daemon/scoreboard.h"

struct worker_start {
	const struct settings *settings;
	int listen_fd;
	int ready_fd; /* a pipe: gets the process id once requests are taken */
	struct scoreboard *board;
	struct slot *slot; /* named, with the process id already in it */
	const struct roster *roster;
};

/* Runs in the child until SIGTERM, SIGINT or SIGQUIT (or the master's death), then stops taking requests, lets those in hand finish for at most
 * process_control_timeout, and returns the exit status: one of child.h's. */
int worker_run(const struct worker_start *start);

#endif
