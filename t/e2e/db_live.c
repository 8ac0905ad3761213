/*
 * db_live.c - the database port against a real server; started by db.t, which gives it one through the PG* environment.
 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>

#include "base/clock.h"
#include "port/db.h"
#include "port/db_item.h"
#include "port/db_session.h"
#include "request/refusal.h"
#include "../unit/unit.h"

#define THREADS 48

static struct db *db;
static struct arena *arena;

static void open_with(unsigned connections, unsigned batch)
{
	const struct db_settings settings = {
		.conninfo = "", .connections = connections, .batch = batch, .connect_timeout_ms = 5000, .statement_timeout_ms = 3000, .retry_ms = 10};

	ck_assert_int_eq(db_new(&settings, &db), RC_OK);
}

static void set_up(void)
{
	arena = arena_new(1u << 20);
	open_with(2, 16);
}

static void tear_down(void)
{
	db_free(db);
	arena_free(arena);
}

static enum rc run(const char *sql, const char *param, bool commits, struct db_row *row)
{
	const char *const params[] = {param};
	const struct db_call call = {.sql = sql, .params = params, .param_count = strchr(sql, '$') == NULL ? 0 : 1, .commits = commits};

	return db_call(db, arena, &call, row);
}

START_TEST(a_call_answers_with_its_first_row)
{
	struct db_row row;

	ck_assert_int_eq(run("select $1::text, null, 3", "x'y", false, &row), RC_OK);
	ck_assert_uint_eq(row.count, 3);
	ck_assert_str_eq(row.values[0], "x'y");
	ck_assert_ptr_null(row.values[1]);
	ck_assert_str_eq(row.values[2], "3");
	ck_assert_int_eq(run("select 1 where $1::text is not null", NULL, false, &row), RC_DONE);
	ck_assert_int_eq(run("select 1/$1::int", "0", false, &row), RC_INVALID);
	ck_assert_int_eq(run("select 5", NULL, true, &row), RC_OK);
	ck_assert_str_eq(row.values[0], "5");
}
END_TEST

struct caller_thread {
	pthread_t thread;
	char param[32];
	int item;
	const char *sql;
	int64_t lock_key;
	enum rc rc;
	char answer[64];
};

static void *call_in_thread(void *user)
{
	struct caller_thread *t = user;
	struct arena *own = arena_new(1u << 16);
	const char *const params[] = {t->param};
	const struct db_call call = {.sql = t->sql, .params = params, .param_count = 1, .commits = true, .lock_key = t->lock_key};
	struct db_row row;

	t->rc = db_call(db, own, &call, &row);
	if (t->rc == RC_OK)
		strncpy(t->answer, row.values[0], sizeof t->answer - 1);
	arena_free(own);
	return NULL;
}

static void start_all(struct caller_thread *threads, const char *sql, int failing)
{
	for (int i = 0; i < THREADS; i++) {
		threads[i] = (struct caller_thread){.sql = sql, .lock_key = (i * 7919) % 31};
		snprintf(threads[i].param, sizeof threads[i].param, "%d", i == failing ? 0 : i + 1);
		ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, call_in_thread, &threads[i]), 0);
	}
}

static void join_some(struct caller_thread *threads, int from, int to)
{
	for (int i = from; i < to; i++)
		pthread_join(threads[i].thread, NULL);
}

static void join_all(struct caller_thread *threads)
{
	join_some(threads, 0, THREADS);
}

/* Holds back every call of live_note and live_set (1), or the commit of a note of 99 (2), until the session is closed. */
static struct db_session *hold_back(int lock)
{
	struct db_session *session;
	char reason[256], sql[64];

	snprintf(sql, sizeof sql, "select pg_advisory_lock(%d)", lock);
	ck_assert_int_eq(db_open("", &session, reason, sizeof reason), RC_OK);
	ck_assert_int_eq(db_script(session, sql), RC_OK);
	return session;
}

