/*
 * ledger.h - the one SQL function through which calls are admitted and settled, many at a time (sql/functions/run.sql).
 */
#ifndef REQUEST_LEDGER_H
#define REQUEST_LEDGER_H

#include <stdbool.h>

#include "base/buf.h"
#include "port/db.h"

/* The columns of fpm.run's answer: an admission's up to LEDGER_ANSWER, a settlement's from LEDGER_DONE on. */
enum ledger_column {
	LEDGER_VERDICT,
	LEDGER_TICKET,
	LEDGER_RETRY_AFTER,
	LEDGER_RATE_LIMIT,
	LEDGER_RATE_REMAINING,
	LEDGER_RATE_RESET,
	LEDGER_MODEL,
	LEDGER_PRICE_INPUT,
	LEDGER_PRICE_CACHED,
	LEDGER_PRICE_OUTPUT,
	LEDGER_ANSWER,
	LEDGER_DONE,
	LEDGER_STATE,
	LEDGER_COLUMNS
};

/* Members of a call, the JSON object that fpm.run takes (sql: fpm.call). Begin with ledger_begin, end with ledger_end. */
void ledger_begin(struct buf *call, const char *kind);
void ledger_text(struct buf *call, const char *name, const char *value); /* left out where NULL */
void ledger_int(struct buf *call, const char *name, int64_t value);
void ledger_bool(struct buf *call, const char *name, bool value);
void ledger_end(struct buf *call);

/* Runs it, together with whatever else waits. `lock_key` as ticket_lock_key. As db_call; the row has LEDGER_COLUMNS columns. */
enum rc ledger_run(struct db *db, struct arena *arena, const struct buf *call, int64_t lock_key, struct db_row *row) MUST_CHECK;

#endif
