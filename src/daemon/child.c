/*
 * child.c - children of the master.
 */
#include "daemon/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "port/fcgi.h"

void child_signals(sigset_t *set)
{
	static const int all[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGCHLD, FCGI_WAKE};

	sigemptyset(set);
	for (size_t i = 0; i < COUNT_OF(all); i++)
		sigaddset(set, all[i]);
}

/* A change of user takes back the wish to be told of the master's death, so it comes after. */
static void settle_in(const char *name, const struct identity *identity, pid_t master)
{
	prctl(PR_SET_NAME, name);
	if (privilege_drop(identity) != RC_OK) {
		log_msg(LOG_ERROR_, "child", "cannot become user %d, group %d: %s", (int)identity->uid, (int)identity->gid, strerror(errno));
		_exit(CHILD_CANNOT_START);
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != master)
		_exit(CHILD_CANNOT_START);
}

pid_t child_fork(const char *name, const struct identity *identity, const int *closes, size_t count)
{
	pid_t master = getpid(), child = fork();

	if (child != 0)
		return child;
	for (size_t i = 0; i < count; i++)
		if (closes[i] >= 0)
			close(closes[i]);
	settle_in(name, identity, master);
	return 0;
}

const char *child_fate(int status, char text[64])
{
	if (WIFSIGNALED(status))
		snprintf(text, 64, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(text, 64, "ended with status %d", WEXITSTATUS(status));
	return text;
}
