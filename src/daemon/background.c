/*
 * background.c - leaving the terminal; the pid file.
 */
#include "daemon/background.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The daemon's start, seen from the process that was started: its status, or 1 where it ended without a word. It may be interrupted: the signals are
 * the daemon's to block. */
static _Noreturn void await(int fd)
{
	unsigned char status = 1;
	char text[1024];
	sigset_t none;
	bool told;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	told = read(fd, &status, 1) == 1;
	for (ssize_t n; told && (n = read(fd, text, sizeof text)) > 0;)
		fwrite(text, 1, (size_t)n, stderr);
	exit(status);
}

enum rc background_enter(int *report)
{
	int ends[2], null;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return RC_SYS;
	child = fork();
	if (child < 0)
		return RC_SYS;
	if (child > 0) {
		close(ends[1]);
		await(ends[0]);
	}
	close(ends[0]);
	*report = ends[1];
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (setsid() < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0)
		return RC_SYS;
	close(null);
	return RC_OK;
}

void background_report(int *report, int status, const char *text)
{
	if (*report < 0)
		return;
	dprintf(*report, "%c%s", status, text); /* whoever waited may have been ended: then there is nobody to tell */
	close(*report);
	*report = -1;
}

enum rc background_pid_write(const char *path)
{
	char text[24];
	int fd, n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	ssize_t written;

	if (*path == '\0')
		return RC_OK;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return RC_SYS;
	written = write(fd, text, (size_t)n);
	return close(fd) == 0 && written == n ? RC_OK : RC_SYS;
}

void background_pid_remove(const char *path)
{
	char text[24] = "";
	int fd = *path ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	if (read(fd, text, sizeof text - 1) > 0 && atol(text) == (long)getpid())
		unlink(path);
	close(fd);
}
