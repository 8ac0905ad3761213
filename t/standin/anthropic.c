/*
 * anthropic.c - Anthropic's messages: POST /v1/messages, plain and streamed.
 */
#include <string.h>

#include "call.h"

static bool is_authorized(const struct http_request *request, const char *key)
{
	const char *given = http_header(request, "x-api-key");

	return given != NULL && strcmp(given, key) == 0;
}

static struct json_object *find_tool_schema(struct json_object *tools, const char *name)
{
	for (size_t i = 0; json_object_is_type(tools, json_type_array) && i < json_object_array_length(tools); i++) {
		struct json_object *tool = json_object_array_get_idx(tools, i);
		const char *its_name = json_object_get_string(json_object_object_get(tool, "name"));

		if (its_name != NULL && strcmp(its_name, name) == 0)
			return json_object_object_get(tool, "input_schema");
	}
	return NULL;
}

/* The answer's schema: of the tool that must be used, or of the output format. */
static void read_schema(struct call *call, struct json_object *request)
{
	struct json_object *tool = json_object_object_get(json_object_object_get(request, "tool_choice"), "name");
	struct json_object *format = json_object_object_get(request, "output_format");

	if (tool != NULL) {
		call->tool = take_copy(json_object_get_string(tool), (size_t)json_object_get_string_len(tool));
		call->schema = json_object_get(find_tool_schema(json_object_object_get(request, "tools"), call->tool));
		return;
	}
	if (format == NULL)
		format = json_object_object_get(json_object_object_get(request, "output_config"), "format");
	call->schema = json_object_get(json_object_object_get(format, "schema"));
}

static void read_request(struct call *call, struct json_object *request)
{
	struct json_object *messages = json_object_object_get(request, "messages");

	call_add_content(call, json_object_object_get(request, "system"));
	for (size_t i = 0; json_object_is_type(messages, json_type_array) && i < json_object_array_length(messages); i++)
		call_add_content(call, json_object_object_get(json_object_array_get_idx(messages, i), "content"));
	call->max_tokens = (long)json_object_get_int64(json_object_object_get(request, "max_tokens"));
	read_schema(call, request);
}

static const char *stop_reason(const struct call *call)
{
	if (call->plan.finish != NULL)
		return call->plan.finish;
	if (call_cut_short(call))
		return "max_tokens";
	return call->tool != NULL ? "tool_use" : "end_turn";
}

/* Anthropic's input_tokens are those not read from its cache. */
static void print_usage(const struct call *call, long output, struct text *out)
{
	text_printf(out, "{\"input_tokens\":%ld,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":%ld,\"output_tokens\":%ld}",
	            call->prompt_tokens - call->plan.cached, call->plan.cached, output);
}

static void print_message_head(const struct call *call, struct text *out)
{
	text_printf(out, "{\"id\":\"msg_standin_%ld\",\"type\":\"message\",\"role\":\"assistant\",\"model\":", call->number);
	text_json(out, call->model, strlen(call->model));
}

static void print_block_head(const struct call *call, struct text *out)
{
	if (call->tool == NULL) {
		text_puts(out, "{\"type\":\"text\",\"text\":");
		return;
	}
	text_printf(out, "{\"type\":\"tool_use\",\"id\":\"toolu_standin_%ld\",\"name\":", call->number);
	text_json(out, call->tool, strlen(call->tool));
	text_puts(out, ",\"input\":");
}

static void print_plain(const struct call *call, const char *reply, size_t n, struct text *out)
{
	print_message_head(call, out);
	text_puts(out, ",\"content\":[");
	print_block_head(call, out);
	if (call->tool == NULL)
		text_json(out, reply, n);
	else
		text_add(out, reply, n);
	text_printf(out, "}],\"stop_reason\":\"%s\",\"stop_sequence\":null", stop_reason(call));
	if (!call->plan.nousage) {
		text_puts(out, ",\"usage\":");
		print_usage(call, call_completion_tokens(call), out);
	}
	text_puts(out, "}\n");
}

static void print_open(const struct call *call, struct text *out)
{
	text_puts(out, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
	print_message_head(call, out);
	text_puts(out, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null");
	if (!call->plan.nousage) {
		text_puts(out, ",\"usage\":");
		print_usage(call, 1, out);
	}
	text_puts(out, "}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":");
	print_block_head(call, out);
	text_puts(out, call->tool != NULL ? "{}" : "\"\"");
	text_puts(out, "}}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n");
}

static void print_piece(const struct call *call, const char *piece, size_t n, struct text *out)
{
	text_puts(out, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":");
	text_puts(out, call->tool != NULL ? "\"input_json_delta\",\"partial_json\":" : "\"text_delta\",\"text\":");
	text_json(out, piece, n);
	text_puts(out, "}}\n\n");
}

static void print_close(const struct call *call, struct text *out)
{
	text_puts(out, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n");
	text_printf(out, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":null}",
	            stop_reason(call));
	if (!call->plan.nousage) {
		text_puts(out, ",\"usage\":");
		print_usage(call, call_completion_tokens(call), out);
	}
	text_puts(out, "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

static const char *error_type(int status)
{
	switch (status) {
	case 401:
		return "authentication_error";
	case 429:
		return "rate_limit_error";
	case 529:
		return "overloaded_error";
	default:
		return status >= 500 ? "api_error" : "invalid_request_error";
	}
}

static void print_error(int status, const char *message, struct text *out)
{
	text_printf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", error_type(status));
	text_json(out, message, strlen(message));
	text_puts(out, "}}\n");
}

const struct protocol anthropic_protocol = {
	.path = "/v1/messages",
	.authorized = is_authorized,
	.read = read_request,
	.print_plain = print_plain,
	.print_open = print_open,
	.print_piece = print_piece,
	.print_close = print_close,
	.print_error = print_error,
};
