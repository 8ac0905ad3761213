/*
 * model.c - promptctl model: which models there are, and what they cost. Prices are those of the providers' lists: USD for a million tokens.
 */
#include <string.h>

#include "base/str.h"
#include "ctl/ctl.h"

/* "openai/gpt-5-mini" as two words in params[0] and [1]. Says what is wrong. */
static bool split_name(struct ctl *ctl, const char **params)
{
	const char *name = ctl->operands[0], *slash = strchr(name, '/');

	if (slash == NULL || slash == name || slash[1] == '\0') {
		ctl->status = ctl_misused(ctl, "\"%s\" is no model: it is written as provider/model", name);
		return false;
	}
	params[0] = arena_strndup(ctl->arena, name, (size_t)(slash - name));
	params[1] = slash + 1;
	if (params[0] != NULL)
		return true;
	ctl->status = ctl_cannot("out of memory");
	return false;
}

/* One that answers whether it was done; `not_done` says why it was not. */
static enum ctl_status change(struct ctl *ctl, const char *sql, const char *const *params, unsigned count, const char *not_done)
{
	struct db_table table;

	if (!ctl_ask(ctl, sql, params, count, &table))
		return CTL_CANNOT;
	if (*table.values[0] == 't')
		return CTL_DONE;
	ctl_cannot("%s %s", ctl->operands[0], not_done);
	return CTL_NO;
}

/* An integer of PostgreSQL's. */
static bool is_context(const char *text)
{
	int64_t n;

	return text == NULL || str_int(text, 1, INT32_MAX, &n) == RC_OK;
}

enum ctl_status model_add(struct ctl *ctl)
{
	const char *params[7] = {0};
	bool plain = false;
	const struct ctl_option options[] = {
		{"input", "USD", "price of a million tokens of a prompt", &params[2], NULL},
		{"cached", "USD", "of those the provider has in its cache; without it, as --input", &params[3], NULL},
		{"output", "USD", "of an answer", &params[4], NULL},
		{"context", "TOKENS", "the most that it takes in", &params[5], NULL},
		{"no-streams", NULL, "it gives no streams", NULL, &plain},
	};

	if (!ctl_options(ctl, options, COUNT_OF(options), 1, 1))
		return ctl->status;
	if (params[2] == NULL || params[4] == NULL)
		return ctl_misused(ctl, "a model needs --input and --output: one without prices is refused");
	if (!is_context(params[5]))
		return ctl_misused(ctl, "--context is a whole number of tokens, from 1");
	if (!split_name(ctl, params))
		return ctl->status;
	params[6] = plain ? "false" : "true";
	return change(ctl, "select fpm.model_add($1, $2, $3::numeric, $4::numeric, $5::numeric, $6::int, $7::boolean)", params, 7,
	              "is there already: promptctl model price changes what it costs");
}

enum ctl_status model_price(struct ctl *ctl)
{
	const char *params[5] = {0};
	const struct ctl_option options[] = {
		{"input", "USD", "price of a million tokens of a prompt", &params[2], NULL},
		{"cached", "USD", "of those the provider has in its cache; without it, as --input", &params[3], NULL},
		{"output", "USD", "of an answer", &params[4], NULL},
	};

	if (!ctl_options(ctl, options, COUNT_OF(options), 1, 1))
		return ctl->status;
	if (params[2] == NULL || params[4] == NULL)
		return ctl_misused(ctl, "--input and --output are both needed");
	if (!split_name(ctl, params))
		return ctl->status;
	return change(ctl, "select fpm.model_price($1, $2, $3::numeric, $4::numeric, $5::numeric)", params, 5, "is not known");
}

static enum ctl_status activate(struct ctl *ctl, const char *active)
{
	const char *params[3] = {NULL, NULL, active};

	if (!ctl_options(ctl, NULL, 0, 1, 1))
		return ctl->status;
	if (!split_name(ctl, params))
		return ctl->status;
	return change(ctl, "select fpm.model_activate($1, $2, $3::boolean)", params, 3, "is not known");
}

enum ctl_status model_disable(struct ctl *ctl)
{
	return activate(ctl, "false");
}

enum ctl_status model_enable(struct ctl *ctl)
{
	return activate(ctl, "true");
}

enum ctl_status model_list(struct ctl *ctl)
{
	struct db_table table;

	if (!ctl_options(ctl, NULL, 0, 0, 0))
		return ctl->status;
	if (!ctl_ask(ctl,
	             "select provider || '/' || model_name as model, case when active then 'yes' else 'no' end as active, price_input as input,"
	             " coalesce(price_cached, price_input) as cached, price_output as output, max_tokens as context, case when streams then 'yes' else 'no' end as streams"
	             " from fpm.model_list()",
	             NULL, 0, &table))
		return CTL_CANNOT;
	return ctl_print(ctl, &table, "ttnnnnt");
}
