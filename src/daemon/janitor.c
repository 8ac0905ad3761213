/*
 * janitor.c - sweeping, and the master's end of it.
 */
#include "daemon/janitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/backoff.h"
#include "daemon/child.h"
#include "daemon/logfile.h"

#define PENDING_MAX 256
#define RETRY_MS 500
#define LAST_ROUNDS 20 /* before it ends, for what somebody else holds; its master waits for three seconds */
#define LAST_PAUSE_MS 100
#define ARENA_MAX (64u * 1024u)
#define FORK_RETRY_US 1000000

/* A name as it goes through the pipe: whole, since it is smaller than PIPE_BUF. */
struct note {
	char worker[SERVICE_WORKER_SIZE];
};

struct sweeper {
	struct db *db;
	const struct roster *roster;
	int names_fd, signal_fd;
	int64_t interval_ms, due; /* of the next general sweep */
	char cache_max[24];
	struct note pending[PENDING_MAX];
	unsigned count;
	bool stopping;
};

/* What fpm.sweep answers. */
enum column { EXPIRED, CACHE, KEYS, MORE, COLUMNS };

static void report(const char *worker, const struct db_row *row)
{
	static const char *const names[] = {[EXPIRED] = "expired", [CACHE] = "cache", [KEYS] = "keys"};
	struct log_line line;
	bool any = false;

	log_begin(&line, LOG_INFO_, "sweep");
	log_str(&line, "worker", worker);
	for (unsigned i = 0; i < COUNT_OF(names); i++) {
		log_str(&line, names[i], row->values[i]);
		any = any || (row->values[i] != NULL && atoll(row->values[i]) != 0);
	}
	if (any)
		log_send(&line);
}

struct outcome {
	bool ended; /* some reservations were */
	bool more;  /* there is another portion; of a worker, something is still open */
};

/* NULL for what is past its time, else one worker's rows; a portion of them. */
static enum rc sweep(struct sweeper *sweeper, const char *worker, struct outcome *outcome)
{
	struct arena *arena = arena_new(ARENA_MAX);
	const char *params[] = {worker, sweeper->cache_max};
	struct db_call call = {
		.sql = "SELECT expired, cache, keys, more FROM fpm.sweep($1, $2::bigint)", .params = params, .param_count = COUNT_OF(params), .commits = true};
	struct db_row row;
	enum rc rc;

	*outcome = (struct outcome){.more = false};
	if (arena == NULL)
		return RC_NOMEM;
	rc = db_call(sweeper->db, arena, &call, &row);
	if (rc == RC_OK && row.count == COLUMNS) {
		report(worker, &row);
		outcome->ended = row.values[EXPIRED] != NULL && atoll(row.values[EXPIRED]) > 0;
		outcome->more = row.values[MORE] != NULL && row.values[MORE][0] == 't';
	}
	arena_free(arena);
	return rc;
}

/* Portion by portion, as long as there is any use in it. *open: somebody holds what is left, just now. */
static enum rc sweep_worker(struct sweeper *sweeper, const char *worker, bool *open)
{
	struct outcome outcome;
	enum rc rc;

	do {
		rc = sweep(sweeper, worker, &outcome);
	} while (rc == RC_OK && outcome.more && outcome.ended);
	if (rc == RC_OK && !outcome.more)
		roster_strike(sweeper->roster, worker);
	*open = outcome.more;
	return rc;
}

/* The oldest first. One whose rows somebody holds stays; where the database is away, so do those behind it. Returns whether any stays that is only held. */
static bool sweep_pending(struct sweeper *sweeper)
{
	unsigned kept = 0, i;

	for (i = 0; i < sweeper->count; i++) {
		bool open;
		enum rc rc = sweep_worker(sweeper, sweeper->pending[i].worker, &open);

		if (rc == RC_UNAVAILABLE || rc == RC_GONE || rc == RC_TIMEOUT || rc == RC_NOMEM)
			break;
		if (open)
			sweeper->pending[kept++] = sweeper->pending[i];
	}
	memmove(sweeper->pending + kept, sweeper->pending + i, (sweeper->count - i) * sizeof sweeper->pending[0]);
	sweeper->count -= i - kept;
	return kept > 0;
}

/* What has no room now is still on the roster next time. */
static void take(void *user, const char *worker)
{
	struct sweeper *sweeper = user;
	struct note *note = &sweeper->pending[sweeper->count];

	for (unsigned i = 0; i < sweeper->count; i++)
		if (str_eq(sweeper->pending[i].worker, worker))
			return;
	if (sweeper->count == PENDING_MAX || strlen(worker) >= sizeof note->worker)
		return;
	strcpy(note->worker, worker);
	sweeper->count++;
}

/* One portion; where there is more, the next is due at once, after whatever else has to be looked at. */
static void sweep_general(struct sweeper *sweeper)
{
	struct outcome outcome;

	if (clock_us() < sweeper->due)
		return;
	roster_each_dead(sweeper->roster, take, sweeper);
	(void)sweep_pending(sweeper);
	if (sweep(sweeper, NULL, &outcome) == RC_TIMEOUT)
		log_msg(LOG_WARN_, "sweep", "took too long, and is tried again");
	sweeper->due = outcome.more ? clock_us() : clock_us() + sweeper->interval_ms * 1000;
}

