/*
 * ledger.h - the SQL functions through which calls are admitted and settled, many at a time (sql/functions/admit_ready.sql, admit_calls.sql, settle_calls.sql).
 */
#ifndef REQUEST_LEDGER_H
#define REQUEST_LEDGER_H

#include "base/buf.h"
#include "port/db.h"
#include "port/db_item.h"

enum ledger_set {
	LEDGER_READY,  /* fpm.ready_call: admits what nothing stands in the way of; no row: ask LEDGER_ADMIT */
	LEDGER_ADMIT,  /* fpm.admit_call */
	LEDGER_SETTLE, /* fpm.settle_call */
};

/* The columns of the answer to a ready call. */
enum ledger_readiness {
	LEDGER_READY_CREATED_US,
	LEDGER_READY_PRICE_INPUT,
	LEDGER_READY_PRICE_CACHED,
	LEDGER_READY_PRICE_OUTPUT,
	LEDGER_READINESS_COLUMNS
};

/* The columns of an admission's answer. */
enum ledger_admission {
	LEDGER_VERDICT,
	LEDGER_ID, /* these three name the row to settle */
	LEDGER_CREATED_US,
	LEDGER_LOCK_KEY,
	LEDGER_RETRY_AFTER,
	LEDGER_RATE_LIMIT,
	LEDGER_RATE_REMAINING,
	LEDGER_RATE_RESET,
	LEDGER_MODEL,
	LEDGER_PRICE_INPUT,
	LEDGER_PRICE_CACHED,
	LEDGER_PRICE_OUTPUT,
	LEDGER_ANSWER,
	LEDGER_MAKER,
	LEDGER_ADMISSION_COLUMNS
};

/* The columns of a settlement's answer. */
enum ledger_settlement {
	LEDGER_DONE,
	LEDGER_STATE,
	LEDGER_SETTLEMENT_COLUMNS
};

/* Adds the ticket that admission gave (ID.MICROSECONDS.LOCK), as the three fields that fpm.settle_call begins with. */
void ledger_ticket(struct buf *call, const char *ticket);

/* The lock key in a ticket; 0 where there is none. */
int64_t ledger_lock_key(const char *ticket);

/* Runs a call (a row of the set's type, see db_item.h), together with whatever else of its set waits. `lock_key` as db_call; the row has the columns of its set. */
enum rc ledger_run(struct db *db, struct arena *arena, enum ledger_set set, const struct buf *call, int64_t lock_key, struct db_row *row) MUST_CHECK;

#endif
