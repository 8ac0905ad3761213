/*
 * db_wire.c - libpq without blocking: everything waits in poll, until a deadline.
 */
#include "port/db_wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "port/db_conninfo.h"

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

enum rc db_wire_connect(const char *conninfo, int timeout_ms, PGconn **out)
{
	int64_t deadline_us = clock_us() + timeout_ms * INT64_C(1000);
	PGconn *pg;

	if (!can_be_read(conninfo))
		return RC_UNAVAILABLE;
	pg = PQconnectStart(conninfo);
	if (pg == NULL)
		return RC_NOMEM;
	if (PQstatus(pg) != CONNECTION_BAD && finish_connecting(pg, deadline_us) == RC_OK && PQsetnonblocking(pg, 1) == 0 && PQenterPipelineMode(pg) == 1) {
		*out = pg;
		return RC_OK;
	}
	db_wire_report("cannot connect", NULL, PQerrorMessage(pg)[0] ? PQerrorMessage(pg) : "no answer in time");
	PQfinish(pg);
	return RC_UNAVAILABLE;
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

void db_wire_cancel(PGconn *pg)
{
	PGcancel *handle = PQgetCancel(pg);
	char reason[64];

	if (handle != NULL)
		PQcancel(handle, reason, sizeof reason);
	PQfreeCancel(handle);
}