static void wait_for_waiters(struct db_session *session, int connections)
{
	struct db_table table;

	do {
		ck_assert_int_eq(db_query(session, arena, "select count(*) from pg_locks where locktype = 'advisory' and not granted", NULL, 0, &table), RC_OK);
	} while (atoi(table.values[0]) < connections);
}

static void release_when_so_many_wait(struct db_session *session, int connections)
{
	wait_for_waiters(session, connections);
	db_close(session);
}

static void call_all(struct caller_thread *threads, const char *sql, int failing)
{
	struct db_session *session = hold_back(1);

	start_all(threads, sql, failing);
	release_when_so_many_wait(session, 2);
	join_all(threads);
}

static void scalar(const char *sql, char *out, size_t size)
{
	struct db_row row;

	ck_assert_int_eq(run(sql, NULL, false, &row), RC_OK);
	strncpy(out, row.values[0], size - 1);
	out[size - 1] = '\0';
}

START_TEST(waiting_calls_share_a_transaction)
{
	struct caller_thread threads[THREADS];
	char count[16];
	struct db_row row;

	ck_assert_int_eq(run("select live_reset()", NULL, true, &row), RC_OK);
	call_all(threads, "select live_note($1::int)", -1);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(threads[i].rc, RC_OK);
	scalar("select count(*) from live_notes", count, sizeof count);
	ck_assert_int_eq(atoi(count), THREADS);
	scalar("select count(distinct xid) from live_notes", count, sizeof count);
	ck_assert_int_lt(atoi(count), THREADS);
}
END_TEST

static atomic_int calling;

static void *call_item(void *user)
{
	struct caller_thread *t = user;
	struct arena *own = arena_new(1u << 16);
	struct buf item;
	const struct db_call call = {.sql = t->sql, .item = &item, .row_type = "live_item", .commits = true, .lock_key = t->lock_key};
	struct db_row row;

	buf_init(&item, own, 1024);
	db_item_begin(&item);
	db_item_int4(&item, t->item);
	db_item_int4(&item, (int32_t)t->lock_key);
	atomic_fetch_add(&calling, 1);
	t->rc = db_call(db, own, &call, &row);
	if (t->rc == RC_OK)
		strncpy(t->answer, row.values[0], sizeof t->answer - 1);
	arena_free(own);
	return NULL;
}

static void start_items(struct caller_thread *threads, int from, int to)
{
	atomic_store(&calling, 0);
	for (int i = from; i < to; i++)
		ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, call_item, &threads[i]), 0);
	while (atomic_load(&calling) < to - from)
		sched_yield();
}

static void call_set(struct caller_thread *threads, const char *sql, int failing)
{
	struct db_session *session = hold_back(1);

	for (int i = 0; i < THREADS; i++)
		threads[i] = (struct caller_thread){.sql = sql, .item = i == failing ? 0 : i + 1, .lock_key = i % 5};
	start_items(threads, 0, THREADS);
	release_when_so_many_wait(session, 2);
	join_all(threads);
}

START_TEST(calls_of_a_set_are_one_statement_and_each_gets_its_own_row)
{
	static const char sql[] = "select n, 60 / item, xid from live_set($1) where item <> 7";
	struct caller_thread threads[THREADS];
	char count[16];
	struct db_row row;

	ck_assert_int_eq(run("select live_reset()", NULL, true, &row), RC_OK);
	call_set(threads, sql, -1);
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(threads[i].rc, i == 6 ? RC_DONE : RC_OK);
		ck_assert_int_eq(atoi(threads[i].answer), i == 6 ? 0 : 60 / (i + 1));
	}
	scalar("select count(distinct xid) from live_notes", count, sizeof count);
	ck_assert_int_lt(atoi(count), THREADS);
	scalar("select count(*) from (select xid, lock, rank, row_number() over (partition by xid, lock order by rank) as r from live_notes) t where t.rank is distinct from t.r", count,
	       sizeof count);
	ck_assert_str_eq(count, "0"); /* items with the same lock are numbered */
	scalar("select max(rank) from live_notes", count, sizeof count);
	ck_assert_int_gt(atoi(count), 1);
	/* One that raises is found by asking for each alone. */
	call_set(threads, sql, 13);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(threads[i].rc, i == 13 ? RC_INVALID : i == 6 ? RC_DONE : RC_OK);
}
END_TEST

