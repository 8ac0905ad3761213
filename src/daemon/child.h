/*
 * child.h - what every child of the master does first, and how the master words its end.
 */
#ifndef DAEMON_CHILD_H
#define DAEMON_CHILD_H

#include <stddef.h>
#include <signal.h>
#include <sys/types.h>

#include "daemon/privilege.h"

/* Exit statuses of children. */
enum {
	CHILD_DONE = 0,
	CHILD_CANNOT_START = 70,
	CHILD_UNFINISHED = 71, /* something was left that only sweep() can end */
};

/* All that master and children take through sigwait instead of handlers; blocked in every thread. */
void child_signals(sigset_t *set);

/* Forks. In the child (0 is returned): it is named, ends with SIGTERM when the master dies, holds no descriptor of `closes` (each may be -1), and
 * has become `identity`; where that fails it has ended with CHILD_CANNOT_START. */
pid_t child_fork(const char *name, const struct identity *identity, const int *closes, size_t count);

/* "killed by signal 9 (Killed)", "ended with status 70". */
const char *child_fate(int status, char text[64]);

#endif
