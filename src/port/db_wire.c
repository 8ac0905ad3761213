/*
 * db_wire.c - libpq without blocking: everything waits in poll, until a deadline.
 */
#include "port/db_wire.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "port/db_conninfo.h"

#define OPTIONS_MAX 64u /* of a connection string; libpq 15 has some forty */
#define REASON_SIZE 512u
#define LISTS 3u        /* of those that name servers: host, hostaddr, port */

void db_wire_report(const char *what, const char *sqlstate, const char *message)
{
	log_msg(LOG_ERROR_, "database", "%s: %s %.*s", what, sqlstate == NULL ? "-" : sqlstate, (int)strcspn(message, "\n"), message);
}

/* Waits until the connection's socket is ready. */
static enum rc await(PGconn *pg, bool write, int64_t deadline_us)
{
	struct pollfd p = {.fd = PQsocket(pg), .events = (short)(write ? POLLIN | POLLOUT : POLLIN)};
	int n;

	do {
		n = poll(&p, 1, clock_left_ms(deadline_us, 60000));
	} while (n < 0 && errno == EINTR);
	return n > 0 ? RC_OK : RC_TIMEOUT;
}

static enum rc finish_connecting(PGconn *pg, int64_t deadline_us)
{
	PostgresPollingStatusType step = PGRES_POLLING_WRITING;

	while (step == PGRES_POLLING_READING || step == PGRES_POLLING_WRITING) {
		struct pollfd p = {.fd = PQsocket(pg), .events = (short)(step == PGRES_POLLING_READING ? POLLIN : POLLOUT)};
		int n = poll(&p, 1, clock_left_ms(deadline_us, 60000));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return RC_TIMEOUT;
		step = PQconnectPoll(pg);
	}
	return step == PGRES_POLLING_OK ? RC_OK : RC_UNAVAILABLE;
}

/* What libpq says of a string that it cannot read quotes it, and so may quote a password. */
static bool can_be_read(const char *conninfo)
{
	bool can = db_conninfo_valid(conninfo);

	if (!can)
		db_wire_report("cannot connect", NULL, "the setting `database` is no connection string: a value with a space needs quotes");
	return can;
}

/* The n-th piece of a list with commas, as an allocated string; of a list of one, that one. */
static char *piece(const char *list, unsigned n)
{
	const char *at = list;

	for (; n > 0 && at != NULL; n--) {
		at = strchr(at, ',');
		at += at != NULL;
	}
	if (at == NULL)
		at = list;
	return strndup(at, strcspn(at, ","));
}

static bool is_list(const PQconninfoOption *option)
{
	return strcmp(option->keyword, "host") == 0 || strcmp(option->keyword, "hostaddr") == 0 || strcmp(option->keyword, "port") == 0;
}

static unsigned count_servers(const PQconninfoOption *options)
{
	unsigned most = 1;

	for (const PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++) {
		unsigned count = 1;

		for (const char *at = o->val == NULL || !is_list(o) ? "" : o->val; *at != '\0'; at++)
			count += *at == ',';
		most = count > most ? count : most;
	}
	return most;
}

/* Begins to connect to the n-th of the servers that are named. */
static PGconn *start_one(const PQconninfoOption *options, unsigned n)
{
	const char *names[OPTIONS_MAX + 1] = {NULL}, *values[OPTIONS_MAX + 1] = {NULL};
	char *pieces[LISTS] = {NULL};
	unsigned count = 0, lists = 0;
	bool whole = true;
	PGconn *pg;

	for (const PQconninfoOption *o = options; o->keyword != NULL && count < OPTIONS_MAX; o++) {
		if (o->val == NULL || *o->val == '\0')
			continue;
		names[count] = o->keyword;
		values[count++] = is_list(o) ? (pieces[lists++] = piece(o->val, n)) : o->val;
		whole = whole && values[count - 1] != NULL;
	}
	pg = whole ? PQconnectStartParams(names, values, 0) : NULL;
	for (unsigned i = 0; i < lists; i++)
		free(pieces[i]);
	return pg;
}

