/*
 * db.h - PostgreSQL, through libpq (the only files that include it are db_wire.h and db_session.c).
 *
 * A few connections serve all threads of a process. Calls that commit are combined: whoever finds a connection free takes every call that is waiting,
 * orders them by lock key and sends them as one transaction, so that one flush of the log serves them all, and calls of a set as one statement; nobody
 * waits for a batch to fill. The functions called answer with verdicts and do not raise; where one raises all the same, its neighbours are tried again one by one.
 *
 * A lost connection is told at once, and the next call connects anew, as it does where the server refuses for now: another one may not. Where connecting itself was slow to fail, calls are refused without a try
 * for as long as it took, `retry_ms` at most.
 * Works through PgBouncer in transaction mode: no session state but a kept statement for each set, whose text is sent instead once one turns out lost; and no set is sent
 * before the one ahead of it has committed.
 */
#ifndef PORT_DB_H
#define PORT_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct db;

struct db_settings {
	const char *conninfo; /* libpq's; may be "" for the PG* environment */
	unsigned connections; /* most at a time, 1 to 32 */
	unsigned batch;       /* most calls in a transaction, 1 to 64 */
	int connect_timeout_ms;
	int statement_timeout_ms; /* a call that takes longer is RC_TIMEOUT and its connection is dropped */
	int retry_ms;             /* longest pause after a failed connect */
};

/* Opens nothing yet: the first call connects. The caller owns it: db_free when no call is under way. */
enum rc db_new(const struct db_settings *settings, struct db **out) MUST_CHECK;
void db_free(struct db *db);

/* One SELECT. Alone, with text parameters (NULL for SQL null) for $1, $2, …; or as an item of a set: then `sql` takes one parameter, an array
 * of the items of all calls that share it, and returns as its first column the number of the item (from 1) that a row answers. */
struct db_call {
	const char *sql; /* static storage: calls of a set share the pointer */
	const char *const *params;
	unsigned param_count; /* at most 40 */
	const struct buf *item; /* NULL for a call alone; else a row as db_item.h writes it, without its last field, an int4, which is filled in: the item's rank
	                         * among those of its set with the same lock_key, from 1 */
	const char *row_type; /* of an item: its type's name, static storage */
	bool commits;         /* whether it writes: combined into a shared transaction; else alone */
	int64_t lock_key;     /* what it locks first, for the order within a transaction; 0 for nothing */
};

/* The first row of the answer (of a set: the item's row, without its number), as text, owned by the arena. */
struct db_row {
	const char **values; /* NULL for SQL null */
	unsigned count;
};

/* RC_OK with the row; RC_DONE when the function returned no row. Nothing has taken effect, and may be asked for again: RC_UNAVAILABLE (cannot connect, or the server
 * refuses for now: it only reads, its disk is full, a time-out or right of the role's stood in the way). Nothing, nor ever will: RC_INVALID (the call itself is at fault: a
 * defect). What the server refuses is logged here with its SQLSTATE. RC_GONE (the connection was lost in the call) and RC_TIMEOUT: whether it took effect is unknown.
 * RC_NOMEM. */
enum rc db_call(struct db *db, struct arena *arena, const struct db_call *call, struct db_row *row) MUST_CHECK;

#endif
