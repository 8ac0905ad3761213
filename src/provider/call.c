/*
 * call.c - the part of a call that is the same for every provider over HTTP.
 */
#include "provider/call.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "port/json.h"

#define EVENT_MAX (256u * 1024u) /* bytes of one line, and of one event, of a stream */
#define URL_MAX (64u * 1024u)
#define SCRATCH_MAX (PROVIDER_ANSWER_MAX * 8u) /* a tree is larger than its text */
#define FENCE "```"

void call_begin(struct call *call, const struct provider_access *access, struct arena *arena, const struct provider_request *request,
                struct provider_result *result)
{
	*result = (struct provider_result){.detail = "none"};
	*call = (struct call){.access = access, .arena = arena, .request = request, .result = result, .started_us = clock_us()};
	buf_init(&call->answer, arena, PROVIDER_ANSWER_MAX);
}

enum rc call_fail(struct call *call, enum provider_fault fault, enum rc rc, const char *detail)
{
	if (call->rc == RC_OK) {
		call->rc = rc;
		call->result->fault = fault;
		call->result->detail = detail;
	}
	return call->rc;
}

enum rc call_ask_for_json(struct buf *buf, const struct schema *output)
{
	buf_puts(buf, "Answer with JSON and nothing else: no words around it, no code fence.");
	if (output == NULL)
		return buf->rc;
	buf_puts(buf, " It must be valid against this JSON Schema:\n");
	return value_write(buf, schema_json(output), 0);
}

/* Models give it so against all instruction. */
void call_unfence(const struct call *call, const char **text, size_t *n)
{
	const char *line, *end = *text + *n;

	while (end > *text && (end[-1] == '\n' || end[-1] == ' '))
		end--;
	if ((!call->request->json && call->request->output == NULL) || !str_starts(*text, FENCE) || end - *text < 6 || memcmp(end - 3, FENCE, 3) != 0 ||
	    (line = memchr(*text, '\n', *n)) == NULL || line >= end - 3)
		return;
	*n = (size_t)(end - 3 - (line + 1));
	*text = line + 1;
}

static void free_scratch(void *scratch)
{
	arena_free(scratch);
}

static enum rc clear_scratch(struct call *call)
{
	if (call->scratch != NULL) {
		arena_clear(call->scratch);
		return RC_OK;
	}
	call->scratch = arena_new(SCRATCH_MAX);
	if (call->scratch == NULL)
		return RC_NOMEM;
	if (arena_defer(call->arena, free_scratch, call->scratch) != RC_OK)
		call->scratch = NULL;
	return call->scratch == NULL ? RC_NOMEM : RC_OK;
}

enum rc call_parse(struct call *call, const char *text, size_t n, struct value **out)
{
	enum rc rc = clear_scratch(call);

	if (rc == RC_OK)
		rc = json_parse(call->scratch, text, n, out, NULL);
	if (rc == RC_NOMEM)
		return call_fail(call, FAULT_OURS, rc, "out of memory");
	if (rc != RC_OK || (*out)->type != VALUE_OBJECT)
		return call_fail(call, FAULT_BROKEN, RC_PROTOCOL, "answer is not JSON");
	return RC_OK;
}

/* What a callback of the request said. */
static enum rc stopped(struct call *call, enum rc rc)
{
	return rc == RC_OK ? RC_OK : call_fail(call, rc == RC_GONE ? FAULT_CALLER : FAULT_OURS, rc, "stopped on our side");
}

enum rc call_deliver(struct call *call, const char *text, size_t n)
{
	struct provider_result *result = call->result;
	enum rc rc;

	if (n == 0)
		return RC_OK;
	if (n > PROVIDER_TEXT_MAX - result->text_bytes)
		return call_fail(call, FAULT_OURS, RC_TOOBIG, "text past our cap");
	if (memchr(text, '\0', n) != NULL || !str_utf8_valid(text, n))
		return call_fail(call, FAULT_BROKEN, RC_PROTOCOL, "text is not UTF-8");
	if (result->text_bytes == 0)
		result->first_text_us = clock_us() - call->started_us;
	result->text_bytes += n;
	rc = call->request->on_text(call->request->user, text, n);
	return stopped(call, rc);
}

enum rc call_rest(struct call *call)
{
	const struct provider_request *request = call->request;

	if (request->on_rest == NULL || call->rc != RC_OK || call->rested_bytes == call->result->text_bytes)
		return RC_OK;
	call->rested_bytes = call->result->text_bytes;
	return stopped(call, request->on_rest(request->user));
}

enum rc call_deliver_value(struct call *call, const struct value *value)
{
	return value == NULL || value->type != VALUE_STRING ? RC_OK : call_deliver(call, value->u.string.text, value->u.string.len);
}

