/*
 * pool.c - workers and their generations.
 */
#include "daemon/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/backoff.h"
#include "daemon/child.h"
#include "daemon/config.h"
#include "daemon/worker.h"

#define FORK_RETRY_US 1000000
#define KILL_GRACE_MS 3000 /* a worker keeps its own time; this is for one that hangs */

static struct slot *slot_of(const struct pool *pool, const struct member *member)
{
	return &pool->board->slots[member - pool->members];
}

/* Both the master and the worker call it, and come to the same name. On other machines of this name, in other containers, the same process id may well
 * be given in the same second. */
static void name_slot(const struct pool *pool, struct slot *slot, pid_t pid)
{
	slot->pid = pid;
	snprintf(slot->name, sizeof slot->name, "%s:%ld:%lld", pool->host, (long)pid, (long long)slot->born_ns);
}

enum rc pool_open(struct pool *pool)
{
	if (gethostname(pool->host, sizeof pool->host - 1) != 0)
		return RC_SYS;
	return pipe2(pool->ready, O_CLOEXEC | O_NONBLOCK) == 0 ? RC_OK : RC_SYS;
}

static _Noreturn void be_worker(struct pool *pool, const struct settings *settings, struct slot *slot)
{
	struct worker_start start = {
		.settings = settings, .listen_fd = pool->listener->fd, .ready_fd = pool->ready[1], .board = pool->board, .slot = slot, .roster = pool->roster};

	name_slot(pool, slot, getpid());
	exit(worker_run(&start));
}

static enum rc spawn(struct pool *pool, const struct generation *generation)
{
	const int closes[] = {pool->ready[0], pool->janitor->names[0], pool->janitor->names[1], pool->master_fds[0], pool->master_fds[1]};
	struct slot *slot = scoreboard_take(pool->board);
	pid_t pid;

	if (slot == NULL)
		return RC_UNAVAILABLE;
	pid = child_fork("fpm-worker", &generation->identity, closes, COUNT_OF(closes));
	if (pid == 0)
		be_worker(pool, generation->settings, slot);
	if (pid < 0) {
		log_msg(LOG_ERROR_, "worker", "cannot fork: %s", strerror(errno));
		scoreboard_release(pool->board, slot);
		return RC_SYS;
	}
	name_slot(pool, slot, pid);
	pool->members[slot - pool->board->slots] = (struct member){.pid = pid,
	                                                           .generation = generation->number,
	                                                           .started = clock_us(),
	                                                           .kill_due = INT64_MAX,
	                                                           .patience_ms = generation->settings->process_control_timeout};
	return RC_OK;
}

/* None of these generations drains: what does is of an earlier one, or was given up. */
static unsigned count_members(const struct pool *pool, const struct generation *generation, bool ready_alone)
{
	unsigned count = 0;

	for (unsigned i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct member *member = &pool->members[i];

		count += member->pid != 0 && member->generation == generation->number && (member->ready || !ready_alone);
	}
	return count;
}

static void drain(struct pool *pool, struct member *member)
{
	if (member->pid == 0 || member->draining)
		return;
	member->draining = true;
	member->kill_due = clock_us() + (member->patience_ms + KILL_GRACE_MS) * 1000;
	atomic_store(&slot_of(pool, member)->state, SLOT_DRAINING);
	kill(member->pid, SIGTERM);
}

static void drain_members(struct pool *pool, const struct generation *generation)
{
	for (unsigned i = 0; i < SCOREBOARD_SLOTS; i++)
		if (pool->members[i].generation == generation->number)
			drain(pool, &pool->members[i]);
}

static void give_up(struct pool *pool)
{
	drain_members(pool, &pool->coming);
	config_free(pool->coming.settings);
	pool->coming.settings = NULL;
	if (pool->serving.settings != NULL)
		roster_give(pool->roster, &pool->serving.identity);
}

enum rc pool_begin(struct pool *pool, struct settings *settings, const struct identity *identity)
{
	enum rc rc = RC_OK;

	if (scoreboard_free_slots(pool->board) < (unsigned)settings->pm_max_children) {
		config_free(settings);
		return RC_UNAVAILABLE;
	}
	if (pool->coming.settings != NULL)
		give_up(pool);
	pool->coming = (struct generation){++pool->generations, settings, *identity};
	roster_give(pool->roster, identity);
	for (int64_t i = 0; rc == RC_OK && i < settings->pm_max_children; i++)
		rc = spawn(pool, &pool->coming);
	if (rc != RC_OK)
		give_up(pool);
	return rc;
}

