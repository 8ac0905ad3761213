/*
 * ledger.c - the sets.
 */
#include "request/ledger.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *sql, *row_type;
	unsigned columns;
} sets[] = {
	[LEDGER_READY] = {"select n, created_us, price_input, price_cached, price_output from fpm.admit_ready($1)", "fpm.ready_call", LEDGER_READINESS_COLUMNS},
	[LEDGER_ADMIT] = {"select n, verdict, id, created_us, lock_key, retry_after_s, rate_limit, rate_remaining, rate_reset_s, model, price_input, price_cached,"
			  " price_output, answer, maker from fpm.admit_calls($1)",
			  "fpm.admit_call", LEDGER_ADMISSION_COLUMNS},
	[LEDGER_SETTLE] = {"select n, done, state from fpm.settle_calls($1)", "fpm.settle_call", LEDGER_SETTLEMENT_COLUMNS},
};

static const char *part(const char *ticket, unsigned n)
{
	for (; n > 0 && ticket != NULL; n--) {
		ticket = strchr(ticket, '.');
		ticket += ticket != NULL;
	}
	return ticket;
}

static int64_t number_part(const char *ticket, unsigned n)
{
	const char *text = part(ticket, n);

	return text == NULL ? 0 : strtoll(text, NULL, 10);
}

void ledger_ticket(struct buf *call, const char *ticket)
{
	db_item_uuid(call, arena_strndup(call->arena, ticket, strcspn(ticket, ".")));
	db_item_int8(call, number_part(ticket, 1));
	db_item_int8(call, number_part(ticket, 2));
}

int64_t ledger_lock_key(const char *ticket)
{
	return number_part(ticket, 2);
}

enum rc ledger_run(struct db *db, struct arena *arena, enum ledger_set set, const struct buf *call, int64_t lock_key, struct db_row *row)
{
	const struct db_call item = {.sql = sets[set].sql, .item = call, .row_type = sets[set].row_type, .commits = true, .lock_key = lock_key};
	enum rc rc = call->rc != RC_OK ? call->rc : db_call(db, arena, &item, row);

	return rc == RC_OK && row->count < sets[set].columns ? RC_INVALID : rc;
}
