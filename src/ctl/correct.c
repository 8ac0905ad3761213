/*
 * correct.c - promptctl correct: says what a call truly used, after its row ended. The difference becomes a row of its own.
 */
#include "base/str.h"
#include "ctl/ctl.h"

/* What is asked for: the row, and what it and its corrections shall come to. */
struct correction {
	const char *name, *prompt, *cached, *completion, *reason;
};

enum column { ID, MODEL, STATE, COST };

/* A request has a call for each model that it asked. */
static enum ctl_status say_which(const char *name, const struct db_table *found)
{
	ctl_cannot("%s names more than one call: give the row's id", name);
	for (unsigned i = 0; i < found->rows; i++) {
		const char *const *row = found->values + (size_t)i * found->columns;

		fprintf(stderr, "  %s  %s, %s, %s cents\n", row[ID], row[MODEL], row[STATE], row[COST]);
	}
	return CTL_NO;
}

static enum ctl_status correct(struct ctl *ctl, struct db_session *session, const struct correction *c)
{
	const char *const name[] = {c->name};
	const char *params[] = {NULL, c->prompt, c->cached, c->completion, c->reason};
	struct db_table found, made;

	if (!ctl_query(ctl, session, "select id, model_used, state, cost_cents from fpm.call_find($1) order by created_at, id", name, 1, &found))
		return CTL_CANNOT;
	if (found.rows > 1)
		return say_which(c->name, &found);
	if (found.rows == 0) {
		ctl_cannot("there is no call %s", c->name);
		return CTL_NO;
	}
	params[0] = found.values[ID];
	if (!ctl_query(ctl, session,
	               "select trim_scale(fpm.correct(f.id, f.created_at, coalesce($2::bigint, f.prompt_tokens), coalesce($3::bigint, f.cached_tokens),"
	               " coalesce($4::bigint, f.completion_tokens), $5)) as difference from fpm.call_find($1) f",
	               params, COUNT_OF(params), &made))
		return CTL_CANNOT;
	if (made.rows == 1 && made.values[0] != NULL) {
		puts(made.values[0]);
		return CTL_DONE;
	}
	ctl_cannot("%s has nothing to correct: it is still open, or was answered from the cache", c->name);
	return CTL_NO;
}

static bool is_count(const char *text)
{
	int64_t n;

	return text == NULL || str_int(text, 0, INT64_MAX, &n) == RC_OK;
}

enum ctl_status correct_run(struct ctl *ctl)
{
	struct correction c = {0};
	const struct ctl_option options[] = {
		{"prompt-tokens", "N", "what the prompt truly took; without it, as it stands", &c.prompt, NULL},
		{"cached-tokens", "N", "the part of it that the provider had in its cache", &c.cached, NULL},
		{"completion-tokens", "N", "what the answer truly took", &c.completion, NULL},
		{"reason", "TEXT", "why, for the new row", &c.reason, NULL},
	};
	struct db_session *session;
	enum ctl_status status;

	if (!ctl_options(ctl, options, COUNT_OF(options), 1, 1))
		return ctl->status;
	c.name = ctl->operands[0];
	if (c.reason == NULL || *c.reason == '\0')
		return ctl_misused(ctl, "--reason is missing");
	if (c.prompt == NULL && c.cached == NULL && c.completion == NULL)
		return ctl_misused(ctl, "there is nothing to correct: give the tokens");
	if (!is_count(c.prompt) || !is_count(c.cached) || !is_count(c.completion))
		return ctl_misused(ctl, "tokens are whole numbers");
	session = ctl_connect(ctl);
	if (session == NULL)
		return CTL_CANNOT;
	status = correct(ctl, session, &c);
	db_close(session);
	return status;
}