static struct member *find(struct pool *pool, pid_t pid)
{
	for (unsigned i = 0; i < SCOREBOARD_SLOTS; i++)
		if (pool->members[i].pid == pid)
			return &pool->members[i];
	return NULL;
}

void pool_read_ready(struct pool *pool)
{
	pid_t pid;

	while (read(pool->ready[0], &pid, sizeof pid) == (ssize_t)sizeof pid) {
		struct member *member = find(pool, pid);

		if (member != NULL)
			member->ready = true;
	}
}

static void report_end(const struct pool *pool, const struct member *member, int status)
{
	struct log_line line;
	char fate[64];

	log_begin(&line, LOG_WARN_, "worker");
	log_str(&line, "worker", slot_of(pool, member)->name);
	log_str(&line, "msg", child_fate(status, fate));
	log_send(&line);
}

/* An end that nobody asked for. */
static void mourn(struct pool *pool, const struct member *member)
{
	if (pool->coming.settings != NULL && member->generation == pool->coming.number) {
		give_up(pool);
		pool->event = POOL_GAVE_UP;
		return;
	}
	atomic_fetch_add(&pool->board->deaths, 1);
	pool->respawn_due = backoff_after(&pool->quick_ends, member->started);
}

bool pool_ended(struct pool *pool, pid_t pid, int status)
{
	struct member *member = find(pool, pid);

	if (member == NULL)
		return false;
	if (status == 0)
		roster_strike(pool->roster, slot_of(pool, member)->name);
	else if (pool->janitor->names[1] >= 0)
		janitor_tell(pool->janitor, slot_of(pool, member)->name);
	if (status != 0 || !member->draining)
		report_end(pool, member, status);
	if (!member->draining)
		mourn(pool, member);
	member->pid = 0;
	scoreboard_release(pool->board, slot_of(pool, member));
	return true;
}

static void establish(struct pool *pool)
{
	if (pool->coming.settings == NULL || count_members(pool, &pool->coming, true) < (unsigned)pool->coming.settings->pm_max_children)
		return;
	if (pool->serving.settings != NULL) {
		drain_members(pool, &pool->serving);
		config_free(pool->serving.settings);
		atomic_fetch_add(&pool->board->reloads, 1);
	}
	pool->serving = pool->coming;
	pool->coming.settings = NULL;
	pool->event = POOL_SERVES;
}

static bool lacks_members(const struct pool *pool)
{
	return !pool->stopping && pool->serving.settings != NULL &&
	       count_members(pool, &pool->serving, false) < (unsigned)pool->serving.settings->pm_max_children;
}

static void replace_dead(struct pool *pool)
{
	while (lacks_members(pool) && clock_us() >= pool->respawn_due)
		if (spawn(pool, &pool->serving) != RC_OK)
			pool->respawn_due = clock_us() + FORK_RETRY_US;
}

static void kill_overdue(struct pool *pool)
{
	for (unsigned i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct member *member = &pool->members[i];

		if (member->pid == 0 || clock_us() < member->kill_due)
			continue;
		log_msg(LOG_WARN_, "worker", "%s did not finish in time and is killed", slot_of(pool, member)->name);
		kill(member->pid, SIGKILL);
		member->kill_due = INT64_MAX;
	}
}

enum pool_event pool_step(struct pool *pool)
{
	enum pool_event event;

	establish(pool);
	replace_dead(pool);
	kill_overdue(pool);
	event = pool->event;
	pool->event = POOL_NOTHING;
	return event;
}

int64_t pool_due(const struct pool *pool)
{
	int64_t due = lacks_members(pool) ? pool->respawn_due : INT64_MAX;

	for (unsigned i = 0; i < SCOREBOARD_SLOTS; i++)
		if (pool->members[i].pid != 0 && pool->members[i].kill_due < due)
			due = pool->members[i].kill_due;
	return due;
}

void pool_stop(struct pool *pool)
{
	pool->stopping = true;
	if (pool->coming.settings != NULL)
		give_up(pool);
	drain_members(pool, &pool->serving);
}

void pool_signal(const struct pool *pool, int number)
{
	for (unsigned i = 0; i < SCOREBOARD_SLOTS; i++)
		if (pool->members[i].pid != 0)
			kill(pool->members[i].pid, number);
}

unsigned pool_count(const struct pool *pool)
{
	unsigned count = 0;

	for (unsigned i = 0; i < SCOREBOARD_SLOTS; i++)
		count += pool->members[i].pid != 0;
	return count;
}
