/*
 * authenticate.c - whose request it is.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "request/caller.h"
#include "request/request.h"

static const char *presented_key(const struct request *rq)
{
	const char *header = fcgi_param(rq->fcgi, "HTTP_AUTHORIZATION");

	if (header != NULL && strncasecmp(header, "Bearer ", 7) == 0)
		return header + 7 + strspn(header + 7, " ");
	return fcgi_param(rq->fcgi, "HTTP_X_API_KEY");
}

static enum rc ask_database(struct request *rq, struct caller *caller)
{
	const char *const params[] = {rq->key_hash};
	const struct db_call call = {.sql = "select supplier_id from fpm.authenticate($1)", .params = params, .param_count = COUNT_OF(params)};
	struct db_row row;
	enum rc rc = db_call(rq->service->db, rq->arena, &call, &row);

	if (rc != RC_OK && rc != RC_DONE)
		return rc;
	caller->supplier[0] = '\0';
	if (rc == RC_OK && row.values[0] != NULL)
		snprintf(caller->supplier, sizeof caller->supplier, "%s", row.values[0]);
	callers_remember(rq->service->callers, rq->key_hash, caller);
	return RC_OK;
}

enum rc step_authenticate(struct request *rq)
{
	const char *key = presented_key(rq);
	struct caller caller;

	if (key == NULL)
		return request_fail(rq, PROBLEM_UNAUTHENTICATED, "no key");
	if (!token_key_wellformed(key))
		return request_fail(rq, PROBLEM_UNAUTHENTICATED, "not a key of ours");
	if (token_sha256(key, strlen(key), rq->key_hash) != RC_OK)
		return request_fail(rq, PROBLEM_INTERNAL, "no digest");
	if (!callers_find(rq->service->callers, rq->key_hash, &caller) && ask_database(rq, &caller) != RC_OK)
		return request_fail(rq, PROBLEM_DATABASE, "asking whose key it is");
	if (caller.supplier[0] == '\0')
		return request_fail(rq, PROBLEM_UNAUTHENTICATED, "unknown or revoked key");
	rq->supplier = arena_strdup(rq->arena, caller.supplier);
	return rq->supplier == NULL ? request_fail(rq, PROBLEM_INTERNAL, "out of memory") : RC_OK;
}
