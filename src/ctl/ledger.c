/*
 * ledger.c - promptctl ledger: months that are over leave the ledger.
 */
#include "base/str.h"
#include "ctl/ctl.h"

enum ctl_status ledger_archive(struct ctl *ctl)
{
	char first_day[CTL_DAY_SIZE];
	const char *const params[] = {first_day};
	struct db_table table;

	if (!ctl_options(ctl, NULL, 0, 1, 1))
		return ctl->status;
	if (!ctl_month(ctl->operands[0], first_day))
		return ctl_misused(ctl, "\"%s\" is no month such as 2026-11", ctl->operands[0]);
	if (!ctl_ask(ctl, "select fpm.ledger_archive($1::date)", params, 1, &table))
		return CTL_CANNOT;
	if (table.values[0] != NULL) {
		puts(table.values[0]);
		return CTL_DONE;
	}
	ctl_cannot("%s stays: it is not over, is archived already, has no rows, or has a call that is open", ctl->operands[0]);
	return CTL_NO;
}
