/*
 * anthropic.c - the Messages API, plain and streamed. System messages stand apart from the conversation, usage comes in parts, and JSON is
 * asked for by its schema where model and schema allow it, in words where not.
 */
#include "provider/anthropic.h"

#include <string.h>

#include "base/str.h"
#include "provider/anthropic_schema.h"
#include "provider/call.h"
#include "provider/usage.h"

/* What the models differ in. */
struct family {
	const char *prefix; /* of the model's name */
	bool samples;       /* takes temperature and top_p (one of them, never both); others refuse a request that names either */
	bool structures;    /* takes a schema for its output */
};

/* The first that fits; the last is for all that came later. */
static const struct family families[] = {
	{"claude-3", true, false},        {"claude-haiku-4", true, true},    {"claude-sonnet-4-5", true, true}, {"claude-sonnet-4-6", true, true},
	{"claude-sonnet-4", true, false}, {"claude-opus-4-0", true, false},  {"claude-opus-4-1", true, false},  {"claude-opus-4-202", true, false},
	{"claude-opus-4-5", true, true},  {"claude-opus-4-6", true, true},   {"", false, true},
};

/* One generation, beside its call. */
struct dialogue {
	struct usage_parts parts;
};

static const struct family *find_family(const char *model)
{
	size_t i = 0;

	while (!str_starts(model, families[i].prefix))
		i++;
	return &families[i];
}

static bool wants_json(const struct provider_request *request)
{
	return request->json || request->output != NULL;
}

/* All system messages, with an empty line between them, and the wish for JSON last, where it is in words. */
static void gather_system(struct buf *system, const struct provider_request *request, bool words)
{
	for (size_t i = 0; i < request->messages->count; i++) {
		const struct message *message = &request->messages->items[i];

		if (message->role != ROLE_SYSTEM || message->len == 0)
			continue;
		buf_puts(system, system->len == 0 ? "" : "\n\n");
		buf_add(system, message->text, message->len);
	}
	if (!words)
		return;
	buf_puts(system, system->len == 0 ? "" : "\n\n");
	call_ask_for_json(system, request->output);
}

/* All that is said between the two; an empty message would be refused. One place is left free. */
static enum rc pick_dialogue(struct arena *arena, const struct messages *given, struct messages *picked)
{
	*picked = (struct messages){.items = arena_array(arena, given->count + 1, sizeof *picked->items)};
	if (picked->items == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < given->count; i++)
		if (given->items[i].role != ROLE_SYSTEM && given->items[i].len > 0)
			picked->items[picked->count++] = given->items[i];
	return RC_OK;
}

/* A conversation has to begin with its user: where there are instructions alone, they are what the user says. */
static void write_dialogue(struct buf *body, struct buf *system, struct messages *dialogue)
{
	if (dialogue->count == 0) {
		dialogue->items[dialogue->count++] = (struct message){.role = ROLE_USER, .text = buf_text(system), .len = system->len};
	} else if (system->len > 0) {
		buf_puts(body, ",\"system\":");
		buf_json_string(body, buf_text(system), system->len);
	}
	buf_puts(body, ",\"messages\":");
	message_write(body, dialogue, true);
}

static void write_sampling(struct buf *body, const struct provider_request *request, bool takes)
{
	buf_puts(body, ",\"max_tokens\":");
	buf_int(body, request->max_tokens);
	if (takes && request->temperature >= 0) {
		buf_puts(body, ",\"temperature\":");
		value_write_number(body, request->temperature > 1 ? 1 : request->temperature);
	} else if (takes && request->top_p >= 0) {
		buf_puts(body, ",\"top_p\":");
		value_write_number(body, request->top_p);
	}
	if (request->stop != NULL) {
		buf_puts(body, ",\"stop_sequences\":");
		value_write(body, request->stop, 0);
	}
}