/* The standard gives an event to its listeners whose data is an empty line; to us it says nothing. White space around the rest is no part of what is said. */
static enum rc take_event(void *user, const struct sse_event *event)
{
	static const char white[] = " \t\r\n";
	struct sse_event said = *event;
	struct call *call = user;

	for (; said.len > 0 && memchr(white, said.data[0], sizeof white - 1) != NULL; said.len--)
		said.data++;
	while (said.len > 0 && memchr(white, said.data[said.len - 1], sizeof white - 1) != NULL)
		said.len--;
	return said.len == 0 ? RC_OK : call->on_event(call, &said);
}

/* What comes with a bad status is nobody's business here. */
static enum rc take_body(void *user, int status, const char *bytes, size_t n)
{
	struct call *call = user;
	enum rc rc;

	if (status != 200)
		return RC_DONE;
	rc = call->request->stream ? sse_feed(&call->sse, bytes, n) : buf_add(&call->answer, bytes, n);
	if (rc == RC_OK || rc == RC_DONE || call->rc != RC_OK)
		return rc;
	if (rc == RC_TOOBIG && call->request->stream)
		return call_fail(call, FAULT_BROKEN, RC_PROTOCOL, "event past our cap");
	return call_fail(call, FAULT_OURS, rc, rc == RC_TOOBIG ? "answer past our cap" : "out of memory");
}

/* Text goes out once for what has been read at one go, however many events lie in it: who has fallen behind writes less often. */
static enum rc rest(void *user)
{
	return call_rest(user);
}

static enum rc tick(void *user)
{
	struct call *call = user;

	return call->request->on_tick(call->request->user);
}

static enum rc judge_status(struct call *call, int status)
{
	if (status == 401 || status == 403)
		return call_fail(call, FAULT_KEY, RC_DENIED, "our key is refused");
	if (status == 429)
		return call_fail(call, FAULT_BUSY, RC_UNAVAILABLE, "too many requests");
	if (status >= 500)
		return call_fail(call, FAULT_UNAVAILABLE, RC_UNAVAILABLE, "server error");
	if (status >= 400)
		return call_fail(call, FAULT_REQUEST, RC_INVALID, "request not taken");
	return call_fail(call, FAULT_BROKEN, RC_PROTOCOL, "unexpected status");
}

static enum rc judge_exchange(struct call *call, enum rc rc, const struct http_outcome *outcome)
{
	if (call->rc != RC_OK)
		return call->rc;
	if (outcome->status != 0 && outcome->status != 200)
		return judge_status(call, outcome->status);
	if (call->complete && (rc == RC_PROTOCOL || rc == RC_TIMEOUT))
		return RC_OK;
	switch (rc) {
	case RC_OK:
		return RC_OK;
	case RC_TIMEOUT:
		return call_fail(call, FAULT_TIMEOUT, rc, outcome->detail);
	case RC_GONE:
		return call_fail(call, FAULT_CALLER, rc, outcome->detail);
	case RC_PROTOCOL:
		return call_fail(call, FAULT_BROKEN, rc, outcome->detail);
	case RC_UNAVAILABLE:
	case RC_INVALID:
		return call_fail(call, outcome->sent ? FAULT_OURS : FAULT_UNREACHABLE, rc, outcome->detail);
	default:
		return call_fail(call, FAULT_OURS, rc, outcome->detail);
	}
}

enum rc call_post(struct call *call, const char *path, const struct http_header *headers, size_t header_count, const struct buf *body)
{
	const struct provider_request *request = call->request;
	struct http_outcome outcome;
	struct http_call exchange = {
		.headers = headers,
		.header_count = header_count,
		.body = buf_text(body),
		.body_len = body->len,
		.deadline_us = request->deadline_us,
		.idle_ms = request->idle_ms,
		.watch_fd = request->watch_fd,
		.tick_ms = request->on_tick == NULL ? 0 : request->tick_ms,
		.on_body = take_body,
		.on_rest = rest,
		.on_tick = tick,
		.user = call,
	};
	struct buf url;
	enum rc rc;

	if (body->rc != RC_OK)
		return call_fail(call, FAULT_OURS, body->rc, "request cannot be written");
	if (call->access->base_url == NULL)
		return call_fail(call, FAULT_UNREACHABLE, RC_UNAVAILABLE, "no base URL");
	buf_init(&url, call->arena, URL_MAX);
	if (buf_strings(&url, call->access->base_url, path, NULL) != RC_OK)
		return call_fail(call, FAULT_OURS, url.rc, "URL cannot be written");
	exchange.url = url.data;
	sse_init(&call->sse, call->arena, EVENT_MAX, take_event, call);
	rc = http_exchange(call->access->http, call->arena, &exchange, &outcome);
	call->result->status = outcome.status;
	call->result->sent = outcome.sent;
	call->result->retry_after_s = outcome.retry_after_s;
	return judge_exchange(call, rc, &outcome);
}