#define SMALL 4u       /* calls of a set */
#define DESCRIPTORS 64 /* more than this process has */

/* Bytes that this process has sent on its sockets and that nobody has read yet. */
static int unread_bytes(void)
{
	int total = 0, unread, type;
	socklen_t size = sizeof type;

	for (int fd = 3; fd < DESCRIPTORS; fd++)
		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && ioctl(fd, SIOCOUTQ, &unread) == 0)
			total += unread;
	return total;
}

/* A server process that is committing reads nothing: what is sent to it meanwhile lies there. */
static void wait_for_a_set_sent_ahead(void)
{
	int64_t until_us = clock_us() + 20 * INT64_C(1000000);

	while (unread_bytes() == 0 && clock_us() < until_us)
		sched_yield();
	ck_assert_int_gt(unread_bytes(), 0);
}

static void count_ends(const struct caller_thread *threads, unsigned *done, unsigned *lost)
{
	*done = *lost = 0;
	for (int i = 0; i < THREADS; i++) {
		if (threads[i].rc == RC_OK)
			ck_assert_int_eq(atoi(threads[i].answer), i % 2 == 0 ? threads[i].item : -threads[i].item);
		*done += threads[i].rc == RC_OK;
		*lost += threads[i].rc == RC_GONE;
	}
}

/* It is lost with the set behind, which has been sent by then. Whoever is told that his call was done finds it done; the others are told that nobody knows. */
START_TEST(a_connection_lost_in_a_commit_loses_nothing_unsaid)
{
	static const char *const kinds[] = {"select n, item from live_set($1)", "select n, -item from live_set($1)"};
	struct caller_thread threads[THREADS];
	struct db_session *call, *commit;
	unsigned done, lost;
	char count[16];
	struct db_row row;

	tear_down();
	arena = arena_new(1u << 20);
	open_with(1, SMALL);
	for (int i = 0; i < THREADS; i++)
		threads[i] = (struct caller_thread){.sql = kinds[i % 2], .item = i == 0 ? 99 : i + 1};
	start_items(threads, 1, 3); /* only a kind that the connection knows is sent ahead */
	join_some(threads, 1, 3);
	ck_assert_int_eq(run("select live_reset()", NULL, true, &row), RC_OK);
	call = hold_back(1);
	commit = hold_back(2);
	start_items(threads, 0, 1); /* a set of its own, whose commit is the server process's last deed */
	wait_for_waiters(call, 1);
	start_items(threads, 1, THREADS);
	db_close(call);
	wait_for_a_set_sent_ahead();
	db_close(commit);
	join_all(threads);
	count_ends(threads, &done, &lost);
	ck_assert_int_eq(threads[0].rc, RC_GONE);
	ck_assert_uint_eq(done + lost, THREADS);
	ck_assert_uint_gt(lost, 1);
	ck_assert_uint_le(lost, 1 + SMALL);
	scalar("select count(*) from live_notes", count, sizeof count);
	ck_assert_uint_eq((unsigned)atoi(count), done);
	ck_assert_int_eq(run("select 1", NULL, true, &row), RC_OK);
}
END_TEST

static int notes_of(int n)
{
	char sql[64], count[16];

	snprintf(sql, sizeof sql, "select count(*) from live_notes where n = %d", n);
	scalar(sql, count, sizeof count);
	return atoi(count);
}

/* A server that finds out in the commit that it cannot: nothing of the set has happened, and nobody is told that it has. What became of a set that was sent behind it is
 * not known. */
