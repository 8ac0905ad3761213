/*
 * privilege.c - users, groups and limits.
 */
#include "daemon/privilege.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/account.h"
#include "base/log.h"
#include "base/secret.h"

#define THREAD_FILES 6 /* the caller's connection, the provider's, and what curl and the resolver hold meanwhile */
#define PROCESS_FILES 128

enum rc privilege_user(const char *name, uid_t *id)
{
	const struct passwd *user;

	*id = (uid_t)-1;
	if (*name == '\0')
		return RC_OK;
	user = account_user(name);
	if (user == NULL)
		return RC_NOTFOUND;
	*id = user->pw_uid;
	return RC_OK;
}

enum rc privilege_group(const char *name, gid_t *id)
{
	const struct group *group;

	*id = (gid_t)-1;
	if (*name == '\0')
		return RC_OK;
	group = account_group(name);
	if (group == NULL)
		return RC_NOTFOUND;
	*id = group->gr_gid;
	return RC_OK;
}

static enum rc resolve_user(const char *name, struct identity *out)
{
	const struct passwd *user = account_user(name);

	if (user == NULL || strlen(user->pw_name) >= sizeof out->user)
		return RC_NOTFOUND;
	out->uid = user->pw_uid;
	out->gid = user->pw_gid;
	strcpy(out->user, user->pw_name);
	return RC_OK;
}

enum rc privilege_resolve(const struct settings *settings, bool allow_root, struct identity *out, char *reason, size_t size)
{
	gid_t group;

	*out = (struct identity){.uid = geteuid(), .gid = getegid()};
	if (*settings->user && resolve_user(settings->user, out) != RC_OK) {
		snprintf(reason, size, "user: there is no user \"%s\"", settings->user);
		return RC_NOTFOUND;
	}
	if (privilege_group(settings->group, &group) != RC_OK) {
		snprintf(reason, size, "group: there is no group \"%s\"", settings->group);
		return RC_NOTFOUND;
	}
	if (group != (gid_t)-1)
		out->gid = group;
	out->drops = geteuid() == 0 && (*settings->user || *settings->group);
	if (geteuid() == 0 && out->uid == 0 && !allow_root) {
		snprintf(reason, size, "the workers would run as root: set user = … in the pool, or allow it with -R (--allow-root)");
		return RC_DENIED;
	}
	return RC_OK;
}

enum rc privilege_drop(const struct identity *identity)
{
	if (!identity->drops)
		return secret_keep();
	if (*identity->user ? initgroups(identity->user, identity->gid) != 0 : setgroups(1, &identity->gid) != 0)
		return RC_SYS;
	if (setgid(identity->gid) != 0 || setuid(identity->uid) != 0)
		return RC_SYS;
	if (identity->uid != 0 && setuid(0) == 0) {
		errno = EPERM; /* it did not take */
		return RC_SYS;
	}
	return secret_keep();
}

void privilege_limits(int64_t threads)
{
	rlim_t want = (rlim_t)(threads * THREAD_FILES + PROCESS_FILES);
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return;
	if (files.rlim_max < want) {
		struct rlimit more = {want, want};

		if (setrlimit(RLIMIT_NOFILE, &more) == 0) /* root may */
			return;
	}
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur < want)
		log_msg(LOG_WARN_, "limit", "a worker may open %lld files; with pm.threads as it is it can need %lld: raise ulimit -Hn or LimitNOFILE=",
		        (long long)files.rlim_cur, (long long)want);
}
