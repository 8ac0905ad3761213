/*
 * master.c - the start as one chain of steps, then a loop around signals.
 *
 * The master does nothing that could block or crash: it reads settings, forks, waits. What it learns comes through two descriptors, the signals and
 * the pipe on which workers report.
 */
#include "daemon/master.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/background.h"
#include "daemon/child.h"
#include "daemon/config.h"
#include "daemon/logfile.h"
#include "daemon/pool.h"

#define JANITOR_LAST_US 3000000 /* for its last sweep */

struct master {
	const struct master_options *options;
	struct settings *settings; /* as read at the start, until the pool takes them */
	struct identity identity;  /* of the first workers */
	char *listen, *pid_file;   /* as they were at the start: a reload does not change them */
	struct listener listener;
	struct janitor janitor;
	struct roster roster;
	struct pool pool;
	int signal_fd;
	int report_fd; /* to the process that waits in the foreground; -1 where none does */
	bool stopping;
	bool reload_due; /* asked for, and not begun yet */
	int64_t janitor_due; /* to be killed, once dismissed */
	int status;
	char reason[512]; /* why a step failed */
};

static enum rc read_settings(struct master *master)
{
	enum rc rc = config_read(master->options->config, &master->settings, master->reason, sizeof master->reason);

	if (rc != RC_OK)
		return rc;
	master->listen = strdup(master->settings->listen);
	master->pid_file = strdup(master->settings->pid);
	return master->listen != NULL && master->pid_file != NULL ? RC_OK : RC_NOMEM;
}

static enum rc check_settings(struct master *master)
{
	return config_check(master->options->config, master->settings, !master->options->inherited, master->reason, sizeof master->reason);
}

static enum rc resolve_user(struct master *master)
{
	return privilege_resolve(master->settings, master->options->allow_root, &master->identity, master->reason, sizeof master->reason);
}

static enum rc open_log(struct master *master)
{
	return logfile_open(master->settings, &master->identity, master->reason, sizeof master->reason);
}

static enum rc set_limits(struct master *master)
{
	privilege_limits(master->settings->pm_threads);
	return RC_OK;
}

/* From here on signals wait for the loop, in the children too. What a parent set to be ignored is to reach us all the same. */
static enum rc block_signals(struct master *master)
{
	sigset_t set;

	child_signals(&set);
	for (int number = 1; number < SIGRTMIN; number++)
		if (sigismember(&set, number) == 1)
			signal(number, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &set, NULL) != 0)
		return RC_SYS;
	master->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return master->signal_fd >= 0 ? RC_OK : RC_SYS;
}

static enum rc open_socket(struct master *master)
{
	return listener_open(master->settings, master->options->inherited, &master->listener, master->reason, sizeof master->reason);
}

/* A web server that started us expects this very process to stay. */
static enum rc go_background(struct master *master)
{
	enum rc rc;

	if (!master->settings->daemonize || master->options->foreground || master->options->inherited)
		return RC_OK;
	rc = background_enter(&master->report_fd);
	if (rc == RC_OK)
		logfile_take_stderr();
	return rc;
}

static enum rc write_pid(struct master *master)
{
	if (background_pid_write(master->pid_file) == RC_OK)
		return RC_OK;
	snprintf(master->reason, sizeof master->reason, "pid: %s: %s", master->pid_file, strerror(errno));
	return RC_SYS;
}

static enum rc open_roster(struct master *master)
{
	roster_open(&master->roster, master->pid_file);
	return RC_OK;
}

static enum rc open_scoreboard(struct master *master)
{
	master->pool.board = scoreboard_new();
	return master->pool.board != NULL ? RC_OK : RC_NOMEM;
}

static enum rc open_janitor(struct master *master)
{
	return janitor_open(&master->janitor, &master->roster);
}

static enum rc start_workers(struct master *master)
{
	struct settings *settings = master->settings;
	enum rc rc;

	master->pool.listener = &master->listener;
	master->pool.janitor = &master->janitor;
	master->pool.roster = &master->roster;
	master->pool.master_fds[0] = master->signal_fd;
	master->pool.master_fds[1] = master->report_fd;
	rc = pool_open(&master->pool);
	if (rc != RC_OK)
		return rc;
	master->settings = NULL;
	return pool_begin(&master->pool, settings, &master->identity);
}

struct step {
	const char *name;
	enum rc (*run)(struct master *master);
};

