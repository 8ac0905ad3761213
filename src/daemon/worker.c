/*
 * worker.c - threads that serve, and one that waits for signals.
 *
 * Every signal is blocked everywhere; the main thread takes them with sigtimedwait and ends the process in order: idle threads are woken out of
 * accept until none is left there, the socket is closed, the requests in hand end by themselves.
 */
#include "daemon/worker.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/child.h"
#include "daemon/lobby.h"
#include "daemon/logfile.h"
#include "daemon/status.h"
#include "request/pipeline.h"

/* A thread touches a few pages of it. What recurses (JSON, YAML, schemas, templates) is bounded at depth 32, regular expressions use the heap. */
#define STACK_SIZE (256u * 1024u)
#define TICK_MS 1000
#define TRIM_PEAK 32 /* requests at once that leave enough behind to be worth it */
#define WAKE_US 5000         /* between two rounds of waking */
#define LEAST_DRAIN_MS 1000  /* for what is left to be written, even when the requests took all the time */

#ifndef PR_FUTEX_HASH /* prctl(2), Linux 6.16 */
#define PR_FUTEX_HASH 78
#define PR_FUTEX_HASH_SET_SLOTS 1
#endif

struct thread {
	struct worker *worker;
	pthread_t id;
	struct fcgi *fcgi;
	struct lobby_seat seat;
	atomic_bool idle; /* waits for a connection, or is about to */
	atomic_bool left; /* has returned */
};

struct worker {
	const struct worker_start *start;
	struct service *service;
	struct status status;
	struct thread *threads;
	unsigned count; /* of threads that run */
	struct lobby lobby;
	pthread_t main, house;
	sigset_t signals;
	atomic_bool house_done;
	bool stopping;
};

static void pause_briefly(void)
{
	struct timespec time = {.tv_nsec = 100 * 1000 * 1000};

	nanosleep(&time, NULL);
}

/* One line a second at most, from whichever thread comes first. */
static void complain(enum rc rc, int error)
{
	static atomic_llong quiet_until;
	long long now = clock_us(), until = atomic_load(&quiet_until);

	if (now < until || !atomic_compare_exchange_strong(&quiet_until, &until, now + 1000000))
		return;
	if (rc == RC_DENIED)
		log_msg(LOG_WARN_, "accept", "a peer that is not in listen.allowed_clients was turned away");
	else
		log_msg(LOG_ERROR_, "accept", "%s", strerror(error));
}

static void serve_one(struct thread *thread)
{
	struct worker *worker = thread->worker;
	struct slot *slot = worker->start->slot;

	atomic_fetch_add(&slot->counters[COUNTER_ACCEPTED], 1);
	atomic_fetch_add(&slot->active, 1);
	if (!status_serve(&worker->status, thread->fcgi))
		pipeline_serve(worker->service, thread->fcgi);
	atomic_fetch_sub(&slot->active, 1);
}

/* RC_DONE when no more are taken. */
static enum rc take_connection(struct thread *thread)
{
	struct lobby *lobby = &thread->worker->lobby;
	enum rc rc;
	int error;

	if (!lobby_enter(lobby, &thread->seat))
		return RC_DONE;
	atomic_store(&thread->idle, true);
	rc = fcgi_wait(thread->fcgi);
	error = errno;
	atomic_store(&thread->idle, false);
	lobby_leave(lobby);
	if (rc == RC_SYS || rc == RC_DENIED)
		complain(rc, error);
	if (rc == RC_SYS)
		pause_briefly();
	return rc;
}

static void *serve(void *p)
{
	struct thread *thread = p;
	enum rc rc;

	while ((rc = take_connection(thread)) != RC_DONE)
		if (rc == RC_OK && fcgi_begin(thread->fcgi) == RC_OK)
			serve_one(thread);
	atomic_store(&thread->left, true);
	pthread_kill(thread->worker->main, FCGI_WAKE);
	return NULL;
}

static void refresh_slot(struct worker *worker)
{
	atomic_long *counters = worker->start->slot->counters;
	struct service *service = worker->service;

	atomic_store(&counters[COUNTER_REQUESTS], atomic_load(&service->requests));
	atomic_store(&counters[COUNTER_STREAMS], atomic_load(&service->streams));
	atomic_store(&counters[COUNTER_CACHE_HITS], atomic_load(&service->cache_hits));
	atomic_store(&counters[COUNTER_REFUSED], atomic_load(&service->refused));
	atomic_store(&counters[COUNTER_FAILED], atomic_load(&service->failed));
	atomic_store(&counters[COUNTER_ABORTED], atomic_load(&service->aborted));
	atomic_store(&counters[COUNTER_RETRIES], atomic_load(&service->retries));
	atomic_store(&counters[COUNTER_FALLBACKS], atomic_load(&service->fallbacks));
}

