/*
 * openai.c - Chat Completions, plain and streamed. What OpenAI's model families differ in stands in one table.
 */
#include "provider/openai.h"

#include <string.h>

#include "base/str.h"
#include "provider/call.h"
#include "provider/usage.h"

#define BEARER_MAX (64u * 1024u)
#define DONE "[DONE]"                          /* what a stream ends with */

/* How a family is told that JSON is wanted: by a schema, by a mode, by words alone. */
enum json_form { JSON_SCHEMA, JSON_OBJECT, JSON_WORDS };

struct family {
	const char *prefix; /* of the model's name */
	bool reasons;       /* refuses temperature, top_p and stop; its cap counts reasoning too, and has another name */
	enum json_form json;
};

/* The first that fits. */
static const struct family families[] = {
	{"gpt-5", true, JSON_SCHEMA},        {"o1", true, JSON_SCHEMA},   {"o3", true, JSON_SCHEMA},      {"o4", true, JSON_SCHEMA},
	{"gpt-4o", false, JSON_SCHEMA},      {"gpt-4.", false, JSON_SCHEMA}, {"gpt-4-turbo", false, JSON_OBJECT}, {"gpt-4", false, JSON_WORDS},
	{"gpt-3.5", false, JSON_OBJECT},     {"", false, JSON_SCHEMA},
};
static const struct family local_family = {"", false, JSON_SCHEMA};

/* One generation, beside its call. */
struct chat {
	const struct family *family;
	bool refused; /* the text is a refusal */
};

/* A fine-tuned model is named "ft:" and the name of what it was made from. */
static const struct family *find_family(const char *model)
{
	size_t i = 0;

	if (str_starts(model, "ft:"))
		model += 3;
	while (!str_starts(model, families[i].prefix))
		i++;
	return &families[i];
}

static enum json_form choose_json(const struct family *family, const struct schema *output)
{
	if (output != NULL && family->json == JSON_SCHEMA && schema_strict(output) != NULL)
		return JSON_SCHEMA;
	if (family->json == JSON_WORDS || (output != NULL && !str_eq(value_text(value_get(schema_json(output), "type"), "object"), "object")))
		return JSON_WORDS;
	return JSON_OBJECT;
}

/* The mode alone is refused where no message speaks of JSON. */
static enum rc write_messages(struct buf *body, const struct call *call, bool instruct)
{
	const struct messages *given = call->request->messages;
	struct messages all = {.count = given->count + 1};
	struct buf instruction;

	if (!instruct)
		return message_write(body, given, true);
	buf_init(&instruction, call->arena, PROVIDER_TEXT_MAX);
	all.items = arena_array(call->arena, all.count, sizeof *all.items);
	if (all.items == NULL || call_ask_for_json(&instruction, call->request->output) != RC_OK)
		return body->rc = RC_NOMEM;
	all.items[0] = (struct message){.role = ROLE_SYSTEM, .text = buf_text(&instruction), .len = instruction.len};
	for (size_t i = 0; i < given->count; i++)
		all.items[i + 1] = given->items[i];
	return message_write(body, &all, true);
}

static void write_sampling(struct buf *body, const struct provider_request *request, const struct family *family)
{
	buf_puts(body, family->reasons ? ",\"max_completion_tokens\":" : ",\"max_tokens\":");
	buf_int(body, request->max_tokens);
	if (family->reasons)
		return;
	if (request->temperature >= 0) {
		buf_puts(body, ",\"temperature\":");
		value_write_number(body, request->temperature);
	}
	if (request->top_p >= 0) {
		buf_puts(body, ",\"top_p\":");
		value_write_number(body, request->top_p);
	}
	if (request->stop != NULL) {
		buf_puts(body, ",\"stop\":");
		value_write(body, request->stop, 0);
	}
}

static void write_format(struct buf *body, const struct provider_request *request, enum json_form json)
{
	if (json == JSON_OBJECT)
		buf_puts(body, ",\"response_format\":{\"type\":\"json_object\"}");
	if (json != JSON_SCHEMA)
		return;
	buf_puts(body, ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"output\",\"strict\":true,\"schema\":");
	value_write(body, schema_strict(request->output), 0);
	buf_puts(body, "}}");
}

