/*
 * db.c - the daemon's calls to PostgreSQL, through libpq, in shared transactions.
 *
 * The calls that db_queue gathers go down a pipeline with one Sync at its end, which PostgreSQL takes for one transaction: a lone call costs one round trip,
 * and under load one flush of the log serves many.
 */
#include "port/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "port/db_item.h"
#include "port/db_queue.h"
#include "port/db_wire.h"

#define CONNECTIONS_MAX 32u
#define SETS_MAX 4u                      /* that a connection knows */
#define NAME_SIZE 32u
#define NO_SUCH_STATEMENT "26000"        /* PostgreSQL, appendix A */

struct connection {
	PGconn *pg; /* NULL when not connected */
	struct known_set {
		const char *sql; /* NULL: none */
		Oid type;        /* of its items' rows */
	} sets[SETS_MAX];    /* whose statements it keeps, unless: */
	bool unnamed;        /* it keeps none, or lost one: behind PgBouncer each transaction may meet another server process */
	bool direct;         /* to the server itself: PgBouncer 1.18 loses count of what is sent before the commit of what came before it */
	enum rc sending;     /* what became of sending the set that follows */
	struct db *db;
	struct db_leader leader; /* its place in the queue */
};

struct db {
	struct db_settings settings;
	char *conninfo;
	struct connection connections[CONNECTIONS_MAX];
	struct db_queue queue;
	_Atomic int64_t down_until_us; /* after a failed connect: no try before then */
};

/* Of a statement that begins now. */
static int64_t deadline(const struct connection *c)
{
	return clock_us() + c->db->settings.statement_timeout_ms * INT64_C(1000);
}

static void drop(struct connection *c)
{
	PQfinish(c->pg);
	c->pg = NULL;
	memset(c->sets, 0, sizeof c->sets);
	c->unnamed = c->direct = false;
}

static enum rc ensure_connected(struct db *db, struct connection *c)
{
	int64_t started_us = clock_us(), most_us = db->settings.retry_ms * (int64_t)1000, took_us;
	enum rc rc;

	if (c->pg != NULL && db_wire_alive(c->pg))
		return RC_OK;
	drop(c);
	if (started_us < db->down_until_us)
		return RC_UNAVAILABLE;
	rc = db_wire_connect(db->conninfo, db->settings.connect_timeout_ms, &c->pg);
	if (rc == RC_OK)
		return RC_OK;
	/* A server that refuses at once costs nothing to ask again; one that does not answer must not hold up every call. */
	took_us = clock_us() - started_us;
	db->down_until_us = started_us + took_us + (took_us < most_us ? took_us : most_us);
	return rc;
}

/* Copies the row's columns from `first` on. */
static enum rc copy_row(struct arena *arena, const PGresult *result, int from, int first, struct db_row *row)
{
	*row = (struct db_row){.count = (unsigned)(PQnfields(result) - first)};
	row->values = arena_array(arena, row->count, sizeof *row->values);
	if (row->values == NULL)
		return RC_NOMEM;
	for (unsigned i = 0; i < row->count; i++) {
		int column = (int)i + first;

		if (PQgetisnull(result, from, column))
			continue;
		row->values[i] = arena_strndup(arena, PQgetvalue(result, from, column), (size_t)PQgetlength(result, from, column));
		if (row->values[i] == NULL)
			return RC_NOMEM;
	}
	return RC_OK;
}

static void copy_first(const PGresult *result, struct db_job *job)
{
	job->rc = PQntuples(result) == 0 ? RC_DONE : copy_row(job->arena, result, 0, 0, job->row);
}

/* Gives each job of a set the row that bears its number. */
static void copy_set(const PGresult *result, struct db_job *const *jobs, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		jobs[i]->rc = RC_DONE;
	for (int row = 0; row < PQntuples(result); row++) {
		unsigned long n = strtoul(PQgetvalue(result, row, 0), NULL, 10);

		if (n >= 1 && n <= count)
			jobs[n - 1]->rc = copy_row(jobs[n - 1]->arena, result, row, 1, jobs[n - 1]->row);
	}
}

