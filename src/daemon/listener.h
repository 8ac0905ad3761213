/*
 * listener.h - the socket that all workers accept on: one that a web server handed us, or our own.
 */
#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/settings.h"

struct listener {
	int fd;
	bool inherited;
	char path[128]; /* of a socket file that is ours to remove; else "" */
	dev_t device;   /* which file that is: a later server may have put its own there */
	ino_t inode;
};

/* Takes the socket on descriptor 0 where `inherited`, leaving /dev/null there; else listens where the settings say, and gives a socket file its
 * owner, group and mode. What is wrong is in `reason`. */
enum rc listener_open(const struct settings *settings, bool inherited, struct listener *out, char *reason, size_t size) MUST_CHECK;

/* Lets nobody in any more: removes the socket file if it still is ours, closes the descriptor. */
void listener_close(struct listener *listener);

#endif