START_TEST(a_commit_that_fails_is_told)
{
	struct db_session *session;
	struct caller_thread threads[THREADS];
	unsigned done = 0;
	struct db_row row;

	ck_assert_int_eq(run("select live_reset()", NULL, true, &row), RC_OK);
	ck_assert_int_eq(run("select live_note($1::int)", "98", true, &row), RC_GONE);
	for (int i = 0; i < THREADS; i++)
		threads[i] = (struct caller_thread){.sql = "select n, item from live_set($1)", .item = i == 5 ? 98 : i + 1};
	session = hold_back(1);
	start_items(threads, 0, THREADS);
	release_when_so_many_wait(session, 2);
	join_all(threads);
	for (int i = 0; i < THREADS; i++) {
		ck_assert(threads[i].rc == RC_OK || threads[i].rc == RC_GONE);
		ck_assert(threads[i].rc != RC_OK || notes_of(threads[i].item) == 1);
		done += threads[i].rc == RC_OK;
	}
	ck_assert_int_eq(threads[5].rc, RC_GONE);
	ck_assert_int_eq(notes_of(98), 0);
	ck_assert_uint_gt(done, 0);
}
END_TEST

#define ROUNDS 50

static void *call_in_turn(void *user)
{
	struct caller_thread *t = user;

	for (int i = 0; i < ROUNDS && t->rc == RC_OK; i++) {
		call_item(t);
		if (t->rc == RC_OK && atoi(t->answer) != t->item)
			t->rc = RC_PROTOCOL;
	}
	return NULL;
}

/* Two kinds of sets and calls of neither, over and over: each gets its own answer, and a connection that leads sets is handed on to them too. */
START_TEST(sets_of_two_kinds_and_other_calls_take_turns)
{
	static const char *const kinds[] = {"select n, item from live_pooled($1)", "select n::bigint, item from live_pooled($1)"};
	struct caller_thread threads[THREADS];
	struct db_row row;

	tear_down();
	arena = arena_new(1u << 20);
	open_with(1, 16);
	for (int i = 0; i < THREADS; i++) {
		threads[i] = (struct caller_thread){.sql = kinds[i % 2], .item = i + 1, .rc = RC_OK};
		ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, call_in_turn, &threads[i]), 0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		ck_assert_int_eq(run("select $1::text", "mine", i % 2 == 0, &row), RC_OK);
		ck_assert_str_eq(row.values[0], "mine");
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i].thread, NULL);
		ck_assert_int_eq(threads[i].rc, RC_OK);
	}
}
END_TEST

static enum rc echo(const char *uuid, struct db_row *row)
{
	struct buf item;
	const struct db_call call = {.sql = "select 1, e.* from live_echo($1) e", .item = &item, .row_type = "live_every", .commits = true};

	buf_init(&item, arena, 1024);
	db_item_begin(&item);
	db_item_uuid(&item, uuid);
	db_item_text(&item, "caf\u00e9 \"quoted\", \\ and {braces}");
	db_item_text(&item, NULL);
	db_item_char(&item, "abcd");
	db_item_int4(&item, -7);
	db_item_int8(&item, INT64_MIN);
	db_item_bool(&item, true);
	return db_call(db, arena, &call, row);
}

START_TEST(every_type_of_field_arrives_as_it_was)
{
	static const char *const sent[] = {"01920000-abcd-7000-8000-0000000000ff", "caf\u00e9 \"quoted\", \\ and {braces}", NULL, "abcd", "-7", "-9223372036854775808", "t", "1"};
	static const char *const no_uuids[] = {NULL, "", "01920000", "01920000-abcd-7000-8000-0000000000fg", "01920000-abcd-7000-8000-0000000000ff0", "01920000-abcd-7000-8000-0000000000f-"};
	struct db_row row;

	ck_assert_int_eq(echo("01920000-ABCD-7000-8000-0000000000FF", &row), RC_OK);
	ck_assert_uint_eq(row.count, COUNT_OF(sent));
	for (unsigned i = 0; i < COUNT_OF(sent); i++)
		ck_assert_pstr_eq(row.values[i], sent[i]);
	for (unsigned i = 0; i < COUNT_OF(no_uuids); i++) {
		ck_assert_int_eq(echo(no_uuids[i], &row), RC_OK);
		ck_assert_ptr_null(row.values[0]);
	}
}
END_TEST

