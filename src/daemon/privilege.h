/*
 * privilege.h - who the children run as, and what the process may use.
 */
#ifndef DAEMON_PRIVILEGE_H
#define DAEMON_PRIVILEGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/settings.h"

struct identity {
	bool drops; /* whether the children change to it: the master is root and has somebody to change to */
	uid_t uid;
	gid_t gid;
	char user[64]; /* for the supplementary groups; "" where only a group is set */
};

/* Who the settings want the workers to be. RC_NOTFOUND for an unknown user or group, RC_DENIED where they would be root and `allow_root` is not set;
 * with a line for the operator in `reason`. */
enum rc privilege_resolve(const struct settings *settings, bool allow_root, struct identity *out, char *reason, size_t size) MUST_CHECK;

/* The uid of a user, the gid of a group, by name or number; "" leaves *id at -1 ("as it is"). RC_NOTFOUND. */
enum rc privilege_user(const char *name, uid_t *id) MUST_CHECK;
enum rc privilege_group(const char *name, gid_t *id) MUST_CHECK;

/* In a child: becomes it for good, and keeps its secrets. RC_SYS, and then the child must end. */
enum rc privilege_drop(const struct identity *identity) MUST_CHECK;

/* For this process and its children: as many descriptors as `threads` requests at once may need, or as many as are to be had, with a warning. */
void privilege_limits(int64_t threads);

#endif