/* The array of a set's items, in order of their lock_key; the caller frees it. */
static char *join_items(struct db_job *const *jobs, unsigned count, Oid type, size_t *size)
{
	const struct buf *items[DB_BATCH_MAX];
	int32_t ranks[DB_BATCH_MAX];

	for (unsigned i = 0; i < count; i++) {
		items[i] = jobs[i]->call->item;
		ranks[i] = i > 0 && jobs[i]->call->lock_key == jobs[i - 1]->call->lock_key ? ranks[i - 1] + 1 : 1;
	}
	return db_item_join(items, ranks, count, type, size);
}

/* The name that a statement is kept under tells its text: two versions of this program behind one PgBouncer must not meet. FNV-1a, 64 bits. */
static void name_of(const char *sql, char name[NAME_SIZE])
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *sql != '\0'; sql++)
		hash = (hash ^ (unsigned char)*sql) * UINT64_C(0x100000001b3);
	snprintf(name, NAME_SIZE, "prompt_fpm_%016llx", (unsigned long long)hash);
}

static struct known_set *set_of(struct connection *c, const char *sql)
{
	for (unsigned i = 0; i < SETS_MAX; i++)
		if (c->sets[i].sql == sql)
			return &c->sets[i];
	return NULL;
}

/* Sends a set, by the name that its statement is kept under, or as text. Its results are asked for as soon as they are there, before the commit. */
static enum rc send_set(struct connection *c, struct db_job *const *jobs, unsigned count)
{
	const struct known_set *set = set_of(c, jobs[0]->call->sql);
	size_t size = 0;
	char *items = join_items(jobs, count, set->type, &size), name[NAME_SIZE];
	const char *values[] = {items};
	int lengths[] = {(int)size}, binary[] = {1}, sent;
	enum rc rc = RC_NOMEM;

	if (items != NULL) {
		name_of(set->sql, name);
		sent = c->unnamed ? PQsendQueryParams(c->pg, set->sql, 1, NULL, values, lengths, binary, 0)
				  : PQsendQueryPrepared(c->pg, name, 1, values, lengths, binary, 0);
		rc = sent == 1 && (!c->direct || PQsendFlushRequest(c->pg) == 1) && PQpipelineSync(c->pg) == 1 ? RC_OK : RC_UNAVAILABLE;
	}
	free(items);
	return rc;
}

static enum rc send_batch(PGconn *pg, struct db_job *const *jobs, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct db_call *call = jobs[i]->call;

		if (PQsendQueryParams(pg, call->sql, (int)call->param_count, NULL, call->params, NULL, NULL, 0) != 1)
			return RC_UNAVAILABLE;
	}
	return PQpipelineSync(pg) == 1 ? RC_OK : RC_UNAVAILABLE;
}

/* Bad data, a broken constraint, a row too large: refused today as tomorrow. All else is the server's state or its operator's doing, and may pass: a server that only reads,
 * a full disk, a time-out set for the role, a right that was taken. */
static bool is_own_fault(const char *sqlstate)
{
	return str_starts(sqlstate, "21") || str_starts(sqlstate, "22") || str_starts(sqlstate, "23") || str_starts(sqlstate, "54");
}

static void refuse(const PGresult *result, struct db_job *const *jobs, unsigned count)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (str_eq(sqlstate, NO_SUCH_STATEMENT))
		log_msg(LOG_WARN_, "database", "a kept statement is gone (PgBouncer?): its text is sent from now on");
	else if (PQresultStatus(result) != PGRES_PIPELINE_ABORTED)
		db_wire_report("a call failed", sqlstate, PQresultErrorMessage(result));
	for (unsigned i = 0; i < count; i++) {
		jobs[i]->rc = RC_INVALID;
		jobs[i]->passing = sqlstate == NULL || !is_own_fault(sqlstate);
	}
}

