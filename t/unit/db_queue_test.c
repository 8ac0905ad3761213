/*
 * db_queue_test.c - who leads, who waits and what goes together, with threads that are held where the test wants them: nothing sleeps, and no outcome hangs on who is quicker.
 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "port/db_queue.h"
#include "unit.h"

#define CALLERS 8
#define RUNS 16

static const char kind_a[] = "a", kind_b[] = "b";
static struct db_queue queue;

/* A connection's place, and the batches that it was given. Each waits in it for a post on `go`. */
struct place {
	struct db_leader leader;
	sem_t begun, go;
	struct run {
		int64_t locks[DB_BATCH_MAX];
		unsigned count;
		bool sent;
		int64_t at_us;
		pthread_t by;
	} runs[RUNS];
	unsigned run_count;
	unsigned send_next; /* how many times more it takes the next batch before its own is over */
};

static struct place places[2];

struct caller {
	pthread_t thread;
	struct buf item;
	struct db_call call;
	struct db_job job;
	struct db_row row;
};

static struct caller callers[CALLERS];

static void run_batch(void *user, struct db_job **jobs, unsigned count, bool sent)
{
	struct place *place = user;
	struct run *run = &place->runs[place->run_count++];
	struct db_job **next;

	*run = (struct run){.count = count, .sent = sent, .at_us = clock_us(), .by = pthread_self()};
	for (unsigned i = 0; i < count; i++) {
		run->locks[i] = jobs[i]->call->lock_key;
		jobs[i]->rc = RC_OK;
	}
	sem_post(&place->begun);
	while (sem_wait(&place->go) != 0)
		;
	if (place->send_next > 0 && db_queue_next(&queue, &place->leader, &next) > 0)
		place->send_next--;
}

static bool can_send(void *user, const struct db_call *call)
{
	(void)user;
	return call->item != NULL;
}

static void set_up(void)
{
	memset(callers, 0, sizeof callers);
	memset(places, 0, sizeof places);
}

static void add_place(struct place *place)
{
	place->leader = (struct db_leader){.run = run_batch, .can_send = can_send, .user = place};
	sem_init(&place->begun, 0, 0);
	sem_init(&place->go, 0, 0);
	pthread_mutex_lock(&queue.lock);
	db_queue_add(&queue, &place->leader);
	pthread_mutex_unlock(&queue.lock);
}

static void begin(unsigned connections, unsigned batch)
{
	db_queue_init(&queue, batch);
	for (unsigned i = connections; i-- > 0;)
		add_place(&places[i]);
}

static void *call_in_thread(void *user)
{
	struct caller *caller = user;

	db_queue_run(&queue, &caller->job);
	return NULL;
}

/* `kind` is a set's, or NULL for a call that goes by itself. */
static void start(unsigned n, const char *kind, bool commits, int64_t lock_key)
{
	struct caller *caller = &callers[n];

	caller->call = (struct db_call){.sql = kind == NULL ? "one" : kind, .item = kind == NULL ? NULL : &caller->item, .commits = commits, .lock_key = lock_key};
	caller->job = (struct db_job){.call = &caller->call, .row = &caller->row, .rc = RC_UNAVAILABLE};
	ck_assert_int_eq(pthread_create(&caller->thread, NULL, call_in_thread, caller), 0);
}

static void join(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		pthread_join(callers[i].thread, NULL);
		ck_assert_int_eq(callers[i].job.rc, RC_OK);
	}
}

static unsigned count_waiting(void)
{
	unsigned waiting;

	pthread_mutex_lock(&queue.lock);
	waiting = queue.waiting;
	pthread_mutex_unlock(&queue.lock);
	return waiting;
}

static void await_waiting(unsigned count)
{
	while (count_waiting() < count)
		sched_yield();
}

static void await_begun(struct place *place)
{
	while (sem_wait(&place->begun) != 0)
		;
}

/* All is over: each connection lies idle again, and nothing waits. */
static void end(unsigned connections)
{
	unsigned idle = 0;

	for (const struct db_leader *leader = queue.idle; leader != NULL; leader = leader->next_idle)
		idle++;
	ck_assert_uint_eq(idle, connections);
	ck_assert_ptr_null(queue.working);
	ck_assert_ptr_null(queue.first);
	ck_assert_ptr_null(queue.last);
	ck_assert_uint_eq(queue.waiting, 0);
	db_queue_destroy(&queue);
}

