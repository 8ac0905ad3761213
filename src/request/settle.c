/*
 * settle.c - how a request ended, in the ledger's words, and what it is charged.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "request/answers.h"
#include "request/ledger.h"
#include "request/request.h"
#include "request/settlement.h"

static const char *ledger_state(const struct request *rq)
{
	if (!rq->result.sent && !rq->generated)
		return "void";
	if (rq->result.fault == FAULT_CALLER)
		return "aborted";
	return rq->problem == NULL ? "settled" : "failed";
}

/* Only a whole answer that may be shared is kept: one that was cut at its ceiling is worth no second look. Nor one that a database's text cannot hold. */
static const char *content_to_cache(const struct request *rq, const char *state)
{
	if (rq->endpoint->cache.scope == CACHE_OFF || !str_eq(state, "settled") || rq->result.stop != STOP_END || rq->text.len == 0)
		return NULL;
	if (strlen(buf_text(&rq->text)) != rq->text.len || !str_utf8_valid(rq->text.data, rq->text.len))
		return NULL;
	return buf_text(&rq->text);
}

static void count(struct request *rq, const char *state)
{
	if (str_eq(state, "aborted"))
		atomic_fetch_add(&rq->service->aborted, 1);
	else if (!str_eq(state, "settled"))
		atomic_fetch_add(&rq->service->failed, 1);
}

static const char *error_name(const struct request *rq, const char *state)
{
	if (str_eq(state, "aborted"))
		return "caller_left";
	return rq->problem == NULL ? NULL : rq->problem->name;
}

static struct settlement compose(const struct request *rq)
{
	const struct usage *usage = &rq->used;
	const char *state = ledger_state(rq);

	return (struct settlement){
		.ticket = rq->admission.ticket,
		.state = state,
		.prompt = usage->prompt,
		.cached = usage->cached,
		.completion = usage->completion,
		.estimated = rq->estimated,
		.duration_ms = (clock_us() - rq->started_us) / 1000,
		.error = error_name(rq, state),
		.content = content_to_cache(rq, state),
		.lock_key = ledger_lock_key(rq->admission.ticket),
	};
}

/* Tells who waits for the same answer. */
static void tell_others(struct request *rq)
{
	if (rq->admission.digest[0] != '\0')
		answers_ended(rq->service->answers, rq->admission.digest);
}

enum rc settle_attempt(struct request *rq)
{
	const struct settlement settlement = compose(rq);
	enum rc rc = settlement_book(rq->service->db, rq->arena, &settlement);

	if (rc != RC_OK)
		return rc;
	rq->admission.settled = true;
	tell_others(rq);
	return RC_OK;
}

void settle_reservation(struct request *rq)
{
	struct settlement settlement;

	if (rq->admission.ticket == NULL)
		return;
	if (rq->admission.cached) {
		atomic_fetch_add(&rq->service->cache_hits, 1);
		return;
	}
	count(rq, ledger_state(rq));
	if (rq->admission.settled || settle_attempt(rq) == RC_OK)
		return;
	settlement = compose(rq);
	settlement_later(rq->service->settles, &settlement);
	tell_others(rq);
}
