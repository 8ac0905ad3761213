/*
 * usage.c - promptctl usage: what suppliers used, by day, feature and model, from the daily sums.
 */
#include "base/str.h"
#include "ctl/ctl.h"

/* Without dates, the current month. */
#define ROWS \
	"with u as (select * from fpm.usage($1::uuid," \
	" coalesce($2::date, case when $3::text is null then date_trunc('month', now() at time zone 'UTC')::date end), $3::date))"
#define COLUMNS "supplier_id as supplier, feature_type as feature, model_used as model, requests, cached, failed, tokens, cost_cents, tokens_saved, saved_cents"

static const char plain[] = ROWS " select day, " COLUMNS " from u";

/* For people, a line of totals below. */
static const char totalled[] = ROWS " select day::text, " COLUMNS " from u"
                                    " union all select 'total', null, null, null, sum(requests), sum(cached), sum(failed), sum(tokens),"
                                    " sum(cost_cents), sum(tokens_saved), sum(saved_cents) from u having count(*) > 0";

enum ctl_status usage_run(struct ctl *ctl)
{
	const char *params[3] = {0};
	const struct ctl_option options[] = {
		{"from", "DATE", "first day (UTC), as YYYY-MM-DD", &params[1], NULL},
		{"to", "DATE", "last day (UTC); without either, the current month", &params[2], NULL},
	};
	struct db_table table;

	if (!ctl_options(ctl, options, COUNT_OF(options), 0, 1) || !ctl_days(ctl, &params[1]))
		return ctl->status;
	params[0] = ctl->operand_count > 0 ? ctl->operands[0] : NULL;
	if (!ctl_ask(ctl, ctl->form == CTL_TEXT ? totalled : plain, params, 3, &table))
		return CTL_CANNOT;
	return ctl_print(ctl, &table, "ttttnnnnnnn");
}
