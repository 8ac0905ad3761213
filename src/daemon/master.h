/*
 * master.h - the process that holds the socket and the workers.
 */
#ifndef DAEMON_MASTER_H
#define DAEMON_MASTER_H

#include <stdbool.h>

struct master_options {
	const char *config;
	bool foreground; /* whatever the settings say */
	bool allow_root; /* workers may run as root */
	bool inherited;  /* descriptor 0 is the socket to listen on */
};

/* Starts the daemon and runs until it is told to end. Returns the exit status: 1 with a line on standard error where it could not start. */
int master_run(const struct master_options *options);

/* Only reads and checks the settings, and says what is wrong with them. Returns the exit status. */
int master_test(const struct master_options *options);

#endif
