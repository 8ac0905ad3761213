/*
 * invoice.c - promptctl invoice: a month's line items, which add up to the ledger to the last fraction.
 */
#include "base/str.h"
#include "ctl/ctl.h"

#define ROWS "with i as (select * from fpm.invoice($1::date, $2::uuid))"
#define COLUMNS "feature_type as feature, model_used as model, requests, cached, failed, estimated, corrections, prompt_tokens, cached_tokens, completion_tokens, cost_cents"

static const char plain[] = ROWS " select to_char($1::date, 'YYYY-MM') as month, supplier_id as supplier, organization_id as organization, " COLUMNS " from i";

/* For people, a line of totals below. */
static const char totalled[] =
	ROWS " select to_char($1::date, 'YYYY-MM') as month, supplier_id::text as supplier, organization_id::text as organization, " COLUMNS " from i"
	     " union all select 'total', null, null, null, null, sum(requests), sum(cached), sum(failed), sum(estimated), sum(corrections), sum(prompt_tokens),"
	     " sum(cached_tokens), sum(completion_tokens), sum(cost_cents) from i having count(*) > 0";

/* Whoever bills by it should know that the figures are not the last. */
static bool note_open_month(struct ctl *ctl, struct db_session *session, const char *month)
{
	struct db_table table;

	if (!ctl_query(ctl, session, "select ($1::date + interval '1 month') at time zone 'UTC' > now()", &month, 1, &table))
		return false;
	if (*table.values[0] == 't')
		fputs("promptctl: the month is not over: what is yet to end is not in it\n", stderr);
	return true;
}

enum ctl_status invoice_run(struct ctl *ctl)
{
	const char *month = NULL, *supplier = NULL, *params[2];
	char first_day[CTL_DAY_SIZE];
	const struct ctl_option options[] = {
		{"month", "YYYY-MM", "the month (UTC)", &month, NULL},
		{"supplier", "UUID", "of one supplier; without it, of all", &supplier, NULL},
	};
	struct db_session *session;
	struct db_table table;
	bool done;

	if (!ctl_options(ctl, options, COUNT_OF(options), 0, 0))
		return ctl->status;
	if (month == NULL)
		return ctl_misused(ctl, "--month is missing");
	if (!ctl_month(month, first_day))
		return ctl_misused(ctl, "--month must be a month such as 2026-11");
	session = ctl_connect(ctl);
	if (session == NULL)
		return CTL_CANNOT;
	params[0] = first_day;
	params[1] = supplier;
	done = note_open_month(ctl, session, first_day) && ctl_query(ctl, session, ctl->form == CTL_TEXT ? totalled : plain, params, 2, &table);
	db_close(session);
	return done ? ctl_print(ctl, &table, "tttttnnnnnnnnn") : CTL_CANNOT;
}
