/*
 * ledger.c - building calls of fpm.run.
 */
#include "request/ledger.h"

#include <string.h>

static const char sql[] = "select n, verdict, ticket, retry_after_s, rate_limit, rate_remaining, rate_reset_s, model, price_input, price_cached, price_output,"
			  " answer, done, state from fpm.run($1)";

void ledger_begin(struct buf *call, const char *kind)
{
	buf_printf(call, "{\"kind\":\"%s\"", kind);
}

void ledger_text(struct buf *call, const char *name, const char *value)
{
	if (value == NULL)
		return;
	buf_printf(call, ",\"%s\":", name);
	buf_json_string(call, value, strlen(value));
}

void ledger_int(struct buf *call, const char *name, int64_t value)
{
	buf_printf(call, ",\"%s\":%lld", name, (long long)value);
}

void ledger_bool(struct buf *call, const char *name, bool value)
{
	buf_printf(call, ",\"%s\":%s", name, value ? "true" : "false");
}

void ledger_end(struct buf *call)
{
	buf_putc(call, '}');
}

enum rc ledger_run(struct db *db, struct arena *arena, const struct buf *call, int64_t lock_key, struct db_row *row)
{
	const struct db_call set = {.sql = sql, .item = buf_text(call), .commits = true, .lock_key = lock_key};
	enum rc rc = call->rc != RC_OK ? call->rc : db_call(db, arena, &set, row);

	return rc == RC_OK && row->count < LEDGER_COLUMNS ? RC_INVALID : rc;
}
