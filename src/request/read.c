/*
 * read.c - which endpoint is meant, and what was sent to it.
 *
 * The body is read to its end before anything is answered: an undrained body makes front ends fail requests.
 */
#include <string.h>

#include "base/str.h"
#include "request/request.h"

static const char *request_path(const struct request *rq)
{
	const char *uri = fcgi_uri(rq->fcgi);

	return uri == NULL ? "/" : arena_strndup(rq->arena, uri, strcspn(uri, "?#"));
}

static enum rc find_endpoint(struct request *rq)
{
	switch (catalog_find(rq->service->catalog, rq->path, fcgi_param(rq->fcgi, "SCRIPT_FILENAME"), &rq->endpoint)) {
	case RC_OK:
		return RC_OK;
	case RC_NOTFOUND:
		return request_fail(rq, PROBLEM_NOT_FOUND, NULL);
	case RC_INVALID:
		return request_fail(rq, PROBLEM_ENDPOINT_BROKEN, "its file does not load");
	default:
		return request_fail(rq, PROBLEM_INTERNAL, "the endpoint could not be loaded");
	}
}

enum rc read_head(struct request *rq)
{
	const char *method = fcgi_param(rq->fcgi, "REQUEST_METHOD");

	rq->method = arena_strdup(rq->arena, method == NULL ? "GET" : method);
	rq->path = request_path(rq);
	return rq->method != NULL && rq->path != NULL ? RC_OK : request_fail(rq, PROBLEM_INTERNAL, "out of memory");
}

enum rc step_read(struct request *rq)
{
	enum rc rc = fcgi_body(rq->fcgi, rq->arena, (size_t)rq->service->settings->request_body_max, &rq->body, &rq->body_len);

	if (read_head(rq) != RC_OK || find_endpoint(rq) != RC_OK)
		return RC_INVALID;
	if (!str_eq(rq->method, "POST")) {
		rq->allow = "POST";
		return request_fail(rq, PROBLEM_METHOD, NULL);
	}
	if (rc == RC_TOOBIG)
		return request_fail(rq, PROBLEM_BODY_TOO_LARGE, NULL);
	if (rc == RC_PROTOCOL || rc == RC_GONE) {
		rq->caller_gone = true;
		return request_fail(rq, PROBLEM_INVALID_JSON, "the body broke off");
	}
	return rc == RC_OK ? RC_OK : request_fail(rq, PROBLEM_INTERNAL, rc_name(rc));
}
