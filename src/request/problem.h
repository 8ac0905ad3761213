/*
 * problem.h - the closed catalogue of what a caller can be told went wrong.
 *
 * One row per problem: its code, HTTP status and the sentence for a person. Nothing that an upstream, the database or a library said ever reaches a
 * caller; that goes to the log, under the same request id.
 */
#ifndef REQUEST_PROBLEM_H
#define REQUEST_PROBLEM_H

#include "base/rc.h"
#include "provider/provider.h"

enum problem_code {
	PROBLEM_NONE,
	PROBLEM_INVALID_JSON,
	PROBLEM_INVALID_INPUT,
	PROBLEM_IDEMPOTENCY_KEY,
	PROBLEM_UNAUTHENTICATED,
	PROBLEM_NOT_FOUND,
	PROBLEM_METHOD,
	PROBLEM_IDEMPOTENCY_IN_FLIGHT,
	PROBLEM_IDEMPOTENCY_LOST,
	PROBLEM_BODY_TOO_LARGE,
	PROBLEM_IDEMPOTENCY_MISMATCH,
	PROBLEM_RATE_LIMIT,
	PROBLEM_DAILY_LIMIT,
	PROBLEM_MONTHLY_LIMIT,
	PROBLEM_COST_LIMIT,
	PROBLEM_UPSTREAM_ERROR,
	PROBLEM_INVALID_GENERATION,
	PROBLEM_UPSTREAM_BUSY,
	PROBLEM_UPSTREAM_UNAVAILABLE,
	PROBLEM_UPSTREAM_TIMEOUT,
	PROBLEM_UPSTREAM_UNREACHABLE,
	PROBLEM_MODEL_UNAVAILABLE,
	PROBLEM_DATABASE,
	PROBLEM_ENDPOINT_BROKEN,
	PROBLEM_OVERLOADED,
	PROBLEM_INTERNAL,
	PROBLEM_COUNT_
};

struct problem {
	enum problem_code code;
	int status;
	const char *name;    /* "daily_limit": the `code` member of the answer */
	const char *message; /* the `error` member: what to tell a person */
	int retry_after_s;   /* default Retry-After; 0 for none */
};

/* The row of a code. Static storage, never NULL. */
const struct problem *problem_get(enum problem_code code);

/* The code of a name ("daily_limit"); PROBLEM_INTERNAL for one it does not know. */
enum problem_code problem_by_name(const char *name);

/* The row for a failed call to a provider. */
enum problem_code problem_of_fault(enum provider_fault fault);

/* The row for a verdict of fpm.admit ("rate_limit", "daily_limit", …); PROBLEM_INTERNAL for one it does not know. */
enum problem_code problem_of_verdict(const char *verdict);

#endif