START_TEST(who_waits_for_a_leader_goes_in_one_batch_in_order_of_the_locks)
{
	static const int64_t locks[] = {5, INT64_MIN, 7, INT64_MAX, -3};

	begin(1, 16);
	start(0, kind_a, true, 1);
	await_begun(&places[0]);
	for (unsigned i = 0; i < COUNT_OF(locks); i++)
		start(i + 1, kind_a, true, locks[i]);
	await_waiting(COUNT_OF(locks));
	sem_post(&places[0].go);
	sem_post(&places[0].go);
	join(0, 1 + COUNT_OF(locks));
	ck_assert_uint_eq(places[0].run_count, 2);
	ck_assert_uint_eq(places[0].runs[0].count, 1);
	ck_assert_uint_eq(places[0].runs[1].count, COUNT_OF(locks));
	for (unsigned i = 1; i < COUNT_OF(locks); i++)
		ck_assert_int_lt(places[0].runs[1].locks[i - 1], places[0].runs[1].locks[i]);
	end(1);
}
END_TEST

START_TEST(a_batch_has_a_cap)
{
	begin(1, 2);
	start(0, kind_a, true, 0);
	await_begun(&places[0]);
	for (unsigned i = 1; i < 6; i++) {
		start(i, kind_a, true, i);
		await_waiting(i);
	}
	for (unsigned i = 0; i < 4; i++)
		sem_post(&places[0].go);
	join(0, 6);
	ck_assert_uint_eq(places[0].run_count, 4);
	for (unsigned i = 1; i < 4; i++)
		ck_assert_uint_eq(places[0].runs[i].count, i < 3 ? 2 : 1);
	ck_assert_int_eq(places[0].runs[1].locks[0], 1); /* the first that came */
	end(1);
	db_queue_init(&queue, 100000);
	ck_assert_uint_eq(queue.batch, DB_BATCH_MAX);
	db_queue_destroy(&queue);
	db_queue_init(&queue, 0);
	ck_assert_uint_eq(queue.batch, 1);
	db_queue_destroy(&queue);
}
END_TEST

/* Sets of two kinds, calls of neither that write, and reads: never two of them in one transaction. */
START_TEST(kinds_are_not_mixed)
{
	begin(1, 16);
	start(0, kind_a, true, 0);
	await_begun(&places[0]);
	start(1, kind_a, true, 10);
	start(2, kind_b, true, 20);
	start(3, NULL, true, 30);
	start(4, NULL, false, 40);
	start(5, kind_a, true, 10);
	start(6, NULL, true, 30);
	await_waiting(6);
	for (unsigned i = 0; i < 5; i++)
		sem_post(&places[0].go);
	join(0, 7);
	ck_assert_uint_eq(places[0].run_count, 5);
	for (unsigned i = 1; i < 5; i++) {
		const struct run *run = &places[0].runs[i];

		ck_assert_uint_eq(run->count, run->locks[0] == 10 || run->locks[0] == 30 ? 2 : 1);
		ck_assert_int_eq(run->locks[0], run->locks[run->count - 1]);
	}
	end(1);
}
END_TEST

/* Whether it is at work. Called with the lock. */
static bool works(const struct place *place)
{
	for (const struct db_leader *leader = queue.working; leader != NULL; leader = leader->next_working)
		if (leader == &place->leader)
			return true;
	return false;
}

static int held[2], told[2];

static void be_held(int number)
{
	char byte = (char)number;

	(void)!write(told[1], &byte, 1);
	(void)!read(held[0], &byte, 1);
}

/* A thread that waits for its turn is kept from waking; the lock is not in its hands then. */
static void hold(pthread_t thread)
{
	struct sigaction action = {.sa_handler = be_held, .sa_flags = SA_RESTART};
	char byte;

	ck_assert_int_eq(pipe(held), 0);
	ck_assert_int_eq(pipe(told), 0);
	ck_assert_int_eq(sigaction(SIGUSR2, &action, NULL), 0);
	pthread_mutex_lock(&queue.lock);
	ck_assert_int_eq(pthread_kill(thread, SIGUSR2), 0);
	ck_assert_int_eq(read(told[0], &byte, 1), 1);
	pthread_mutex_unlock(&queue.lock);
}

static void let_go(void)
{
	ck_assert_int_eq(write(held[1], "x", 1), 1);
}

static bool handed_over(const struct db_job *job)
{
	bool led;

	pthread_mutex_lock(&queue.lock);
	led = job->lead != NULL;
	pthread_mutex_unlock(&queue.lock);
	return led;
}