/* A migration may replace a set's row type: its number is another then, and the kept statement is no good. */
START_TEST(a_row_type_that_was_replaced_is_learnt_anew)
{
	struct db_session *session;
	struct db_row row;
	char reason[256];

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(echo(NULL, &row), RC_OK);
		ck_assert_int_eq(db_open("", &session, reason, sizeof reason), RC_OK);
		ck_assert_int_eq(db_script(session, "select live_replace_echo()"), RC_OK);
		db_close(session);
	}
	ck_assert_int_eq(echo(NULL, &row), RC_OK);
}
END_TEST

START_TEST(one_that_raises_does_not_undo_its_neighbours)
{
	struct caller_thread threads[THREADS];
	char count[16];
	struct db_row row;

	ck_assert_int_eq(run("select live_reset()", NULL, true, &row), RC_OK);
	call_all(threads, "select live_note(60/$1::int)", 13);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(threads[i].rc, i == 13 ? RC_INVALID : RC_OK);
	scalar("select count(*) from live_notes", count, sizeof count);
	ck_assert_int_eq(atoi(count), THREADS - 1);
}
END_TEST

/* Ends every other connection, as a restarted server would. */
static void end_idle_connections(void)
{
	struct db_session *session;
	struct db_table table;
	char reason[256];

	ck_assert_int_eq(db_open("", &session, reason, sizeof reason), RC_OK);
	ck_assert_int_eq(db_query(session, arena,
				  "select pg_terminate_backend(pid, 5000) from pg_stat_activity where pid <> pg_backend_pid()"
				  " and backend_type = 'client backend'",
				  NULL, 0, &table),
			 RC_OK);
	ck_assert_uint_ge(table.rows, 1);
	db_close(session);
}

/* It is no fault of the call's, which may be asked for again, and then meets another connection. */
START_TEST(a_server_that_refuses_for_now_is_told_from_a_call_that_is_wrong)
{
	static const struct {
		const char *sqlstate;
		enum rc rc;
	} cases[] = {{"25006", RC_UNAVAILABLE}, {"40001", RC_UNAVAILABLE}, {"42501", RC_UNAVAILABLE}, {"53100", RC_UNAVAILABLE}, {"57014", RC_UNAVAILABLE},
		     {"22P02", RC_INVALID},     {"23505", RC_INVALID},     {"54000", RC_INVALID}};
	char before[16], after[16];
	struct db_row row;

	tear_down();
	arena = arena_new(1u << 20);
	open_with(1, SMALL);
	for (unsigned i = 0; i < COUNT_OF(cases); i++) {
		scalar("select pg_backend_pid()", before, sizeof before);
		ck_assert_int_eq(run("select live_refuse($1)", cases[i].sqlstate, true, &row), cases[i].rc);
		scalar("select pg_backend_pid()", after, sizeof after);
		ck_assert_int_eq(strcmp(before, after) == 0, cases[i].rc == RC_INVALID);
	}
}
END_TEST

START_TEST(a_lost_connection_is_told_and_the_next_call_connects_anew)
{
	struct db_row row;

	ck_assert_int_eq(run("select pg_terminate_backend(pg_backend_pid())", NULL, true, &row), RC_GONE);
	ck_assert_int_eq(run("select 1", NULL, true, &row), RC_OK);
	/* One that dies while it is idle is noticed before it is used. */
	tear_down();
	arena = arena_new(1u << 20);
	open_with(1, 4);
	ck_assert_int_eq(run("select 1", NULL, true, &row), RC_OK);
	end_idle_connections();
	ck_assert_int_eq(run("select 2", NULL, true, &row), RC_OK);
	ck_assert_str_eq(row.values[0], "2");
}
END_TEST

