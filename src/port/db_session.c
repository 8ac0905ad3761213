/*
 * db_session.c - libpq, one statement after the other.
 */
#include "port/db_session.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct db_session {
	PGconn *pg;
	char reason[512];
};

static void keep_reason(char *reason, size_t size, const char *message)
{
	snprintf(reason, size, "%.*s", (int)strcspn(message, "\n"), message);
}

/* Notices ("relation exists already, skipping") are of no use to whoever runs a command. */
static void drop_notice(void *user, const PGresult *result)
{
	(void)user;
	(void)result;
}

enum rc db_open(const char *conninfo, struct db_session **out, char *reason, size_t reason_size)
{
	struct db_session *session = calloc(1, sizeof *session);

	if (session == NULL)
		return RC_NOMEM;
	/* Days come as 2026-11-27, whatever style the database or the role has: said with the connection, since what is set later is lost behind PgBouncer. */
	setenv("PGDATESTYLE", "ISO", 1);
	session->pg = PQconnectdb(conninfo);
	if (PQstatus(session->pg) != CONNECTION_OK) {
		keep_reason(reason, reason_size, PQerrorMessage(session->pg));
		db_close(session);
		return RC_UNAVAILABLE;
	}
	PQsetNoticeReceiver(session->pg, drop_notice, NULL);
	*out = session;
	return RC_OK;
}

void db_close(struct db_session *session)
{
	if (session == NULL)
		return;
	PQfinish(session->pg);
	free(session);
}

static enum rc check_result(struct db_session *session, const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY)
		return RC_OK;
	keep_reason(session->reason, sizeof session->reason, PQerrorMessage(session->pg));
	return PQstatus(session->pg) == CONNECTION_OK ? RC_INVALID : RC_UNAVAILABLE;
}

enum rc db_script(struct db_session *session, const char *sql)
{
	PGresult *result = PQexec(session->pg, sql);
	enum rc rc = check_result(session, result);

	PQclear(result);
	return rc;
}

static enum rc copy_table(struct arena *arena, const PGresult *result, struct db_table *table)
{
	unsigned cells;

	table->rows = (unsigned)PQntuples(result);
	table->columns = (unsigned)PQnfields(result);
	cells = table->rows * table->columns;
	table->names = arena_array(arena, table->columns, sizeof *table->names);
	table->values = arena_array(arena, cells, sizeof *table->values);
	if (table->names == NULL || table->values == NULL)
		return RC_NOMEM;
	for (unsigned i = 0; i < table->columns; i++)
		if ((table->names[i] = arena_strdup(arena, PQfname(result, (int)i))) == NULL)
			return RC_NOMEM;
	for (unsigned i = 0; i < cells; i++) {
		int row = (int)(i / table->columns), column = (int)(i % table->columns);

		if (!PQgetisnull(result, row, column) && (table->values[i] = arena_strdup(arena, PQgetvalue(result, row, column))) == NULL)
			return RC_NOMEM;
	}
	return RC_OK;
}

enum rc db_query(struct db_session *session, struct arena *arena, const char *sql, const char *const *params, unsigned param_count,
                 struct db_table *table)
{
	PGresult *result = PQexecParams(session->pg, sql, (int)param_count, NULL, params, NULL, NULL, 0);
	enum rc rc = check_result(session, result);

	if (rc == RC_OK)
		rc = copy_table(arena, result, table);
	PQclear(result);
	return rc;
}

const char *db_reason(const struct db_session *session)
{
	return session->reason;
}
