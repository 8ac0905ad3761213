/*
 * ledger.h - the two SQL functions through which calls are admitted and settled, many at a time (sql/functions/admit_calls.sql, settle_calls.sql).
 */
#ifndef REQUEST_LEDGER_H
#define REQUEST_LEDGER_H

#include <stdbool.h>

#include "base/buf.h"
#include "port/db.h"

enum ledger_set {
	LEDGER_ADMIT,
	LEDGER_SETTLE,
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

/* Writes a call: the fields of fpm.admit_call or fpm.settle_call, all of them but the last (rank), in their order, after ledger_begin. Texts must be UTF-8 without NUL. */
void ledger_begin(struct buf *call);
void ledger_text(struct buf *call, const char *value); /* NULL: null */
void ledger_int(struct buf *call, int64_t value);
void ledger_bool(struct buf *call, bool value);

/* The ticket that admission gave (ID.MICROSECONDS.LOCK), as the three fields that fpm.settle_call begins with. */
void ledger_ticket(struct buf *call, const char *ticket);

/* Runs it, together with whatever else of its set waits. `lock_key` as ticket_lock_key. As db_call; the row has the columns of its set. */
enum rc ledger_run(struct db *db, struct arena *arena, enum ledger_set set, const struct buf *call, int64_t lock_key, struct db_row *row) MUST_CHECK;

#endif