START_TEST(a_call_that_takes_too_long_is_cut_off)
{
	struct db_row row;
	int64_t started_us = clock_us();

	ck_assert_int_eq(run("select pg_sleep(60)", NULL, true, &row), RC_TIMEOUT);
	ck_assert_int_lt(clock_us() - started_us, 30 * 1000000);
	ck_assert_int_eq(run("select 1", NULL, true, &row), RC_OK);
}
END_TEST

#define POOLED_THREADS 8
#define POOLED_CALLS 40

static void *call_many(void *user)
{
	struct caller_thread *t = user;

	for (int i = 0; i < POOLED_CALLS && t->rc == RC_OK; i++)
		call_item(t);
	return NULL;
}

/* Behind PgBouncer a transaction may meet a server process that knows nothing of the statement another one keeps. */
START_TEST(a_pool_of_server_processes_makes_no_difference)
{
	struct caller_thread threads[POOLED_THREADS];

	tear_down();
	arena = arena_new(1u << 20);
	open_with(4, 2);
	for (int i = 0; i < POOLED_THREADS; i++) {
		threads[i] = (struct caller_thread){.sql = "select n, 60 / item from live_pooled($1)", .item = i + 1, .rc = RC_OK};
		ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, call_many, &threads[i]), 0);
	}
	for (int i = 0; i < POOLED_THREADS; i++) {
		pthread_join(threads[i].thread, NULL);
		ck_assert_int_eq(threads[i].rc, RC_OK);
		ck_assert_int_eq(atoi(threads[i].answer), 60 / (i + 1));
	}
}
END_TEST

#define SUPPLIERS 30
#define FEATURES 6
#define REASONS 5

/* Every triple `times` of them at most, `most` triples. */
static void count_refusals(struct refusals *refusals, int most, int times)
{
	char supplier[40], feature[32], reason[32];

	for (int i = 0; i < most; i++) {
		snprintf(supplier, sizeof supplier, "supplier %d", i % SUPPLIERS);
		snprintf(feature, sizeof feature, "feature %d", i / SUPPLIERS % FEATURES);
		snprintf(reason, sizeof reason, "reason %d", i / SUPPLIERS / FEATURES);
		for (int n = 0; n <= i % times; n++)
			refusals_count(refusals, supplier, feature, reason);
	}
}

static int sum_of(const char *sql)
{
	char text[32];

	scalar(sql, text, sizeof text);
	return atoi(text);
}

/* Refusals are counted in a table of fixed size, where most that are in use at once share their place with others: each is told as often as it was, once, and what cannot be
 * written is told later. More than the table holds are all told, if not all by their names. */
START_TEST(refusals_are_told_as_often_as_they_were)
{
	struct db_session *session;
	struct refusals *refusals;
	char reason[256];

	ck_assert_int_eq(refusals_new(&refusals), RC_OK);
	count_refusals(refusals, SUPPLIERS * FEATURES * REASONS, 3);
	ck_assert_int_eq(refusals_write(refusals, db), RC_OK);
	ck_assert_int_eq(refusals_write(refusals, db), RC_OK);
	ck_assert_int_eq(sum_of("select count(*) from live_refusals r where r.count ="
				" ((split_part(r.supplier, ' ', 2)::int + 30 * split_part(r.feature, ' ', 2)::int + 180 * split_part(r.reason, ' ', 2)::int) % 3 + 1)"),
			 SUPPLIERS * FEATURES * REASONS);
	ck_assert_int_eq(sum_of("select count(*) from live_refusals"), SUPPLIERS * FEATURES * REASONS);
	ck_assert_int_eq(db_open("", &session, reason, sizeof reason), RC_OK);
	ck_assert_int_eq(db_script(session, "delete from live_refusals; alter table live_refusals rename to away"), RC_OK);
	count_refusals(refusals, 7, 1);
	ck_assert_int_ne(refusals_write(refusals, db), RC_OK);
	count_refusals(refusals, 5, 1);
	refusals_count(refusals, NULL, "feature", "of nobody");
	ck_assert_int_ne(refusals_write(refusals, db), RC_OK);
	count_refusals(refusals, 1, 1);
	ck_assert_int_eq(db_script(session, "alter table away rename to live_refusals"), RC_OK);
	ck_assert_int_eq(refusals_write(refusals, db), RC_OK);
	ck_assert_int_eq(sum_of("select string_agg(r.count::text, '' order by r.supplier)::int from live_refusals r where r.supplier is not null"), 3222211);
	ck_assert_int_eq(sum_of("select sum(r.count) from live_refusals r where r.supplier is null and r.reason = 'of nobody'"), 1);
	ck_assert_int_eq(db_script(session, "delete from live_refusals"), RC_OK);
	count_refusals(refusals, 1500, 1);
	ck_assert_int_eq(refusals_write(refusals, db), RC_OK);
	ck_assert_int_eq(sum_of("select sum(r.count) from live_refusals r"), 1500);
	db_close(session);
	refusals_free(refusals);
}
END_TEST