/* Takes in one statement's result, up to the NULL behind it: of one job, or of all jobs of a set. */
static enum rc take_result(PGconn *pg, struct db_job *const *jobs, unsigned count, int64_t deadline_us)
{
	PGresult *result, *mark = NULL;
	enum rc rc = db_wire_result(pg, deadline_us, &result);

	if (rc != RC_OK)
		return rc;
	if (result == NULL)
		return RC_PROTOCOL;
	if (PQresultStatus(result) == PGRES_TUPLES_OK && jobs[0]->call->item != NULL)
		copy_set(result, jobs, count);
	else if (PQresultStatus(result) == PGRES_TUPLES_OK)
		copy_first(result, jobs[0]);
	else
		refuse(result, jobs, count);
	PQclear(result);
	rc = PQstatus(pg) == CONNECTION_OK ? db_wire_result(pg, deadline_us, &mark) : RC_UNAVAILABLE;
	PQclear(mark);
	return rc;
}

/* The Sync's own result: only with it has the transaction committed. */
static enum rc take_sync(PGconn *pg, int64_t deadline_us)
{
	for (;;) {
		PGresult *result;
		enum rc rc = db_wire_result(pg, deadline_us, &result);
		ExecStatusType status;

		if (rc != RC_OK)
			return rc;
		if (result == NULL)
			return RC_PROTOCOL;
		status = PQresultStatus(result);
		if (status != PGRES_PIPELINE_SYNC)
			db_wire_report("a commit failed", PQresultErrorField(result, PG_DIAG_SQLSTATE), PQresultErrorMessage(result));
		PQclear(result);
		if (status == PGRES_PIPELINE_SYNC)
			return RC_OK;
		if (PQstatus(pg) != CONNECTION_OK)
			return RC_UNAVAILABLE;
	}
}

/* One result and the mark behind it. RC_INVALID: an error, which is reported. */
static enum rc take_one(PGconn *pg, int64_t deadline_us, PGresult **result)
{
	PGresult *mark = NULL;
	enum rc rc = db_wire_result(pg, deadline_us, result);
	ExecStatusType status = PQresultStatus(*result);

	if (rc == RC_OK)
		rc = db_wire_result(pg, deadline_us, &mark);
	PQclear(mark);
	if (rc != RC_OK || status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return rc;
	db_wire_report("a set's statement", PQresultErrorField(*result, PG_DIAG_SQLSTATE), PQresultErrorMessage(*result));
	return RC_INVALID;
}

/* Has the connection keep a set's statement: parsing and planning it each time is a fifth of a small set's cost. Where it does not work, texts do. */
static enum rc keep_statement(struct connection *c, const char *sql, int64_t deadline_us)
{
	PGresult *result = NULL;
	char name[NAME_SIZE];
	enum rc rc;

	name_of(sql, name);
	rc = PQsendPrepare(c->pg, name, sql, 1, NULL) == 1 && PQpipelineSync(c->pg) == 1 ? take_one(c->pg, deadline_us, &result) : RC_UNAVAILABLE;
	PQclear(result);
	c->unnamed = rc == RC_INVALID;
	return rc == RC_OK || rc == RC_INVALID ? take_sync(c->pg, deadline_us) : rc;
}

/* Learns the number of a set's row type, and whether the server process that answers is the one that took the connection. RC_INVALID: there is no such type. */
static enum rc learn_type(struct connection *c, const char *row_type, Oid *type, int64_t deadline_us)
{
	PGresult *result = NULL;
	enum rc rc = PQsendQueryParams(c->pg, "select $1::regtype::oid, pg_backend_pid()", 1, NULL, &row_type, NULL, NULL, 0) == 1 && PQpipelineSync(c->pg) == 1
			     ? take_one(c->pg, deadline_us, &result)
			     : RC_UNAVAILABLE;

