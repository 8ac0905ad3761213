/*
 * validate.c - the body against the endpoint's input schema, and what kind of answer is wanted.
 */
#include <string.h>

#include "base/str.h"
#include "port/json.h"
#include "request/accept.h"
#include "request/request.h"

static enum rc refuse(struct request *rq, const char *path, const char *reason)
{
	if (rq->faults.count < SCHEMA_FAULT_MAX)
		rq->faults.items[rq->faults.count++] = (struct schema_fault){.path = path, .reason = reason};
	return request_fail(rq, PROBLEM_INVALID_INPUT, reason);
}

static enum rc parse_body(struct request *rq, const struct value **out)
{
	struct json_error error;
	struct value *body;
	enum rc rc = json_parse(rq->arena, rq->body, rq->body_len, &body, &error);

	if (rc == RC_NOMEM)
		return request_fail(rq, PROBLEM_INTERNAL, "out of memory");
	if (rc != RC_OK) {
		rq->faults.items[rq->faults.count++] = (struct schema_fault){
			.path = "", .reason = arena_printf(rq->arena, "%s%s", json_error_place(rq->arena, &error), error.reason)};
		return request_fail(rq, PROBLEM_INVALID_JSON, error.reason);
	}
	if (body->type != VALUE_OBJECT)
		return refuse(rq, "", "must be an object");
	*out = body;
	return RC_OK;
}

/* PostgreSQL's text holds no NUL, and neither should a prompt. */
static bool has_nul(const struct value *value)
{
	switch (value->type) {
	case VALUE_STRING:
		return memchr(value->u.string.text, '\0', value->u.string.len) != NULL;
	case VALUE_ARRAY:
		for (size_t i = 0; i < value->u.array.count; i++)
			if (has_nul(value->u.array.items[i]))
				return true;
		return false;
	case VALUE_OBJECT:
		for (size_t i = 0; i < value->u.object.count; i++)
			if (has_nul(value->u.object.members[i].value))
				return true;
		return false;
	default:
		return false;
	}
}

static enum rc check_schema(struct request *rq)
{
	const struct settings *settings = rq->service->settings;
	const struct schema_limits limits = {.max_string = (size_t)settings->input_max_string, .max_items = (size_t)settings->input_max_items};

	if (has_nul(rq->input))
		return refuse(rq, "", "must not contain the character U+0000");
	if (rq->endpoint->input == NULL)
		return RC_OK;
	switch (schema_check(rq->endpoint->input, rq->arena, rq->input, &limits, &rq->faults)) {
	case RC_OK:
		return RC_OK;
	case RC_INVALID:
		return request_fail(rq, PROBLEM_INVALID_INPUT, NULL);
	default:
		return request_fail(rq, PROBLEM_INTERNAL, "out of memory");
	}
}

/* A caller's history is what was said, not what the assistant was told to be: no system messages. To a file that asks for none, a member of that name is one
 * like another: whoever could add turns to it would speak for the assistant. */
static enum rc read_history(struct request *rq)
{
	const struct value *history = value_get(rq->input, "history");
	const char *reason;
	enum rc rc;

	if (!rq->endpoint->converses || history == NULL || history->type != VALUE_ARRAY)
		return RC_OK;
	rc = message_read(rq->arena, history, &rq->history, &reason);
	if (rc == RC_INVALID)
		return refuse(rq, "/history", reason);
	if (rc != RC_OK)
		return request_fail(rq, PROBLEM_INTERNAL, "out of memory");
	for (size_t i = 0; i < rq->history.count; i++)
		if (rq->history.items[i].role == ROLE_SYSTEM)
			return refuse(rq, "/history", "must hold messages of user and assistant only");
	return RC_OK;
}

static enum answer_mode wanted_mode(const struct request *rq)
{
	const struct value *stream = value_get(rq->input, "stream");

	if (!rq->endpoint->streams || stream == NULL || stream->type != VALUE_BOOL || !stream->u.boolean)
		return ANSWER_JSON;
	return accept_asks_for(fcgi_param(rq->fcgi, "HTTP_ACCEPT"), "text/event-stream", "text/plain") ? ANSWER_SSE : ANSWER_TEXT;
}

enum rc step_validate(struct request *rq)
{
	const struct value *body = NULL;
	enum rc rc = parse_body(rq, &body);

	if (rc != RC_OK)
		return rc;
	rq->input = endpoint_input(rq->endpoint, rq->arena, body);
	if (rq->input == NULL)
		return request_fail(rq, PROBLEM_INTERNAL, "out of memory");
	rc = check_schema(rq);
	if (rc == RC_OK)
		rc = read_history(rq);
	rq->mode = wanted_mode(rq);
	return rc;
}