static const struct step start_steps[] = {
	{"settings", read_settings},   {"premises", check_settings},
	{"user", resolve_user},        {"log", open_log},                {"limits", set_limits},
	{"signals", block_signals},    {"socket", open_socket},          {"background", go_background}, {"pid file", write_pid},
	{"roster", open_roster},       {"scoreboard", open_scoreboard},  {"janitor", open_janitor},  {"workers", start_workers},
};

static const struct step test_steps[] = {{"settings", read_settings}, {"premises", check_settings}, {"user", resolve_user}};

/* Said where somebody waits for the start to succeed. Settings that are wrong begin with their own file and line. */
static void fail(struct master *master, const char *reason)
{
	char line[600];

	snprintf(line, sizeof line, "%s%s\n", str_starts(reason, master->options->config) ? "" : "prompt-fpm: ", reason);
	if (master->report_fd >= 0)
		background_report(&master->report_fd, 1, line);
	else
		fputs(line, stderr);
	master->status = 1;
}

static bool run_steps(struct master *master, const struct step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		enum rc rc = steps[i].run(master);

		if (rc == RC_OK)
			continue;
		if (*master->reason == '\0')
			snprintf(master->reason, sizeof master->reason, "%s: %s", steps[i].name, rc == RC_SYS ? strerror(errno) : rc_name(rc));
		fail(master, master->reason);
		return false;
	}
	return true;
}

static void begin_stop(struct master *master)
{
	if (master->stopping)
		return;
	master->stopping = true;
	log_msg(LOG_INFO_, "stop", "finishing what is in hand");
	listener_close(&master->listener);
	pool_stop(&master->pool);
}

static void warn_of_listen(const struct master *master, const struct settings *settings)
{
	if (!master->listener.inherited && !str_eq(settings->listen, master->listen))
		log_msg(LOG_WARN_, "reload", "listen stays at %s until the daemon is started anew", master->listen);
}

/* The logs go back to where the settings that go on have them. A reason that was told already is NULL. */
static void keep_old(struct master *master, const char *reason)
{
	const struct generation *old = &master->pool.serving;
	char why[512];

	if (reason != NULL)
		log_msg(LOG_ERROR_, "reload", "%s; the old settings go on", reason);
	if (old->settings != NULL && logfile_open(old->settings, &old->identity, why, sizeof why) != RC_OK)
		log_msg(LOG_ERROR_, "reload", "%s", why);
}

static enum rc read_new(struct master *master, struct settings **settings, struct identity *identity, char *reason, size_t size)
{
	enum rc rc = config_read(master->options->config, settings, reason, size);

	if (rc != RC_OK)
		return rc;
	rc = config_check(master->options->config, *settings, false, reason, size);
	if (rc == RC_OK)
		rc = privilege_resolve(*settings, master->options->allow_root, identity, reason, size);
	if (rc == RC_OK)
		rc = logfile_open(*settings, identity, reason, size);
	if (rc != RC_OK)
		config_free(*settings);
	return rc;
}

/* Until the first workers serve there are none to go on with the old settings: who asks earlier is heard when they do. Who asks more often than workers
 * end is heard when there is room for others. */
static void reload(struct master *master)
{
	struct settings *settings;
	struct identity identity;
	char reason[512];
	bool again = master->reload_due;
	enum rc rc;

	master->reload_due = master->pool.serving.settings == NULL;
	if (master->stopping || master->reload_due)
		return;
	if (read_new(master, &settings, &identity, reason, sizeof reason) != RC_OK) {
		keep_old(master, reason);
		return;
	}
	privilege_limits(settings->pm_threads);
	rc = pool_begin(&master->pool, settings, &identity);
	master->reload_due = rc == RC_UNAVAILABLE;
	if (rc == RC_OK)
		warn_of_listen(master, master->pool.coming.settings);
	else if (rc == RC_UNAVAILABLE)
		keep_old(master, again ? NULL : "too many workers of earlier reloads still finish: it begins as they end");
	else
		keep_old(master, rc_name(rc));
}

static void reopen_log(struct master *master)
{
	logfile_reopen();
	pool_signal(&master->pool, SIGUSR1);
	if (master->janitor.pid != 0)
		kill(master->janitor.pid, SIGUSR1);
}

/* Whether any had ended. */
static bool reap(struct master *master)
{
	bool any = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		any = true;
		if (pool_ended(&master->pool, pid, status))
			continue;
		if (pid == master->janitor.pid)
			janitor_ended(&master->janitor, status);
	}
	return any;
}

