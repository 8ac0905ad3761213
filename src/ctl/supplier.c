/*
 * supplier.c - promptctl supplier: who may call, and on which plan.
 */
#include "base/str.h"
#include "ctl/ctl.h"

/* A plan's name that was mistyped is a name like another, and gives its suppliers less than they pay for. */
static enum ctl_status warn_of_plan(struct ctl *ctl, const char *tier)
{
	struct db_table table;

	if (!ctl_ask(ctl, "select fpm.plan_known($1)", &tier, 1, &table))
		return CTL_CANNOT;
	if (*table.values[0] != 't')
		fprintf(stderr, "promptctl: warning: no plan is called %s yet: until ai_usage_limits has it, the default limits hold\n", tier);
	return CTL_DONE;
}

enum ctl_status supplier_add(struct ctl *ctl)
{
	const char *params[3] = {0};
	const struct ctl_option options[] = {
		{"tier", "TIER", "the plan: starter, professional, scale, enterprise, or one of your own", &params[2], NULL},
		{"organization", "UUID", "whom it belongs to", &params[1], NULL},
		{"id", "UUID", "its id, where it has one already; without it, a new one", &params[0], NULL},
	};
	struct db_table table;

	if (!ctl_options(ctl, options, COUNT_OF(options), 0, 0))
		return ctl->status;
	if (params[2] == NULL || *params[2] == '\0')
		return ctl_misused(ctl, "--tier is missing");
	if (!ctl_ask(ctl, "select fpm.supplier_add($1::uuid, $2::uuid, $3)", params, 3, &table))
		return CTL_CANNOT;
	puts(table.values[0]);
	return warn_of_plan(ctl, params[2]);
}

enum ctl_status supplier_tier(struct ctl *ctl)
{
	struct db_table table;

	if (!ctl_options(ctl, NULL, 0, 2, 2))
		return ctl->status;
	if (*ctl->operands[1] == '\0')
		return ctl_misused(ctl, "TIER is missing");
	if (!ctl_ask(ctl, "select fpm.supplier_set_tier($1::uuid, $2)", (const char *const *)ctl->operands, 2, &table))
		return CTL_CANNOT;
	if (*table.values[0] == 't')
		return warn_of_plan(ctl, ctl->operands[1]);
	ctl_cannot("there is no supplier %s", ctl->operands[0]);
	return CTL_NO;
}

enum ctl_status supplier_list(struct ctl *ctl)
{
	struct db_table table;

	if (!ctl_options(ctl, NULL, 0, 0, 0))
		return ctl->status;
	if (!ctl_ask(ctl,
	             "select supplier_id as id, organization_id as organization, tier, keys, month_requests, month_cost_cents from fpm.supplier_list()",
	             NULL, 0, &table))
		return CTL_CANNOT;
	return ctl_print(ctl, &table, "tttnnn");
}
