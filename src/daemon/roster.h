/*
 * roster.h - which workers live, and which of them died unseen: a directory beside the pid file, with a file for each worker that bears its name in the
 * ledger and is locked by it for life.
 *
 * Of a worker's death its master tells the janitor. Where they died with it, the next daemon finds the file on the same roster, with nobody's lock on
 * it. The kernel lets go of a lock when a process has ended, however it ended: nothing is concluded from process ids. A file from another machine
 * or from before this one was started says nothing, because copies of a disk hold such files too: those workers may live elsewhere.
 */
#ifndef DAEMON_ROSTER_H
#define DAEMON_ROSTER_H

#include "daemon/privilege.h"

struct roster {
	int directory; /* -1 where there is no pid file, and so no roster: then rows that nobody is left to tell of wait until their time has passed */
	char path[4096];
	char origin[128]; /* this machine, since it was started */
};

/* Makes the directory of this pid file's roster ("" for none). What goes wrong is logged: a daemon without it serves all the same. */
void roster_open(struct roster *roster, const char *pid_file);

/* Lets the workers' user write in it. */
void roster_give(const struct roster *roster, const struct identity *identity);

/* Enters the calling worker, for life. What goes wrong is logged. */
void roster_enter(const struct roster *roster, const char *worker);

/* For a worker that left nothing open, or whose rows are swept. */
void roster_strike(const struct roster *roster, const char *worker);

/* Tells each worker on it that is dead. */
void roster_each_dead(const struct roster *roster, void (*tell)(void *user, const char *worker), void *user);

/* Takes away the directory, unless somebody is still on it. */
void roster_close(struct roster *roster);

#endif