/* RC_OK with a connection that is ready for use; else `pg` is closed. */
static enum rc complete(PGconn *pg, int64_t deadline_us, PGconn **out)
{
	enum rc rc = RC_UNAVAILABLE;
	char reason[REASON_SIZE];

	if (pg == NULL)
		return RC_NOMEM;
	if (PQstatus(pg) != CONNECTION_BAD)
		rc = finish_connecting(pg, deadline_us);
	if (rc == RC_OK && PQsetnonblocking(pg, 1) == 0 && PQenterPipelineMode(pg) == 1) {
		*out = pg;
		return RC_OK;
	}
	/* Of a server that is silent libpq has only the beginning of a sentence. */
	snprintf(reason, sizeof reason, "%.*s%s", (int)strcspn(PQerrorMessage(pg), "\n"), PQerrorMessage(pg), rc == RC_TIMEOUT ? "no answer in time" : "");
	db_wire_report("cannot connect", NULL, reason);
	PQfinish(pg);
	return RC_UNAVAILABLE;
}

/* One server after the other, each for its share of the time that is left: libpq goes on to the next where one refuses, and waits for ever where one is silent. */
static enum rc connect_any(const PQconninfoOption *options, unsigned servers, int64_t deadline_us, PGconn **out)
{
	enum rc rc = RC_UNAVAILABLE;

	for (unsigned n = 0; n < servers && rc == RC_UNAVAILABLE; n++) {
		int64_t now_us = clock_us();

		rc = complete(start_one(options, n), now_us + (deadline_us - now_us) / (servers - n), out);
	}
	return rc;
}

enum rc db_wire_connect(const char *conninfo, int timeout_ms, PGconn **out)
{
	int64_t deadline_us = clock_us() + timeout_ms * INT64_C(1000);
	PQconninfoOption *options;
	unsigned servers;
	enum rc rc;
	PGconn *pg;

	if (!can_be_read(conninfo))
		return RC_UNAVAILABLE;
	pg = PQconnectStart(conninfo);
	options = pg == NULL ? NULL : PQconninfo(pg); /* with what the environment says */
	servers = count_servers(options);
	if (servers == 1 || PQstatus(pg) == CONNECTION_BAD) {
		rc = complete(pg, deadline_us, out);
	} else {
		PQfinish(pg);
		rc = connect_any(options, servers, deadline_us, out);
	}
	PQconninfoFree(options);
	return rc;
}

bool db_wire_alive(PGconn *pg)
{
	struct pollfd p = {.fd = PQsocket(pg), .events = POLLIN};

	/* What is readable may be a notice or a changed parameter. */
	return poll(&p, 1, 0) == 0 || (PQconsumeInput(pg) == 1 && PQstatus(pg) == CONNECTION_OK && poll(&p, 1, 0) == 0);
}

enum rc db_wire_result(PGconn *pg, int64_t deadline_us, PGresult **out)
{
	*out = NULL;
	for (;;) {
		int unsent = PQflush(pg);
		enum rc rc;

		if (unsent < 0)
			return RC_UNAVAILABLE;
		if (!PQisBusy(pg))
			break;
		rc = await(pg, unsent > 0, deadline_us);
		if (rc != RC_OK)
			return rc;
		if (PQconsumeInput(pg) != 1)
			return RC_UNAVAILABLE;
	}
	*out = PQgetResult(pg);
	return RC_OK;
}

static void *cancel_and_close(void *connection)
{
	PGcancel *handle = PQgetCancel(connection);
	char reason[64];

	if (handle != NULL)
		PQcancel(handle, reason, sizeof reason);
	PQfreeCancel(handle);
	PQfinish(connection);
	return NULL;
}

void db_wire_abandon(PGconn *pg)
{
	pthread_t thread;

	if (pg == NULL)
		return;
	if (pthread_create(&thread, NULL, cancel_and_close, pg) == 0)
		pthread_detach(thread);
	else
		PQfinish(pg);
}
