/*
 * listener.c - the listening socket.
 */
#include "daemon/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/privilege.h"
#include "port/fcgi.h"

/* A non-blocking socket would make every idle thread spin. */
static enum rc inherit(struct listener *out, char *reason, size_t size)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), flags = fcntl(STDIN_FILENO, F_GETFL);

	out->inherited = true;
	out->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (null < 0 || flags < 0 || out->fd < 0 || dup2(null, STDIN_FILENO) < 0 || fcntl(out->fd, F_SETFL, flags & ~O_NONBLOCK) != 0) {
		snprintf(reason, size, "the socket on descriptor 0: %s", strerror(errno));
		return RC_SYS;
	}
	close(null);
	return RC_OK;
}

static enum rc explain(const char *address, enum rc rc, char *reason, size_t size)
{
	const char *why = strerror(errno);

	if (rc == RC_UNAVAILABLE)
		why = "another server listens there";
	else if (rc == RC_INVALID)
		why = "a file that is no socket is there";
	else if (rc == RC_NOTFOUND)
		why = "unknown host";
	snprintf(reason, size, "listen: %s: %s", address, why);
	return rc;
}

static enum rc give_away(const struct settings *settings, const struct listener *listener, char *reason, size_t size)
{
	uid_t owner;
	gid_t group;

	if (privilege_user(settings->listen_owner, &owner) != RC_OK) {
		snprintf(reason, size, "listen.owner: there is no user \"%s\"", settings->listen_owner);
		return RC_NOTFOUND;
	}
	if (privilege_group(settings->listen_group, &group) != RC_OK) {
		snprintf(reason, size, "listen.group: there is no group \"%s\"", settings->listen_group);
		return RC_NOTFOUND;
	}
	if (((owner != (uid_t)-1 || group != (gid_t)-1) && lchown(listener->path, owner, group) != 0) ||
	    chmod(listener->path, (mode_t)settings->listen_mode) != 0) {
		snprintf(reason, size, "%s: its owner or mode cannot be set: %s", listener->path, strerror(errno));
		return RC_SYS;
	}
	return RC_OK;
}

static enum rc remember_file(const char *path, struct listener *listener)
{
	struct stat file;

	if (strlen(path) >= sizeof listener->path || lstat(path, &file) != 0)
		return RC_SYS;
	strcpy(listener->path, path);
	listener->device = file.st_dev;
	listener->inode = file.st_ino;
	return RC_OK;
}

enum rc listener_open(const struct settings *settings, bool inherited, struct listener *out, char *reason, size_t size)
{
	const char *address = settings->listen;
	enum rc rc;

	*out = (struct listener){.fd = -1};
	if (inherited)
		return inherit(out, reason, size);
	if (*address == '\0') {
		snprintf(reason, size, "listen is not set, and descriptor 0 is no listening socket");
		return RC_INVALID;
	}
	rc = fcgi_listen(address, (int)settings->listen_backlog, &out->fd);
	if (rc != RC_OK)
		return explain(address, rc, reason, size);
	if (address[0] != '/')
		return RC_OK;
	rc = remember_file(address, out);
	if (rc != RC_OK)
		return explain(address, rc, reason, size);
	return give_away(settings, out, reason, size);
}

void listener_close(struct listener *listener)
{
	struct stat file;

	if (*listener->path && lstat(listener->path, &file) == 0 && file.st_dev == listener->device && file.st_ino == listener->inode)
		unlink(listener->path);
	listener->path[0] = '\0';
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}
