/*
 * logfile.c - one descriptor for the log as long as the process lives; reopening replaces what is behind it, so that no thread ever sees it closed.
 */
#include "daemon/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

static char *path;
static int log_fd = -1;
static bool owner_known, takes_stderr;
static uid_t owner;
static gid_t owner_group;

/* A plain file of that name and of no other. Whoever may write in its directory, the workers' user perhaps, could have put a link to a file of root's
 * there, and an operator a device: neither is given away. */
static bool is_plain(const char *name, int fd)
{
	struct stat opened, there;

	return fstat(fd, &opened) == 0 && lstat(name, &there) == 0 && S_ISREG(opened.st_mode) && opened.st_nlink == 1 && opened.st_dev == there.st_dev &&
	       opened.st_ino == there.st_ino;
}

/* A pipe whose reader has gone or is slow keeps neither the master waiting nor a request: such lines are lost. */
static enum rc open_file(const char *name)
{
	int fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

	if (fd < 0)
		return RC_SYS;
	if (owner_known && geteuid() == 0 && is_plain(name, fd) && fchown(fd, owner, owner_group) != 0)
		log_msg(LOG_WARN_, "log", "%s cannot be given to the workers' user: %s", name, strerror(errno));
	if (log_fd < 0)
		log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	else
		dup3(fd, log_fd, O_CLOEXEC);
	close(fd);
	if (takes_stderr) {
		dup2(log_fd, STDOUT_FILENO);
		dup2(log_fd, STDERR_FILENO);
	}
	return log_fd < 0 ? RC_SYS : RC_OK;
}

enum rc logfile_open(const struct settings *settings, const struct identity *identity)
{
	char *name = strdup(settings->error_log);
	enum log_level level = LOG_INFO_;

	if (name == NULL || log_level_parse(settings->log_level, &level) != RC_OK) {
		free(name);
		return RC_NOMEM;
	}
	owner_known = identity->drops;
	owner = identity->uid;
	owner_group = identity->gid;
	if (*name && open_file(name) != RC_OK) {
		free(name);
		return RC_SYS;
	}
	free(path);
	path = name;
	log_open(*path ? log_fd : STDERR_FILENO, level);
	return RC_OK;
}

void logfile_reopen(void)
{
	if (path == NULL || *path == '\0')
		return;
	if (open_file(path) != RC_OK)
		log_msg(LOG_ERROR_, "log", "%s cannot be opened again: %s; lines go on to the old file", path, strerror(errno));
}

void logfile_take_stderr(void)
{
	int fd = log_fd >= 0 && path != NULL && *path ? log_fd : open("/dev/null", O_RDWR | O_CLOEXEC);

	takes_stderr = true;
	if (fd < 0)
		return;
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (fd != log_fd)
		close(fd);
}
