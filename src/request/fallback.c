/*
 * fallback.c - where an endpoint's model cannot be had, the next one it names is asked.
 *
 * Each model's call has a ledger row of its own, with its own price: the failed one's is ended, charged what it may have used, before the next is admitted. No model is asked
 * once a caller has seen a word of another's answer.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "request/request.h"

/* What failed on our side, or in the caller's hands, fails so with any model. */
static bool may_fall_back(const struct request *rq)
{
	bool seen = rq->mode != ANSWER_JSON && rq->text.len > 0;

	return admit_models_left(rq) > 0 && rq->result.fault != FAULT_CALLER && rq->result.fault != FAULT_OURS && !seen && clock_us() < rq->deadline_us;
}

/* What the caller is told he used is what all of his rows say. */
static enum rc add_up(struct request *rq)
{
	const struct admission *a = &rq->admission;
	char cents[COST_TEXT_SIZE];
	enum rc rc = cost_cents(&rq->used, a->price_input, a->price_cached, a->price_output, cents);

	if (rc == RC_OK)
		rc = cost_add(cents, rq->earlier_cents);
	if (rc != RC_OK)
		return rc;
	memcpy(rq->earlier_cents, cents, sizeof cents);
	rq->earlier_tokens += rq->used.prompt + rq->used.completion;
	return RC_OK;
}

/* For the log: who failed, and how. */
static const char *add_failed(struct request *rq, const char *model)
{
	const char *before = rq->fell_back_from;

	return arena_printf(rq->arena, "%s%s%s:%s", before == NULL ? "" : before, before == NULL ? "" : ",", model, provider_fault_name(rq->result.fault));
}

static void begin_anew(struct request *rq, const char *failed)
{
	rq->fell_back_from = add_failed(rq, failed);
	rq->result = (struct provider_result){.fault = FAULT_NONE};
	rq->used = (struct usage){0};
	rq->calls = 0;
	rq->estimated = false;
	rq->retry_after_s = 0;
	rq->detail = NULL;
	atomic_fetch_add(&rq->service->fallbacks, 1);
}

/* Where none of the others is admitted, or the caller does not wait for it, the problem is what it was: the key of an idempotent request is answered with it. */
static enum rc admit_other(struct request *rq)
{
	const struct problem *problem = rq->problem;
	const char *detail = rq->detail, *failed = rq->model;
	enum rc rc = admit_next(rq);

	if (rc == RC_OK) {
		begin_anew(rq, failed);
		return RC_OK;
	}
	rq->detail = arena_printf(rq->arena, "%s; no fallback was admitted: %s", detail, rq->problem == NULL ? rc_name(rc) : rq->problem->name);
	rq->problem = problem;
	return rc;
}

static enum rc change_model(struct request *rq)
{
	if (add_up(rq) != RC_OK || settle_attempt(rq) != RC_OK)
		return RC_INVALID;
	buf_clear(&rq->text);
	return admit_other(rq);
}

/* The time is told apart from the providers', which is all the rest of this step's. */
static enum rc change_model_timed(struct request *rq)
{
	int64_t since_us = clock_us() - rq->wait.same_answer_us;
	enum rc rc = change_model(rq);

	rq->wait.database_us += clock_us() - rq->wait.same_answer_us - since_us;
	return rc;
}

enum rc step_fallback(struct request *rq)
{
	enum rc rc = RC_OK;

	while (rc != RC_GONE && rq->problem != NULL) {
		if (!may_fall_back(rq))
			return RC_INVALID;
		rc = change_model_timed(rq);
		if (rc == RC_OK && !rq->admission.cached && clock_us() >= rq->deadline_us)
			rc = request_fail(rq, PROBLEM_UPSTREAM_TIMEOUT, "the deadline passed");
		if (rc != RC_OK)
			return rc;
		rc = generate_answer(rq);
	}
	return rc;
}
