/*
 * audit.c - promptctl audit: whether the ledger and everything kept beside it say the same.
 */
#include "ctl/ctl.h"

enum ctl_status audit_run(struct ctl *ctl)
{
	const char *params[2] = {0};
	const struct ctl_option options[] = {
		{"from", "DATE", "first day (UTC), as YYYY-MM-DD; without it, from the beginning", &params[0], NULL},
		{"to", "DATE", "last day (UTC); without it, up to now", &params[1], NULL},
	};
	struct db_table table;

	if (!ctl_options(ctl, options, COUNT_OF(options), 0, 0) || !ctl_days(ctl, params))
		return ctl->status;
	if (!ctl_ask(ctl, "select check_name as \"check\", subject, expected, found from fpm.audit($1::date, $2::date)", params, 2, &table))
		return CTL_CANNOT;
	if (table.rows == 0 && ctl->form == CTL_TEXT) {
		puts("the ledger and the counters are equal");
		return CTL_DONE;
	}
	if (ctl_print(ctl, &table, "tttt") != CTL_DONE)
		return CTL_CANNOT;
	if (table.rows == 0)
		return CTL_DONE;
	ctl_cannot("%u difference%s between the ledger and the counters", table.rows, table.rows == 1 ? "" : "s");
	return CTL_NO;
}
