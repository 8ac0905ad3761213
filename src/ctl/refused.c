/*
 * refused.c - promptctl refused: what was refused, by day, supplier, feature and reason.
 */
#include "ctl/ctl.h"

enum ctl_status refused_run(struct ctl *ctl)
{
	const char *params[3] = {0};
	const struct ctl_option options[] = {
		{"from", "DATE", "first day (UTC), as YYYY-MM-DD; refusals are kept for 90 days", &params[1], NULL},
		{"to", "DATE", "last day (UTC); without it, up to now", &params[2], NULL},
	};
	struct db_table table;

	if (!ctl_options(ctl, options, COUNT_OF(options), 0, 1) || !ctl_days(ctl, &params[1]))
		return ctl->status;
	params[0] = ctl->operand_count > 0 ? ctl->operands[0] : NULL;
	if (!ctl_ask(ctl, "select day, supplier_id as supplier, feature_type as feature, reason, count from fpm.refused($1::uuid, $2::date, $3::date)", params, 3,
	             &table))
		return CTL_CANNOT;
	return ctl_print(ctl, &table, "ttttn");
}