START_TEST(sessions_run_scripts_and_read_tables)
{
	struct db_session *session;
	struct db_table table;
	char reason[256] = "";
	const char *const params[] = {"2"};

	ck_assert_int_eq(db_open("", &session, reason, sizeof reason), RC_OK);
	ck_assert_int_eq(db_script(session, "create temp table t (a int); insert into t values (1), (2), (null)"), RC_OK);
	ck_assert_int_eq(db_query(session, arena, "select a, a * $1::int as b from t order by a", params, 1, &table), RC_OK);
	ck_assert_uint_eq(table.rows, 3);
	ck_assert_uint_eq(table.columns, 2);
	ck_assert_str_eq(table.names[1], "b");
	ck_assert_str_eq(table.values[3], "4");
	ck_assert_ptr_null(table.values[4]);
	ck_assert_int_eq(db_script(session, "select nonsense"), RC_INVALID);
	ck_assert_ptr_nonnull(strstr(db_reason(session), "nonsense"));
	ck_assert_int_eq(db_query(session, arena, "select 1/0", NULL, 0, &table), RC_INVALID);
	ck_assert_int_eq(db_script(session, "select pg_terminate_backend(pg_backend_pid())"), RC_UNAVAILABLE);
	db_close(session);
	db_close(NULL);
	ck_assert_int_eq(db_open("host=/nonexistent", &session, reason, sizeof reason), RC_UNAVAILABLE);
	ck_assert_uint_gt(strlen(reason), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("db");
	TCase *tc = tcase_create("direct"), *pooled = tcase_create("pooled");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_call_answers_with_its_first_row);
	tcase_add_test(tc, waiting_calls_share_a_transaction);
	tcase_add_test(tc, calls_of_a_set_are_one_statement_and_each_gets_its_own_row);
	tcase_add_test(tc, a_connection_lost_in_a_commit_loses_nothing_unsaid);
	tcase_add_test(tc, a_commit_that_fails_is_told);
	tcase_add_test(tc, sets_of_two_kinds_and_other_calls_take_turns);
	tcase_add_test(tc, every_type_of_field_arrives_as_it_was);
	tcase_add_test(tc, a_row_type_that_was_replaced_is_learnt_anew);
	tcase_add_test(tc, one_that_raises_does_not_undo_its_neighbours);
	tcase_add_test(tc, a_server_that_refuses_for_now_is_told_from_a_call_that_is_wrong);
	tcase_add_test(tc, a_lost_connection_is_told_and_the_next_call_connects_anew);
	tcase_add_test(tc, a_call_that_takes_too_long_is_cut_off);
	tcase_add_test(tc, refusals_are_told_as_often_as_they_were);
	tcase_add_test(tc, sessions_run_scripts_and_read_tables);
	tcase_set_timeout(pooled, 120);
	tcase_add_checked_fixture(pooled, set_up, tear_down);
	tcase_add_test(pooled, a_pool_of_server_processes_makes_no_difference);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, pooled);
	return unit_run(suite);
}