	if (rc == RC_OK) {
		*type = (Oid)strtoul(PQgetvalue(result, 0, 0), NULL, 10);
		c->direct = strtol(PQgetvalue(result, 0, 1), NULL, 10) == PQbackendPID(c->pg);
	}
	PQclear(result);
	if (rc == RC_OK || rc == RC_INVALID) {
		enum rc synced = take_sync(c->pg, deadline_us);

		rc = synced != RC_OK ? synced : rc;
	}
	return rc;
}

static enum rc ensure_known(struct connection *c, const struct db_call *call, int64_t deadline_us)
{
	struct known_set *set;
	Oid type = InvalidOid;
	enum rc rc;

	if (set_of(c, call->sql) != NULL)
		return RC_OK;
	set = set_of(c, NULL);
	if (set == NULL)
		return RC_INVALID; /* more kinds of sets than the program has */
	rc = learn_type(c, call->row_type, &type, deadline_us);
	if (rc == RC_OK && !c->unnamed)
		rc = keep_statement(c, call->sql, deadline_us);
	if (rc == RC_OK)
		*set = (struct known_set){.sql = call->sql, .type = type};
	return rc;
}

static bool can_send(void *user, const struct db_call *call)
{
	struct connection *c = user;

	return c->direct && call->item != NULL && set_of(c, call->sql) != NULL;
}

/* Sends the set that waits, so that the server finds it when it has committed the one before. */
static void send_next(struct connection *c)
{
	struct db_job **jobs;
	unsigned count = db_queue_next(&c->db->queue, &c->leader, &jobs);

	if (count == 0)
		return;
	c->sending = send_set(c, jobs, count);
	if (c->sending == RC_OK && PQflush(c->pg) < 0)
		c->sending = RC_UNAVAILABLE;
}

/* Takes in the results of what was sent. RC_INVALID: at least one is an error, and nothing is committed. */
static enum rc take_results(struct connection *c, struct db_job *const *jobs, unsigned count, unsigned step, bool more)
{
	int64_t deadline_us = deadline(c);
	bool failed = false;
	enum rc rc = RC_OK;

	for (unsigned i = 0; i < count && rc == RC_OK; i += step) {
		rc = take_result(c->pg, jobs + i, step, deadline_us);
		failed = failed || jobs[i]->rc == RC_INVALID;
	}
	if (rc == RC_OK && !failed && more)
		send_next(c);
	if (rc == RC_OK)
		rc = take_sync(c->pg, deadline_us);
	return rc == RC_OK && failed ? RC_INVALID : rc;
}

static enum rc run_set(struct connection *c, struct db_job *const *jobs, unsigned count, bool more)
{
	enum rc rc = ensure_known(c, jobs[0]->call, deadline(c));

	for (unsigned i = 0; i < count && rc == RC_INVALID; i++) {
		jobs[i]->rc = rc;
		jobs[i]->passing = true; /* the schema is not there, or older */
	}
	if (rc == RC_OK)
		rc = send_set(c, jobs, count);
	return rc == RC_OK ? take_results(c, jobs, count, count, more) : rc;
}

/* Once more as text: what is remembered may be what failed, a kept statement that is lost, a type or function that a migration has replaced since. */
static enum rc run_unnamed(struct connection *c, struct db_job *const *jobs, unsigned count, bool more)
{
	memset(c->sets, 0, sizeof c->sets);
	if (c->unnamed)
		return RC_INVALID;
	c->unnamed = true;
	return run_set(c, jobs, count, more);
}

/* Runs the jobs as one transaction. RC_OK: committed, each job has its own result. RC_INVALID: rolled back. Else the connection is of no more use. `more`: the next set is
 * sent meanwhile. */
static enum rc run_once(struct connection *c, struct db_job *const *jobs, unsigned count, bool more)
{
	enum rc rc;