/* Who comes between a leader's end and its heir's waking finds somebody at work, and waits: he takes no second connection before his patience is over. */
START_TEST(a_leader_is_at_work_from_when_it_is_handed_over)
{
	int64_t since_us;
	bool idle;

	begin(1, 16);
	start(0, kind_a, true, 1);
	await_begun(&places[0]);
	start(1, kind_a, true, 2);
	await_waiting(1);
	hold(callers[1].thread);
	add_place(&places[1]); /* late, so that the heir's own patience cannot take it */
	sem_post(&places[1].go);
	sem_post(&places[0].go);
	while (!handed_over(&callers[1].job))
		sched_yield();
	pthread_mutex_lock(&queue.lock);
	ck_assert(works(&places[0]));
	ck_assert(!works(&places[1]));
	pthread_mutex_unlock(&queue.lock);
	since_us = clock_us();
	start(2, kind_a, true, 3);
	for (bool seen = false; !seen;) {
		pthread_mutex_lock(&queue.lock);
		seen = queue.waiting == 2 || places[1].run_count > 0;
		idle = queue.idle == &places[1].leader;
		pthread_mutex_unlock(&queue.lock);
	}
	ck_assert(idle || clock_us() - since_us >= DB_PATIENCE_MS * INT64_C(1000));
	let_go();
	sem_post(&places[0].go);
	sem_post(&places[0].go);
	join(0, 3);
	ck_assert(places[1].run_count == 0 || places[1].runs[0].at_us - since_us >= DB_PATIENCE_MS * INT64_C(1000));
	end(2);
}
END_TEST

/* An heir may be taken into another's batch before he wakes: the place that he had been given is given back, and to nobody twice. */
START_TEST(a_place_that_was_handed_over_is_not_lost)
{
	begin(2, 2);
	start(0, kind_a, true, 1);
	await_begun(&places[0]);
	start(1, kind_a, true, 2);
	start(2, kind_a, true, 3);
	await_begun(&places[1]); /* with both, or with one of them whose patience was over */
	for (unsigned i = 0; i < 3; i++)
		sem_post(&places[1].go);
	join(1, 3);
	while (sem_trywait(&places[1].go) == 0 || sem_trywait(&places[1].begun) == 0)
		;
	start(1, kind_b, true, 4);
	await_begun(&places[1]);
	start(3, NULL, true, 5);
	await_waiting(1);
	hold(callers[3].thread);
	start(4, NULL, true, 6);
	await_waiting(2);
	sem_post(&places[1].go);
	while (!handed_over(&callers[3].job))
		sched_yield();
	sem_post(&places[0].go);
	await_begun(&places[0]);
	sem_post(&places[0].go);
	join(0, 2);
	let_go();
	join(3, 5);
	ck_assert_uint_eq(places[0].runs[places[0].run_count - 1].count, 2);
	end(2);
}
END_TEST

/* Whose call is in a batch already has no use for a connection, however long that takes. The third call's patience is over after the second's. */
START_TEST(who_is_being_served_takes_no_other_place)
{
	begin(1, 16);
	start(0, kind_a, true, 1);
	await_begun(&places[0]);
	start(1, kind_a, true, 2);
	start(2, kind_a, true, 3);
	await_waiting(2);
	sem_post(&places[0].go);
	await_begun(&places[0]);
	add_place(&places[1]);
	start(3, kind_a, true, 4);
	await_begun(&places[1]);
	ck_assert_uint_eq(places[1].runs[0].count, 1);
	ck_assert_int_eq(places[1].runs[0].locks[0], 4);
	ck_assert(pthread_equal(places[1].runs[0].by, callers[3].thread));
	sem_post(&places[1].go);
	sem_post(&places[0].go);
	join(0, 4);
	end(2);
}
END_TEST

/* Until the place is at work so many are never seen to wait: whoever comes and takes it is not in the queue any more when the lock is free again. */
static void await_begun_without_waiting(struct place *place, unsigned count)
{
	while (sem_trywait(&place->begun) != 0) {
		ck_assert_uint_lt(count_waiting(), count);
		sched_yield();
	}
}