/* What is too much for the list is ended by the general sweep, when its time has passed. */
static void read_names(struct sweeper *sweeper)
{
	struct note note;

	while (sweeper->count < PENDING_MAX && read(sweeper->names_fd, &note, sizeof note) == (ssize_t)sizeof note)
		sweeper->pending[sweeper->count++] = note;
}

/* SIGTERM and the like are not for us, even when all processes get them: what the workers leave that they end is still to be swept. */
static void read_signals(struct sweeper *sweeper)
{
	struct signalfd_siginfo info;

	while (read(sweeper->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGHUP)
			sweeper->stopping = true;
		else if (info.ssi_signo == SIGUSR1)
			logfile_reopen();
	}
}

/* A full list is retried, not read into: then of the pipe no more is waited for than that nobody holds its other end. What is in it can still be read. */
static void await(struct sweeper *sweeper)
{
	struct pollfd waits[] = {{.fd = sweeper->signal_fd, .events = POLLIN},
	                         {.fd = sweeper->names_fd, .events = sweeper->count < PENDING_MAX ? POLLIN : 0}};
	int left = clock_left_ms(sweeper->due, 3600 * 1000);

	poll(waits, COUNT_OF(waits), sweeper->count > 0 && left > RETRY_MS ? RETRY_MS : left);
	if ((waits[1].revents & POLLHUP) != 0)
		sweeper->stopping = true;
}

static enum rc prepare(struct sweeper *sweeper, const struct settings *settings, int names_fd)
{
	struct db_settings db = {.conninfo = settings->database,
	                         .connections = 1,
	                         .batch = 1,
	                         .connect_timeout_ms = (int)settings->database_connect_timeout,
	                         .statement_timeout_ms = (int)settings->database_statement_timeout,
	                         .retry_ms = (int)settings->database_retry};
	sigset_t signals;

	child_signals(&signals);
	sweeper->names_fd = names_fd;
	sweeper->interval_ms = settings->janitor_interval;
	snprintf(sweeper->cache_max, sizeof sweeper->cache_max, "%lld", (long long)settings->cache_max);
	sweeper->due = clock_us(); /* something may be left from an earlier life */
	sweeper->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sweeper->signal_fd < 0)
		return RC_SYS;
	return db_new(&db, &sweeper->db);
}

static _Noreturn void run(const struct settings *settings, int names_fd, const struct roster *roster)
{
	static struct sweeper sweeper;
	bool held = false;
	enum rc rc;

	sweeper.roster = roster;
	rc = prepare(&sweeper, settings, names_fd);
	if (rc != RC_OK) {
		log_msg(LOG_ERROR_, "janitor", "cannot start: %s", rc_name(rc));
		exit(CHILD_CANNOT_START);
	}
	while (!sweeper.stopping) {
		await(&sweeper);
		read_signals(&sweeper);
		read_names(&sweeper);
		held = sweep_pending(&sweeper);
		if (!sweeper.stopping)
			sweep_general(&sweeper);
	}
	for (int i = 0; i < LAST_ROUNDS && held; i++) {
		poll(NULL, 0, LAST_PAUSE_MS);
		held = sweep_pending(&sweeper);
	}
	if (sweeper.count > 0)
		log_msg(LOG_WARN_, "sweep", "%u dead workers' requests are left to the next start", sweeper.count);
	db_free(sweeper.db);
	exit(sweeper.count > 0 ? CHILD_UNFINISHED : CHILD_DONE);
}

enum rc janitor_open(struct janitor *janitor, const struct roster *roster)
{
	*janitor = (struct janitor){.roster = roster, .names = {-1, -1}};
	return pipe2(janitor->names, O_CLOEXEC | O_NONBLOCK) == 0 ? RC_OK : RC_SYS;
}

void janitor_start(struct janitor *janitor, const struct settings *settings, const struct identity *identity, const int *closes, size_t count)
{
	pid_t pid;

	if (janitor->pid != 0 || janitor->names[1] < 0 || clock_us() < janitor->due)
		return;
	janitor->started = clock_us();
	pid = child_fork("fpm-janitor", identity, closes, count);
	if (pid == 0) {
		close(janitor->names[1]);
		run(settings, janitor->names[0], janitor->roster);
	}
	if (pid < 0) {
		log_msg(LOG_ERROR_, "janitor", "cannot fork: %s", strerror(errno));
		janitor->due = clock_us() + FORK_RETRY_US;
		return;
	}
	janitor->pid = pid;
}

void janitor_tell(struct janitor *janitor, const char *worker)
{
	struct note note = {{0}};

	strncpy(note.worker, worker, sizeof note.worker - 1);
	if (write(janitor->names[1], &note, sizeof note) != (ssize_t)sizeof note)
		log_msg(LOG_WARN_, "janitor", "does not keep up: requests of %s stay open until their time has passed", worker);
}

void janitor_ended(struct janitor *janitor, int status)
{
	char fate[64];

	janitor->pid = 0;
	janitor->due = clock_us();
	if (!janitor->restarting && janitor->names[1] >= 0) {
		log_msg(LOG_WARN_, "janitor", "%s", child_fate(status, fate));
		janitor->due = backoff_after(&janitor->quick_ends, janitor->started);
	}
	janitor->restarting = false;
}

void janitor_restart(struct janitor *janitor)
{
	if (janitor->pid == 0)
		return;
	janitor->restarting = true;
	kill(janitor->pid, SIGHUP);
}

void janitor_dismiss(struct janitor *janitor)
{
	close(janitor->names[0]);
	close(janitor->names[1]);
	janitor->names[0] = janitor->names[1] = -1;
}
