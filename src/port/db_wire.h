/*
 * db_wire.h - one connection to PostgreSQL in libpq's pipeline mode, each step within a time. For db.c.
 */
#ifndef PORT_DB_WIRE_H
#define PORT_DB_WIRE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"

/* What a server says is written for operators; its first line suffices, and is all that a log line should hold. `sqlstate` may be NULL. */
void db_wire_report(const char *what, const char *sqlstate, const char *message);

/* Connects, to the first that can be had in its share of the time where `conninfo` names several servers. The caller owns the connection: PQfinish. RC_UNAVAILABLE where it
 * cannot be had in time, which is reported; RC_NOMEM. */
enum rc db_wire_connect(const char *conninfo, int timeout_ms, PGconn **out) MUST_CHECK;

/* Whether an idle connection is still good: a server that stopped has said good-bye on it, and its socket is readable. */
bool db_wire_alive(PGconn *pg);

/* The next result, waiting for it; PQclear when done. NULL with RC_OK is libpq's mark between two statements. RC_TIMEOUT, RC_UNAVAILABLE. */
enum rc db_wire_result(PGconn *pg, int64_t deadline_us, PGresult **out) MUST_CHECK;

/* Asks the server to end the statement that it is at, then closes the connection, in a thread that nobody waits for: libpq waits until the server has heard, and one that is gone
 * never does. NULL: nothing. */
void db_wire_abandon(PGconn *pg);

#endif