/* What many requests at once have used is given back when there are few again: freed memory lies scattered and would stay. */
static void trim_memory(const struct worker *worker, long *peak)
{
	long active = atomic_load(&worker->start->slot->active);

	if (*peak >= TRIM_PEAK && active <= *peak / 4) {
		malloc_trim(0);
		*peak = active;
	}
	if (active > *peak)
		*peak = active;
}

/* A thread of its own: the database may keep it waiting, and signals shall not wait with it. */
static void *keep_house(void *p)
{
	struct timespec tick = {.tv_sec = 1};
	struct worker *worker = p;
	sigset_t wake;
	long peak = 0;

	sigemptyset(&wake);
	sigaddset(&wake, FCGI_WAKE);
	while (!atomic_load(&worker->house_done)) {
		service_tick(worker->service);
		refresh_slot(worker);
		trim_memory(worker, &peak);
		sigtimedwait(&wake, NULL, &tick);
	}
	return NULL;
}

static enum rc start_thread(struct worker *worker, const pthread_attr_t *attributes)
{
	struct thread *thread = &worker->threads[worker->count];
	enum rc rc = fcgi_new(worker->start->listen_fd, &thread->fcgi);
	int error;

	if (rc != RC_OK)
		return rc;
	thread->worker = worker;
	rc = lobby_seat_open(&thread->seat);
	if (rc != RC_OK) {
		fcgi_free(thread->fcgi);
		return rc;
	}
	fcgi_send_timeout(thread->fcgi, (int)worker->start->settings->send_timeout);
	fcgi_measure_sending(thread->fcgi, worker->start->settings->request_slowlog_timeout > 0);
	error = pthread_create(&thread->id, attributes, serve, thread);
	if (error != 0) {
		log_msg(LOG_ERROR_, "worker", "thread %u of %lld: %s; lower pm.threads, or raise the limit on processes (ulimit -u, TasksMax=)", worker->count + 1,
		        (long long)worker->start->settings->pm_threads, strerror(error));
		fcgi_free(thread->fcgi);
		return RC_SYS;
	}
	worker->count++;
	return RC_OK;
}

static enum rc start_threads(struct worker *worker)
{
	size_t want = (size_t)worker->start->settings->pm_threads;
	pthread_attr_t attributes;
	enum rc rc = RC_OK;

	worker->threads = calloc(want, sizeof *worker->threads);
	if (worker->threads == NULL)
		return RC_NOMEM;
	pthread_attr_init(&attributes);
	if (pthread_attr_setstacksize(&attributes, STACK_SIZE) != 0)
		rc = RC_SYS;
	while (rc == RC_OK && worker->count < want)
		rc = start_thread(worker, &attributes);
	if (rc == RC_OK && pthread_create(&worker->house, &attributes, keep_house, worker) != 0)
		rc = RC_SYS;
	pthread_attr_destroy(&attributes);
	atomic_store(&worker->start->slot->threads, worker->count);
	return rc;
}

static void take_signal(struct worker *worker, int number)
{
	if (number == SIGTERM || number == SIGINT || number == SIGQUIT)
		worker->stopping = true;
	else if (number == SIGUSR1)
		logfile_reopen();
}

/* Waits for a signal, or for the time to pass. The master's death is told by a signal too; the look at the parent is for where that was lost. */
static void wait_for(struct worker *worker, int64_t us)
{
	struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
	int number = sigtimedwait(&worker->signals, NULL, &time);

	if (number > 0)
		take_signal(worker, number);
	if (getppid() != worker->start->board->master)
		worker->stopping = true;
}

/* How many have not returned yet; the idle ones among them are woken. */
static unsigned wake_idle(struct worker *worker, unsigned *idle)
{
	unsigned staying = 0;

	*idle = 0;
	for (unsigned i = 0; i < worker->count; i++) {
		struct thread *thread = &worker->threads[i];

		if (atomic_load(&thread->left))
			continue;
		staying++;
		if (atomic_load(&thread->idle)) {
			(*idle)++;
			pthread_kill(thread->id, FCGI_WAKE);
		}
	}
	return staying;
}

