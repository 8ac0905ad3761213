/*
 * logfile.c - one descriptor for each log as long as the process lives; reopening replaces what is behind it, so that no thread ever sees it closed.
 */
#include "daemon/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "request/slow_log.h"

struct logfile {
	const char *setting;
	char *path; /* NULL or "": none */
	int fd;
};

static struct logfile error_log = {.setting = "error_log", .fd = -1}, slow_log = {.setting = "slowlog", .fd = -1};
static bool owner_known, takes_stderr;
static uid_t owner;
static gid_t owner_group;

static bool is_used(const struct logfile *log)
{
	return log->fd >= 0 && log->path != NULL && *log->path != '\0';
}

/* A plain file of that name and of no other. Whoever may write in its directory, the workers' user perhaps, could have put a link to a file of root's
 * there, and an operator a device: neither is given away. */
static bool is_plain(const char *name, int fd)
{
	struct stat opened, there;

	return fstat(fd, &opened) == 0 && lstat(name, &there) == 0 && S_ISREG(opened.st_mode) && opened.st_nlink == 1 && opened.st_dev == there.st_dev &&
	       opened.st_ino == there.st_ino;
}

/* A pipe whose reader has gone or is slow keeps neither the master waiting nor a request: such lines are lost. */
static enum rc open_file(struct logfile *log, const char *name)
{
	int fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

	if (fd < 0)
		return RC_SYS;
	if (owner_known && geteuid() == 0 && is_plain(name, fd) && fchown(fd, owner, owner_group) != 0)
		log_msg(LOG_WARN_, "log", "%s cannot be given to the workers' user: %s", name, strerror(errno));
	if (log->fd < 0)
		log->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	else
		dup3(fd, log->fd, O_CLOEXEC);
	close(fd);
	return log->fd < 0 ? RC_SYS : RC_OK;
}

static void give_stderr(int fd)
{
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
}

static enum rc open_log(struct logfile *log, const char *path, char *reason, size_t size)
{
	char *name = strdup(path);

	if (name == NULL || (*name && open_file(log, name) != RC_OK)) {
		snprintf(reason, size, "%s: %s: %s", log->setting, path, strerror(errno));
		free(name);
		return RC_SYS;
	}
	free(log->path);
	log->path = name;
	return RC_OK;
}

enum rc logfile_open(const struct settings *settings, const struct identity *identity, char *reason, size_t size)
{
	enum log_level level = LOG_INFO_;

	(void)!log_level_parse(settings->log_level, &level); /* the table of settings has seen to its form */
	owner_known = identity->drops;
	owner = identity->uid;
	owner_group = identity->gid;
	if (open_log(&slow_log, settings->slowlog, reason, size) != RC_OK || open_log(&error_log, settings->error_log, reason, size) != RC_OK)
		return RC_SYS;
	slow_log_open(is_used(&slow_log) ? slow_log.fd : -1);
	log_open(is_used(&error_log) ? error_log.fd : STDERR_FILENO, level);
	if (takes_stderr && is_used(&error_log))
		give_stderr(error_log.fd);
	return RC_OK;
}

static void reopen(struct logfile *log)
{
	if (is_used(log) && open_file(log, log->path) != RC_OK)
		log_msg(LOG_ERROR_, "log", "%s cannot be opened again: %s; lines go on to the old file", log->path, strerror(errno));
}

void logfile_reopen(void)
{
	reopen(&error_log); /* first: what is wrong with the other is told there */
	reopen(&slow_log);
	if (takes_stderr && is_used(&error_log))
		give_stderr(error_log.fd);
}

void logfile_take_stderr(void)
{
	int fd = is_used(&error_log) ? error_log.fd : open("/dev/null", O_RDWR | O_CLOEXEC);

	takes_stderr = true;
	if (fd < 0)
		return;
	give_stderr(fd);
	if (fd != error_log.fd)
		close(fd);
}