static void take_signals(struct master *master)
{
	struct signalfd_siginfo info;

	while (read(master->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		switch (info.ssi_signo) {
		case SIGTERM:
		case SIGINT:
		case SIGQUIT:
			begin_stop(master);
			break;
		case SIGHUP:
		case SIGUSR2: /* as PHP-FPM has it */
			reload(master);
			break;
		case SIGUSR1:
			reopen_log(master);
			break;
		default:
			break;
		}
	}
}

static void on_serving(struct master *master)
{
	bool first = master->report_fd >= 0 || master->janitor.pid == 0;

	background_report(&master->report_fd, 0, "");
	log_msg(LOG_INFO_, first ? "start" : "reload", "%lld workers of %lld threads take requests",
	        (long long)master->pool.serving.settings->pm_max_children, (long long)master->pool.serving.settings->pm_threads);
	master->pool.master_fds[1] = -1;
	janitor_restart(&master->janitor);
	if (master->reload_due)
		reload(master);
}

static void on_given_up(struct master *master)
{
	if (master->pool.serving.settings != NULL) {
		keep_old(master, "the new workers cannot start");
		return;
	}
	fail(master, "the workers cannot start: the log tells why");
	begin_stop(master);
}

static void start_janitor(struct master *master)
{
	const int closes[] = {master->signal_fd, master->listener.fd, master->pool.ready[0], master->pool.ready[1], master->report_fd};

	if (master->pool.serving.settings != NULL && !master->stopping)
		janitor_start(&master->janitor, master->pool.serving.settings, &master->pool.serving.identity, closes, COUNT_OF(closes));
}

/* The janitor goes last: it still has to hear of the workers that did not finish. */
static void end_janitor(struct master *master)
{
	if (!master->stopping || pool_count(&master->pool) > 0 || master->janitor.pid == 0)
		return;
	if (master->janitor_due == 0) {
		master->janitor_due = clock_us() + JANITOR_LAST_US;
		janitor_dismiss(&master->janitor);
	} else if (clock_us() >= master->janitor_due) {
		kill(master->janitor.pid, SIGKILL);
		master->janitor_due = INT64_MAX;
	}
}

static void await(const struct master *master)
{
	struct pollfd waits[] = {{.fd = master->signal_fd, .events = POLLIN}, {.fd = master->pool.ready[0], .events = POLLIN}};
	int64_t due = pool_due(&master->pool);

	if (master->janitor.pid == 0 && !master->stopping && master->pool.serving.settings != NULL && master->janitor.due < due)
		due = master->janitor.due;
	if (master->janitor_due != 0 && master->janitor_due < due)
		due = master->janitor_due;
	poll(waits, COUNT_OF(waits), due == INT64_MAX ? -1 : clock_left_ms(due, 3600 * 1000));
}

static void run(struct master *master)
{
	while (!master->stopping || pool_count(&master->pool) > 0 || master->janitor.pid != 0) {
		bool ended;

		await(master);
		take_signals(master);
		ended = reap(master);
		pool_read_ready(&master->pool);
		switch (pool_step(&master->pool)) {
		case POOL_SERVES:
			on_serving(master);
			break;
		case POOL_GAVE_UP:
			on_given_up(master);
			break;
		case POOL_NOTHING:
			break;
		}
		if (ended && master->reload_due)
			reload(master);
		start_janitor(master);
		end_janitor(master);
	}
}

static void release(struct master *master)
{
	if (master->pid_file != NULL)
		background_pid_remove(master->pid_file);
	roster_close(&master->roster);
	listener_close(&master->listener);
	config_free(master->settings);
	config_free(master->pool.serving.settings);
	config_free(master->pool.coming.settings);
	free(master->pid_file);
	free(master->listen);
}

int master_run(const struct master_options *options)
{
	static struct master master;

	master.options = options;
	master.listener.fd = master.signal_fd = master.report_fd = master.roster.directory = -1;
	if (run_steps(&master, start_steps, COUNT_OF(start_steps))) {
		run(&master);
		log_msg(LOG_INFO_, "stop", "done");
	}
	release(&master);
	return master.status;
}

int master_test(const struct master_options *options)
{
	static struct master master;

	master.options = options;
	master.listener.fd = master.report_fd = master.roster.directory = -1;
	if (run_steps(&master, test_steps, COUNT_OF(test_steps)))
		fprintf(stderr, "%s: the settings are good\n", options->config);
	release(&master);
	return master.status;
}