static unsigned drain(struct worker *worker, int64_t deadline)
{
	int listen_fd = worker->start->listen_fd;
	unsigned staying, idle;

	fcgi_shutdown();
	lobby_close(&worker->lobby);
	while ((staying = wake_idle(worker, &idle)) > 0 && clock_us() < deadline) {
		if (idle == 0 && listen_fd >= 0) {
			close(listen_fd); /* nobody accepts any more: web servers shall notice */
			listen_fd = -1;
		}
		wait_for(worker, idle > 0 ? WAKE_US : (int64_t)clock_left_ms(deadline, TICK_MS) * 1000);
	}
	return staying;
}

static void free_threads(struct worker *worker)
{
	atomic_store(&worker->house_done, true);
	pthread_kill(worker->house, FCGI_WAKE);
	pthread_join(worker->house, NULL);
	for (unsigned i = 0; i < worker->count; i++) {
		pthread_join(worker->threads[i].id, NULL);
		fcgi_free(worker->threads[i].fcgi);
		lobby_seat_free(&worker->threads[i].seat);
	}
	lobby_free(&worker->lobby);
	free(worker->threads);
}

/* With requests still in hand nothing can be freed: the process goes as it is, and sweep() ends their rows. */
static int finish(struct worker *worker)
{
	int64_t deadline = clock_us() + worker->start->settings->process_control_timeout * 1000;
	unsigned staying;
	enum rc rc;
	int left_ms;

	atomic_store(&worker->start->slot->state, SLOT_DRAINING);
	staying = drain(worker, deadline);
	left_ms = clock_left_ms(deadline, 3600 * 1000);
	if (staying > 0) {
		log_msg(LOG_WARN_, "worker", "%u requests were still in hand after process_control_timeout", staying);
		refresh_slot(worker);
		_exit(CHILD_UNFINISHED);
	}
	free_threads(worker);
	rc = service_drain(worker->service, left_ms > LEAST_DRAIN_MS ? left_ms : LEAST_DRAIN_MS);
	refresh_slot(worker);
	service_free(worker->service);
	return rc == RC_OK ? CHILD_DONE : CHILD_UNFINISHED;
}

/*
 * Linux 6.16 and newer look up whom to wake in a table of the process's own, sized by the number of processors, not of threads: a thousand idle
 * threads make lists of sixty there, walked at each wake. One slot a thread instead. An older kernel refuses, and has one large table for all.
 */
static void widen_futex_table(int64_t threads)
{
	unsigned long slots = 16;

	while (slots < (unsigned long)threads)
		slots *= 2;
	(void)prctl(PR_FUTEX_HASH, PR_FUTEX_HASH_SET_SLOTS, slots, 0UL, 0UL);
}

static enum rc begin(struct worker *worker)
{
	const struct settings *settings = worker->start->settings;
	enum rc rc = fcgi_init();

	widen_futex_table(settings->pm_threads);
	if (rc == RC_OK)
		rc = fcgi_allow(settings->listen_allowed_clients);
	if (rc == RC_OK)
		rc = service_new(settings, worker->start->slot->name, worker->start->board->shelf, &worker->service);
	if (rc == RC_OK) {
		worker->status.catalog = worker->service->catalog;
		rc = lobby_open(&worker->lobby);
	}
	if (rc == RC_OK)
		rc = start_threads(worker);
	return rc;
}

static enum rc report_ready(const struct worker_start *start)
{
	pid_t pid = getpid();

	atomic_store(&start->slot->state, SLOT_SERVING);
	return write(start->ready_fd, &pid, sizeof pid) == (ssize_t)sizeof pid ? RC_OK : RC_SYS;
}

int worker_run(const struct worker_start *start)
{
	struct worker worker = {.start = start, .main = pthread_self(), .status = {.settings = start->settings, .board = start->board}};
	enum rc rc;

	child_signals(&worker.signals);
	rc = begin(&worker);
	if (rc == RC_OK) {
		roster_enter(start->roster, start->slot->name);
		rc = report_ready(start);
	}
	if (rc != RC_OK) {
		log_msg(LOG_ERROR_, "worker", "cannot start: %s", rc_name(rc));
		_exit(CHILD_CANNOT_START);
	}
	while (!worker.stopping)
		wait_for(&worker, TICK_MS * 1000);
	return finish(&worker);
}