/* What is of another kind, or a whole batch, does not wait for who is at work; nor does a read, for anybody. */
START_TEST(a_second_connection_is_taken_where_it_helps)
{
	begin(2, 2);
	start(0, NULL, true, 1);
	await_begun(&places[0]);
	start(1, kind_a, true, 2);
	await_begun_without_waiting(&places[1], 1);
	ck_assert_int_eq(places[1].runs[0].locks[0], 2);
	sem_post(&places[1].go);
	join(1, 2);
	start(1, NULL, true, 3);
	start(2, NULL, true, 4);
	await_begun_without_waiting(&places[1], 2);
	for (unsigned i = 0; i < 2; i++) {
		sem_post(&places[i].go);
		sem_post(&places[i].go);
	}
	join(0, 3);
	for (unsigned i = 0; i < 2; i++)
		while (sem_trywait(&places[i].go) == 0 || sem_trywait(&places[i].begun) == 0)
			;
	start(0, NULL, false, 5);
	start(1, NULL, false, 6);
	await_begun_without_waiting(&places[0], 1);
	await_begun_without_waiting(&places[1], 1);
	sem_post(&places[0].go);
	sem_post(&places[1].go);
	join(0, 2);
	end(2);
}
END_TEST

/* The first at work may be held up by a lock: who has waited long enough takes another. */
START_TEST(patience_ends)
{
	int64_t since_us;

	begin(2, 16);
	start(0, kind_a, true, 1);
	await_begun(&places[0]);
	since_us = clock_us();
	start(1, kind_a, true, 2);
	start(2, kind_b, true, 3); /* another kind of set: it goes behind the first, too */
	await_begun(&places[1]);
	ck_assert_int_ge(places[1].runs[0].at_us - since_us, DB_PATIENCE_MS * INT64_C(1000));
	sem_post(&places[1].go);
	sem_post(&places[1].go);
	sem_post(&places[0].go);
	sem_post(&places[0].go);
	join(0, 3);
	ck_assert_uint_eq(places[0].runs[0].count, 1);
	ck_assert_uint_eq(places[0].run_count + places[1].run_count, 3);
	end(2);
}
END_TEST

/* The set that is sent while the one before it commits: its results are taken in by one of its own threads, over the same connection, whatever waits besides. */
START_TEST(a_set_that_was_sent_is_finished_by_its_own)
{
	begin(1, 2);
	places[0].send_next = 1;
	start(0, kind_a, true, 1);
	await_begun(&places[0]);
	start(1, kind_b, true, 4);
	await_waiting(1);
	start(2, NULL, true, 9);
	await_waiting(2);
	start(3, kind_b, true, 3);
	await_waiting(3);
	start(4, kind_b, true, 2);
	await_waiting(4);
	sem_post(&places[0].go);
	await_begun(&places[0]);
	pthread_mutex_lock(&queue.lock);
	ck_assert_ptr_eq(places[0].leader.kind->sql, kind_b); /* the first call is gone, and nothing looks at it any more */
	pthread_mutex_unlock(&queue.lock);
	for (unsigned i = 0; i < 3; i++)
		sem_post(&places[0].go);
	join(0, 5);
	ck_assert_uint_eq(places[0].run_count, 4);
	ck_assert(!places[0].runs[0].sent);
	ck_assert(places[0].runs[1].sent);
	ck_assert_uint_eq(places[0].runs[1].count, 2);
	ck_assert_int_eq(places[0].runs[1].locks[0], 3);
	ck_assert_int_eq(places[0].runs[1].locks[1], 4);
	ck_assert(!places[0].runs[2].sent);
	ck_assert_uint_eq(places[0].runs[2].count + places[0].runs[3].count, 2);
	end(1);
}
END_TEST

/* Only what can be sent is: a call of no set waits for the commit. */
START_TEST(what_cannot_be_sent_waits)
{
	begin(1, 16);
	places[0].send_next = 1;
	start(0, kind_a, true, 1);
	await_begun(&places[0]);
	start(1, NULL, true, 2);
	await_waiting(1);
	sem_post(&places[0].go);
	sem_post(&places[0].go);
	join(0, 2);
	ck_assert(!places[0].runs[1].sent);
	ck_assert_uint_eq(places[0].send_next, 1);
	end(1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("db_queue");
	TCase *tc = tcase_create("db_queue");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, who_waits_for_a_leader_goes_in_one_batch_in_order_of_the_locks);
	tcase_add_test(tc, a_batch_has_a_cap);
	tcase_add_test(tc, kinds_are_not_mixed);
	tcase_add_test(tc, a_leader_is_at_work_from_when_it_is_handed_over);
	tcase_add_test(tc, a_place_that_was_handed_over_is_not_lost);
	tcase_add_test(tc, who_is_being_served_takes_no_other_place);
	tcase_add_test(tc, a_second_connection_is_taken_where_it_helps);
	tcase_add_test(tc, patience_ends);
	tcase_add_test(tc, a_set_that_was_sent_is_finished_by_its_own);
	tcase_add_test(tc, what_cannot_be_sent_waits);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