	if (jobs[0]->call->item == NULL) {
		rc = send_batch(c->pg, jobs, count);
		return rc == RC_OK ? take_results(c, jobs, count, 1, false) : rc;
	}
	rc = run_set(c, jobs, count, more);
	return rc == RC_INVALID ? run_unnamed(c, jobs, count, more) : rc;
}

/* The same for a set that has been sent. */
static enum rc finish_sent(struct connection *c, struct db_job *const *jobs, unsigned count)
{
	enum rc rc = c->pg == NULL ? RC_GONE : c->sending;

	if (rc == RC_OK)
		rc = take_results(c, jobs, count, count, true);
	return rc == RC_INVALID ? run_unnamed(c, jobs, count, true) : rc;
}

static void tell(struct db_job *const *jobs, unsigned count, enum rc rc)
{
	for (unsigned i = 0; i < count; i++)
		jobs[i]->rc = rc;
}

/* What failed is told, and the connection let go: it is of no more use, or is to a server that refuses for now, where another that `conninfo` names may not. */
static void give_up(struct connection *c, struct db_job *const *jobs, unsigned count, enum rc rc)
{
	if (rc == RC_TIMEOUT) {
		db_wire_abandon(c->pg);
		c->pg = NULL;
	}
	drop(c);
	if (rc == RC_INVALID)
		rc = RC_UNAVAILABLE;
	else if (rc != RC_TIMEOUT && rc != RC_NOMEM)
		rc = RC_GONE;
	tell(jobs, count, rc);
}

static void run_alone(struct db *db, struct connection *c, struct db_job *job)
{
	enum rc rc = ensure_connected(db, c);

	if (rc != RC_OK) {
		tell(&job, 1, rc);
		return;
	}
	rc = run_once(c, &job, 1, false);
	if (rc != RC_OK && (rc != RC_INVALID || job->passing))
		give_up(c, &job, 1, rc);
}

/* What a connection does with the calls it was given (db_queue.h: run). */
static void run_batch(void *user, struct db_job **jobs, unsigned count, bool sent)
{
	struct connection *c = user;
	enum rc rc = sent ? RC_OK : ensure_connected(c->db, c);

	if (rc != RC_OK) {
		tell(jobs, count, rc);
		return;
	}
	rc = sent ? finish_sent(c, jobs, count) : run_once(c, jobs, count, true);
	if (rc == RC_OK)
		return;
	if (rc == RC_INVALID && count > 1) {
		for (unsigned i = 0; i < count; i++)
			run_alone(c->db, c, jobs[i]);
		return;
	}
	if (rc != RC_INVALID || jobs[0]->passing)
		give_up(c, jobs, count, rc);
}

enum rc db_new(const struct db_settings *settings, struct db **out)
{
	struct db *db = calloc(1, sizeof *db);

	if (db == NULL || (db->conninfo = strdup(settings->conninfo)) == NULL) {
		free(db);
		return RC_NOMEM;
	}
	db->settings = *settings;
	if (db->settings.connections < 1 || db->settings.connections > CONNECTIONS_MAX)
		db->settings.connections = 1;
	db_queue_init(&db->queue, db->settings.batch);
	for (unsigned i = 0; i < db->settings.connections; i++) {
		db->connections[i].db = db;
		db->connections[i].leader = (struct db_leader){.run = run_batch, .can_send = can_send, .user = &db->connections[i]};
		db_queue_add(&db->queue, &db->connections[i].leader);
	}
	*out = db;
	return RC_OK;
}

void db_free(struct db *db)
{
	if (db == NULL)
		return;
	for (unsigned i = 0; i < db->settings.connections; i++)
		PQfinish(db->connections[i].pg);
	db_queue_destroy(&db->queue);
	free(db->conninfo);
	free(db);
}

enum rc db_call(struct db *db, struct arena *arena, const struct db_call *call, struct db_row *row)
{
	struct db_job job = {.call = call, .arena = arena, .row = row, .rc = RC_UNAVAILABLE};

	db_queue_run(&db->queue, &job);
	return job.rc;
}