static void write_body(struct buf *body, const struct call *call)
{
	const struct provider_request *request = call->request;
	const struct chat *chat = call->protocol;
	bool json = request->json || request->output != NULL;
	enum json_form form = json ? choose_json(chat->family, request->output) : JSON_WORDS;

	buf_puts(body, "{\"model\":");
	buf_json_string(body, request->model, strlen(request->model));
	buf_puts(body, ",\"messages\":");
	write_messages(body, call, json && form != JSON_SCHEMA);
	write_sampling(body, request, chat->family);
	write_format(body, request, form);
	if (request->stream)
		buf_puts(body, ",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
	buf_putc(body, '}');
}

static enum stop_reason read_stop(const char *reason)
{
	return str_eq(reason, "stop") ? STOP_END : str_eq(reason, "length") ? STOP_LENGTH : str_eq(reason, "content_filter") ? STOP_FILTER : STOP_OTHER;
}

/* Text, or a list of parts as servers of OpenAI's kin give it: those that are no text (thinking, references) are none of the answer. */
static enum rc take_content(struct call *call, const struct value *content)
{
	const char *text = value_text(content, NULL);
	size_t n = text == NULL ? 0 : content->u.string.len;
	enum rc rc = RC_OK;

	if (!call->request->stream && text != NULL)
		call_unfence(call, &text, &n);
	if (text != NULL || content == NULL || content->type == VALUE_NULL)
		return call_deliver(call, text, n);
	if (content->type != VALUE_ARRAY)
		return call_fail(call, FAULT_BROKEN, RC_PROTOCOL, "content is no text");
	for (size_t i = 0; rc == RC_OK && i < content->u.array.count; i++) {
		const struct value *item = content->u.array.items[i];

		if (str_eq(value_text(value_get(item, "type"), ""), "text"))
			rc = call_deliver_value(call, value_get(item, "text"));
	}
	return rc;
}

/* Of an object, or of a choice in it, as gateways tell that the provider behind them failed. */
static bool has_error(const struct value *object)
{
	const struct value *error = value_get(object, "error");

	return error != NULL && error->type != VALUE_NULL;
}

static enum rc fail_with_error(struct call *call)
{
	return call_fail(call, FAULT_UPSTREAM, RC_UNAVAILABLE, "error in place of an answer");
}

/* `part` is a choice's "message" or "delta". */
static enum rc take_choice(struct call *call, const struct value *choice, const char *part)
{
	const struct value *text = value_get(choice, part), *refusal = value_get(text, "refusal");
	const char *reason = value_text(value_get(choice, "finish_reason"), "");
	struct chat *chat = call->protocol;
	enum rc rc = take_content(call, value_get(text, "content"));

	if (rc == RC_OK && refusal != NULL && refusal->type == VALUE_STRING && refusal->u.string.len > 0) {
		chat->refused = true;
		rc = call_deliver_value(call, refusal);
	}
	if (rc == RC_OK && (has_error(choice) || str_eq(reason, "error")))
		return fail_with_error(call);
	if (*reason != '\0') { /* some write "" for null, with each piece */
		call->result->stop = chat->refused ? STOP_FILTER : read_stop(reason);
		call->complete = true;
	}
	return rc;
}

/* OpenAI tells it once, behind all text. Servers of its kin tell it with each piece, or with the first: no such report counts the text behind it. */
static void take_usage(struct call *call, const struct value *usage, size_t text_before)
{
	if (usage != NULL && usage->type == VALUE_OBJECT)
		usage_read_openai(usage, &call->result->usage);
	else if (call->result->text_bytes > text_before)
		call->result->usage = (struct usage){.reported = false};
}

/* The whole of a plain answer, or one event of a stream: both hold an error, or choices, or usage, or the last two. */
static enum rc take_object(struct call *call, const struct value *object, const char *part)
{
	const struct value *choices = value_get(object, "choices");
	size_t text_before = call->result->text_bytes;
	enum rc rc = RC_OK;

	if (has_error(object))
		rc = fail_with_error(call);
	else if (choices != NULL && choices->type == VALUE_ARRAY && choices->u.array.count > 0)
		rc = take_choice(call, choices->u.array.items[0], part);
	take_usage(call, value_get(object, "usage"), text_before);
	return rc;
}

static enum rc take_json(struct call *call, const char *text, size_t n, const char *part)
{
	struct value *object;
	enum rc rc = call_parse(call, text, n, &object);

	return rc == RC_OK ? take_object(call, object, part) : rc;
}

static enum rc take_event(void *user, const struct sse_event *event)
{
	struct call *call = user;

	if (event->len != strlen(DONE) || memcmp(event->data, DONE, event->len) != 0)
		return take_json(call, event->data, event->len, "delta");
	call->complete = true;
	return RC_DONE;
}

/* Each ends with a reason; a stream that ends with neither a reason nor [DONE] was cut. */
static enum rc finish(struct call *call)
{
	enum rc rc = RC_OK;

	if (!call->request->stream) {
		rc = take_json(call, buf_text(&call->answer), call->answer.len, "message");
		call->complete = call->complete || call->result->text_bytes > 0;
	}
	if (rc == RC_OK && !call->complete)
		rc = call_fail(call, FAULT_BROKEN, RC_PROTOCOL, "answer without end");
	if (rc == RC_OK && call->result->stop == STOP_NONE)
		call->result->stop = STOP_OTHER;
	return rc;
}

static enum rc generate(struct call *call)
{
	const struct provider_access *access = call->access;
	struct http_header headers[3] = {{"Content-Type", "application/json"}};
	size_t count = 1;
	struct buf body, bearer;
	enum rc rc;

	if (call->request->request_id != NULL)
		headers[count++] = (struct http_header){"X-Client-Request-Id", call->request->request_id};
	if (access->api_key != NULL) {
		buf_init(&bearer, call->arena, BEARER_MAX);
		if (buf_strings(&bearer, "Bearer ", access->api_key, NULL) != RC_OK)
			return call_fail(call, FAULT_OURS, bearer.rc, "key cannot be written");
		headers[count++] = (struct http_header){"Authorization", bearer.data};
	}
	buf_init(&body, call->arena, CALL_BODY_MAX);
	write_body(&body, call);
	rc = call_post(call, "/chat/completions", headers, count, &body);
	return rc == RC_OK ? finish(call) : rc;
}

static enum rc generate_as(const struct family *family, const struct provider_access *access, struct arena *arena,
                           const struct provider_request *request, struct provider_result *result)
{
	struct chat chat = {.family = family};
	struct call call;

	call_begin(&call, access, arena, request, result);
	call.protocol = &chat;
	call.on_event = take_event;
	return generate(&call);
}

enum rc openai_generate(const struct provider_access *access, struct arena *arena, const struct provider_request *request,
                        struct provider_result *result)
{
	return generate_as(find_family(request->model), access, arena, request, result);
}

enum rc openai_generate_local(const struct provider_access *access, struct arena *arena, const struct provider_request *request,
                              struct provider_result *result)
{
	return generate_as(&local_family, access, arena, request, result);
}