static void write_format(struct buf *body, const struct value *schema)
{
	if (schema == NULL)
		return;
	buf_puts(body, ",\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":");
	value_write(body, schema, 0);
	buf_puts(body, "}}");
}

static void write_body(struct buf *body, const struct call *call)
{
	const struct provider_request *request = call->request;
	const struct family *family = find_family(request->model);
	const struct value *schema = family->structures ? anthropic_schema(call->arena, request->output) : NULL;
	struct messages dialogue;
	struct buf system;

	buf_init(&system, call->arena, CALL_BODY_MAX);
	gather_system(&system, request, wants_json(request) && schema == NULL);
	if (system.rc != RC_OK || pick_dialogue(call->arena, request->messages, &dialogue) != RC_OK) {
		body->rc = RC_NOMEM;
		return;
	}
	buf_puts(body, "{\"model\":");
	buf_json_string(body, request->model, strlen(request->model));
	write_sampling(body, request, family->samples);
	write_format(body, schema);
	write_dialogue(body, &system, &dialogue);
	buf_puts(body, request->stream ? ",\"stream\":true}" : "}");
}

static void take_stop(struct call *call, const struct value *reason)
{
	const char *text = value_text(reason, NULL);

	if (text == NULL)
		return;
	call->result->stop = str_eq(text, "end_turn") || str_eq(text, "stop_sequence") ? STOP_END
	                   : str_eq(text, "max_tokens") || str_eq(text, "model_context_window_exceeded") ? STOP_LENGTH
	                   : str_eq(text, "refusal") ? STOP_FILTER
	                                             : STOP_OTHER;
	call->complete = true;
}

static void take_usage(struct call *call, const struct value *usage, bool last)
{
	struct dialogue *dialogue = call->protocol;

	if (usage != NULL && usage->type == VALUE_OBJECT)
		usage_read_anthropic(usage, last, &dialogue->parts, &call->result->usage);
}

/* Blocks that are no text (thinking, tools) are none of the answer. */
static enum rc gather_text(const struct value *blocks, struct buf *text)
{
	for (size_t i = 0; blocks != NULL && blocks->type == VALUE_ARRAY && i < blocks->u.array.count; i++) {
		const struct value *part = value_get(blocks->u.array.items[i], "text");

		if (str_eq(value_text(value_get(blocks->u.array.items[i], "type"), ""), "text") && part != NULL && part->type == VALUE_STRING)
			buf_add(text, part->u.string.text, part->u.string.len);
	}
	return text->rc;
}

static enum rc take_message(struct call *call, const struct value *message)
{
	const char *bytes;
	struct buf text;
	size_t n;

	take_usage(call, value_get(message, "usage"), true);
	take_stop(call, value_get(message, "stop_reason"));
	buf_init(&text, call->scratch, PROVIDER_ANSWER_MAX);
	if (gather_text(value_get(message, "content"), &text) != RC_OK)
		return call_fail(call, FAULT_OURS, text.rc, "out of memory");
	bytes = buf_text(&text);
	n = text.len;
	call_unfence(call, &bytes, &n);
	call->complete = call->complete || n > 0;
	return call_deliver(call, bytes, n);
}

static enum rc take_streamed(struct call *call, const char *type, const struct value *event)
{
	if (str_eq(type, "message_start")) {
		take_usage(call, value_get(value_get(event, "message"), "usage"), false);
	} else if (str_eq(type, "content_block_start")) {
		return call_deliver_value(call, value_get(value_get(event, "content_block"), "text"));
	} else if (str_eq(type, "content_block_delta")) {
		return call_deliver_value(call, value_get(value_get(event, "delta"), "text"));
	} else if (str_eq(type, "message_delta")) {
		take_usage(call, value_get(event, "usage"), true);
		take_stop(call, value_get(value_get(event, "delta"), "stop_reason"));
	} else if (str_eq(type, "message_stop")) {
		call->complete = true;
		return RC_DONE;
	}
	return RC_OK;
}

static enum rc take_json(struct call *call, const char *text, size_t n)
{
	struct value *object;
	const char *type;
	enum rc rc = call_parse(call, text, n, &object);

	if (rc != RC_OK)
		return rc;
	type = value_text(value_get(object, "type"), "");
	if (str_eq(type, "error"))
		return call_fail(call, FAULT_UPSTREAM, RC_UNAVAILABLE, "error in place of an answer");
	return call->request->stream ? take_streamed(call, type, object) : take_message(call, object);
}

static enum rc take_event(void *user, const struct sse_event *event)
{
	return take_json(user, event->data, event->len);
}

static enum rc finish(struct call *call)
{
	enum rc rc = call->request->stream ? RC_OK : take_json(call, buf_text(&call->answer), call->answer.len);

	if (rc == RC_OK && !call->complete)
		rc = call_fail(call, FAULT_BROKEN, RC_PROTOCOL, "answer without end");
	if (rc == RC_OK && call->result->stop == STOP_NONE)
		call->result->stop = STOP_OTHER;
	return rc;
}

enum rc anthropic_generate(const struct provider_access *access, struct arena *arena, const struct provider_request *request,
                           struct provider_result *result)
{
	struct http_header headers[4] = {{"Content-Type", "application/json"}, {"anthropic-version", "2023-06-01"}};
	size_t count = 2;
	struct dialogue dialogue = {.parts = {0}};
	struct call call;
	struct buf body;
	enum rc rc;

	call_begin(&call, access, arena, request, result);
	call.protocol = &dialogue;
	call.on_event = take_event;
	if (request->request_id != NULL)
		headers[count++] = (struct http_header){"X-Client-Request-Id", request->request_id};
	if (access->api_key != NULL)
		headers[count++] = (struct http_header){"x-api-key", access->api_key};
	buf_init(&body, arena, CALL_BODY_MAX);
	write_body(&body, &call);
	rc = call_post(&call, "/v1/messages", headers, count, &body);
	return rc == RC_OK ? finish(&call) : rc;
}
