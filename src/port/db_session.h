/*
 * db_session.h - PostgreSQL for commands: a session of one's own that runs scripts and reads whole results. Requests go through db.h.
 */
#ifndef PORT_DB_SESSION_H
#define PORT_DB_SESSION_H

#include <stddef.h>

#include "base/arena.h"

struct db_session;

/* Days and times are told as ISO 8601 has them. */
enum rc db_open(const char *conninfo, struct db_session **out, char *reason, size_t reason_size) MUST_CHECK;
void db_close(struct db_session *session);

/* Runs SQL text (several statements allowed, one implicit transaction). RC_INVALID with db_reason. */
enum rc db_script(struct db_session *session, const char *sql) MUST_CHECK;

struct db_table {
	unsigned rows, columns;
	const char **names;  /* [columns] */
	const char **values; /* [rows * columns], NULL for SQL null */
};

/* One statement with text parameters; the whole result in the arena. RC_INVALID with db_reason, RC_NOMEM. */
enum rc db_query(struct db_session *session, struct arena *arena, const char *sql, const char *const *params, unsigned param_count,
                 struct db_table *table) MUST_CHECK;

/* What the server said of the last failure: one line, fit for an operator. Valid until the next call. */
const char *db_reason(const struct db_session *session);

#endif
