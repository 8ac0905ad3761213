/*
 * problem.c - the catalogue.
 */
#include "request/problem.h"

#include "base/str.h"

static const struct problem catalogue[PROBLEM_COUNT_] = {
	[PROBLEM_NONE] = {PROBLEM_NONE, 200, "none", "", 0},
	[PROBLEM_INVALID_JSON] = {PROBLEM_INVALID_JSON, 400, "invalid_json", "The request body is not valid JSON.", 0},
	[PROBLEM_INVALID_INPUT] = {PROBLEM_INVALID_INPUT, 400, "invalid_input", "The request does not have the form that this endpoint takes.", 0},
	[PROBLEM_IDEMPOTENCY_KEY] = {PROBLEM_IDEMPOTENCY_KEY, 400, "invalid_idempotency_key",
	                             "The Idempotency-Key header must hold 1 to 255 printable ASCII characters.", 0},
	[PROBLEM_UNAUTHENTICATED] = {PROBLEM_UNAUTHENTICATED, 401, "unauthenticated",
	                             "A valid API key is needed: send it as Authorization: Bearer or X-Api-Key.", 0},
	[PROBLEM_NOT_FOUND] = {PROBLEM_NOT_FOUND, 404, "not_found", "There is no such endpoint.", 0},
	[PROBLEM_METHOD] = {PROBLEM_METHOD, 405, "method_not_allowed", "This path does not take that method: the Allow header names the one it takes.", 0},
	[PROBLEM_IDEMPOTENCY_IN_FLIGHT] = {PROBLEM_IDEMPOTENCY_IN_FLIGHT, 409, "idempotency_in_flight",
	                                   "The first request with this Idempotency-Key is still being answered: please try again shortly.", 2},
	[PROBLEM_IDEMPOTENCY_LOST] = {PROBLEM_IDEMPOTENCY_LOST, 409, "idempotency_lost",
	                              "The first request with this Idempotency-Key was interrupted, and its answer is lost: please use a new key.", 0},
	[PROBLEM_BODY_TOO_LARGE] = {PROBLEM_BODY_TOO_LARGE, 413, "body_too_large", "The request body is too large.", 0},
	[PROBLEM_IDEMPOTENCY_MISMATCH] = {PROBLEM_IDEMPOTENCY_MISMATCH, 422, "idempotency_mismatch",
	                                  "This Idempotency-Key belongs to a request that differs from this one: please use a new key.", 0},
	[PROBLEM_RATE_LIMIT] = {PROBLEM_RATE_LIMIT, 429, "rate_limit", "Too many requests: please wait a little and try again.", 60},
	[PROBLEM_DAILY_LIMIT] = {PROBLEM_DAILY_LIMIT, 429, "daily_limit", "Today's limit of your plan is reached: please try again tomorrow.", 3600},
	[PROBLEM_MONTHLY_LIMIT] = {PROBLEM_MONTHLY_LIMIT, 429, "monthly_limit",
	                           "This month's limit of your plan is reached: please upgrade your plan to go on.", 86400},
	[PROBLEM_COST_LIMIT] = {PROBLEM_COST_LIMIT, 429, "cost_limit",
	                        "This month's cost limit of your plan is reached: please upgrade your plan to go on.", 86400},
	[PROBLEM_UPSTREAM_ERROR] = {PROBLEM_UPSTREAM_ERROR, 502, "upstream_error", "The AI service failed to answer: please try again.", 0},
	[PROBLEM_INVALID_GENERATION] = {PROBLEM_INVALID_GENERATION, 502, "invalid_generation",
	                                "The AI service's answer was not usable: please try again.", 0},
	[PROBLEM_UPSTREAM_BUSY] = {PROBLEM_UPSTREAM_BUSY, 503, "upstream_busy", "The AI service is busy: please try again shortly.", 10},
	[PROBLEM_UPSTREAM_UNAVAILABLE] = {PROBLEM_UPSTREAM_UNAVAILABLE, 503, "upstream_unavailable",
	                                  "The AI service is not available at the moment: please try again shortly.", 10},
	[PROBLEM_UPSTREAM_TIMEOUT] = {PROBLEM_UPSTREAM_TIMEOUT, 504, "upstream_timeout", "The AI service took too long to answer: please try again.", 0},
	[PROBLEM_UPSTREAM_UNREACHABLE] = {PROBLEM_UPSTREAM_UNREACHABLE, 503, "upstream_unreachable",
	                                  "The AI service cannot be reached at the moment: please try again shortly.", 10},
	[PROBLEM_MODEL_UNAVAILABLE] = {PROBLEM_MODEL_UNAVAILABLE, 503, "model_unavailable",
	                               "This endpoint's model is not available: please tell the site's operator.", 300},
	[PROBLEM_DATABASE] = {PROBLEM_DATABASE, 503, "database_unavailable", "The service is not available at the moment: please try again shortly.", 2},
	[PROBLEM_ENDPOINT_BROKEN] = {PROBLEM_ENDPOINT_BROKEN, 503, "endpoint_broken",
	                             "This endpoint is not available: please tell the site's operator.", 60},
	[PROBLEM_OVERLOADED] = {PROBLEM_OVERLOADED, 503, "overloaded", "The service is busy: please try again shortly.", 2},
	[PROBLEM_INTERNAL] = {PROBLEM_INTERNAL, 503, "internal", "Something went wrong here: please try again shortly.", 5},
};

const struct problem *problem_get(enum problem_code code)
{
	return &catalogue[(unsigned)code < PROBLEM_COUNT_ ? code : PROBLEM_INTERNAL];
}

enum problem_code problem_by_name(const char *name)
{
	for (size_t i = 0; i < PROBLEM_COUNT_; i++)
		if (str_eq(catalogue[i].name, name))
			return catalogue[i].code;
	return PROBLEM_INTERNAL;
}

enum problem_code problem_of_fault(enum provider_fault fault)
{
	switch (fault) {
	case FAULT_BUSY:
		return PROBLEM_UPSTREAM_BUSY;
	case FAULT_UNAVAILABLE:
		return PROBLEM_UPSTREAM_UNAVAILABLE;
	case FAULT_TIMEOUT:
		return PROBLEM_UPSTREAM_TIMEOUT;
	case FAULT_UNREACHABLE:
		return PROBLEM_UPSTREAM_UNREACHABLE;
	case FAULT_OURS:
		return PROBLEM_INTERNAL;
	default:
		return PROBLEM_UPSTREAM_ERROR;
	}
}

enum problem_code problem_of_verdict(const char *verdict)
{
	static const struct {
		const char *verdict;
		enum problem_code code;
	} rows[] = {
		{"unauthenticated", PROBLEM_UNAUTHENTICATED}, {"rate_limit", PROBLEM_RATE_LIMIT}, {"daily_limit", PROBLEM_DAILY_LIMIT},
		{"monthly_limit", PROBLEM_MONTHLY_LIMIT},     {"cost_limit", PROBLEM_COST_LIMIT}, {"model_unknown", PROBLEM_MODEL_UNAVAILABLE},
		{"busy", PROBLEM_DATABASE},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (str_eq(rows[i].verdict, verdict))
			return rows[i].code;
	return PROBLEM_INTERNAL;
}
