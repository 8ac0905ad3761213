/*
 * status.h - the pages an operator looks at: ping, and the pool's state (with what is wrong with its .prompt files) as text, JSON or Prometheus' metrics.
 */
#ifndef DAEMON_STATUS_H
#define DAEMON_STATUS_H

#include "daemon/scoreboard.h"
#include "port/fcgi.h"

struct status {
	const struct settings *settings;
	const struct scoreboard *board;
	struct catalog *catalog; /* of this worker */
};

/* Answers and finishes the request if it is for ping.path or pm.status_path ("?json", "?metrics"); else false, and nothing is done. */
bool status_serve(const struct status *status, struct fcgi *fcgi) MUST_CHECK;

#endif
