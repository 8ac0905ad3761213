/*
 * roster.c - locked files.
 */
#include "daemon/roster.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id" /* proc(5) */

static void complain(const char *what)
{
	log_msg(LOG_WARN_, "roster", "%s: %s; should all processes be killed at once, their requests stay open until their time has passed", what,
	        strerror(errno));
}

/* "boot-id host" */
static enum rc find_origin(char *origin, size_t size)
{
	char boot[64] = "", host[65] = "";
	int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, boot, sizeof boot - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0 || gethostname(host, sizeof host - 1) != 0)
		return RC_SYS;
	boot[strcspn(boot, "\n")] = '\0';
	return snprintf(origin, size, "%s %s", boot, host) < (int)size ? RC_OK : RC_TOOBIG;
}

void roster_open(struct roster *roster, const char *pid_file)
{
	*roster = (struct roster){.directory = -1};
	if (*pid_file == '\0')
		return;
	errno = ENAMETOOLONG;
	if (snprintf(roster->path, sizeof roster->path, "%s.workers", pid_file) < (int)sizeof roster->path &&
	    find_origin(roster->origin, sizeof roster->origin) == RC_OK && (mkdir(roster->path, 0700) == 0 || errno == EEXIST))
		roster->directory = open(roster->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (roster->directory < 0)
		complain(roster->path);
}

void roster_give(const struct roster *roster, const struct identity *identity)
{
	if (roster->directory >= 0 && identity->drops && fchown(roster->directory, identity->uid, identity->gid) != 0)
		complain(roster->path);
}

static void close_keeping_errno(int fd)
{
	int error = errno;

	close(fd);
	errno = error;
}

/* The descriptor of a file that is locked and still there, -1 with errno. A janitor that comes between may have put away what had no lock yet. */
static int open_locked(const struct roster *roster, const char *worker)
{
	for (;;) {
		int fd = openat(roster->directory, worker, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
		struct stat file;

		if (fd < 0)
			return -1;
		if (flock(fd, LOCK_EX) != 0 || fstat(fd, &file) != 0) {
			close_keeping_errno(fd);
			return -1;
		}
		if (file.st_nlink > 0)
			return fd;
		close(fd);
	}
}

/* The descriptor stays open, and with it the lock. */
void roster_enter(const struct roster *roster, const char *worker)
{
	size_t n = strlen(roster->origin);
	int fd;

	if (roster->directory < 0)
		return;
	fd = open_locked(roster, worker);
	if (fd < 0 || write(fd, roster->origin, n) != (ssize_t)n)
		complain(worker);
}

void roster_strike(const struct roster *roster, const char *worker)
{
	if (roster->directory >= 0)
		unlinkat(roster->directory, worker, 0);
}

static bool is_from_here(const struct roster *roster, int fd)
{
	char origin[sizeof roster->origin] = "";

	return read(fd, origin, sizeof origin - 1) > 0 && str_eq(origin, roster->origin);
}

static void look_at(const struct roster *roster, const char *worker, void (*tell)(void *user, const char *worker), void *user)
{
	int fd = openat(roster->directory, worker, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	struct stat file;

	if (fd < 0)
		return;
	if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0) {
		if (is_from_here(roster, fd))
			tell(user, worker);
		else
			roster_strike(roster, worker);
	}
	close(fd);
}

void roster_each_dead(const struct roster *roster, void (*tell)(void *user, const char *worker), void *user)
{
	int fd = roster->directory < 0 ? -1 : openat(roster->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (directory == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(directory)) != NULL)
		look_at(roster, entry->d_name, tell, user);
	closedir(directory);
}

void roster_close(struct roster *roster)
{
	if (roster->directory < 0)
		return;
	close(roster->directory);
	roster->directory = -1;
	rmdir(roster->path);
}
