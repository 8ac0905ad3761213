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

static void copy(char to[TOKEN_UUID_SIZE], const char *from)
{
	snprintf(to, TOKEN_UUID_SIZE, "%s", from == NULL ? "" : from);
}

static enum rc ask_database(struct request *rq, struct caller *caller)
{
	const char *const params[] = {rq->key_hash};
	const struct db_call call = {.sql = "select supplier_id, key_id, organization_id from fpm.authenticate($1)", .params = params, .param_count = COUNT_OF(params)};
	struct db_row row;
	enum rc rc = db_call(rq->service->db, rq->arena, &call, &row);

	if (rc != RC_OK && rc != RC_DONE)
		return rc;
	*caller = (struct caller){0};
	if (rc == RC_OK) {
		copy(caller->supplier, row.values[0]);
		copy(caller->key, row.values[1]);
		copy(caller->organization, row.values[2]);
	}
	callers_remember(rq->service->callers, rq->key_hash, caller);
	return RC_OK;
}

enum rc step_authenticate(struct request *rq)
{
	const char *key = presented_key(rq);
	struct caller *caller = arena_alloc(rq->arena, sizeof *caller);

	if (caller == NULL)
		return request_fail(rq, PROBLEM_INTERNAL, "out of memory");
	if (key == NULL)
		return request_fail(rq, PROBLEM_UNAUTHENTICATED, "no key");
	if (!token_key_wellformed(key))
		return request_fail(rq, PROBLEM_UNAUTHENTICATED, "not a key of ours");
	if (token_sha256(key, strlen(key), rq->key_hash) != RC_OK)
		return request_fail(rq, PROBLEM_INTERNAL, "no digest");
	if (!callers_find(rq->service->callers, rq->key_hash, caller) && ask_database(rq, caller) != RC_OK)
		return request_fail(rq, PROBLEM_DATABASE, "asking whose key it is");
	if (caller->supplier[0] == '\0')
		return request_fail(rq, PROBLEM_UNAUTHENTICATED, "unknown or revoked key");
	rq->caller = caller;
	rq->supplier = caller->supplier;
	return RC_OK;
}
