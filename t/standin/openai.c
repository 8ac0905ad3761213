/*
 * openai.c - OpenAI's Chat Completions: POST /v1/chat/completions, plain and streamed.
 */
#include <string.h>

#include "call.h"

static bool is_authorized(const struct http_request *request, const char *key)
{
	const char *given = http_header(request, "Authorization");

	return given != NULL && strncmp(given, "Bearer ", 7) == 0 && strcmp(given + 7, key) == 0;
}

static void read_schema(struct call *call, struct json_object *format)
{
	const char *type = json_object_get_string(json_object_object_get(format, "type"));

	if (type != NULL && strcmp(type, "json_schema") == 0)
		call->schema = json_object_get(json_object_object_get(json_object_object_get(format, "json_schema"), "schema"));
	else if (type != NULL && strcmp(type, "json_object") == 0)
		call->schema = json_tokener_parse("{\"type\": \"object\"}");
}

static void read_request(struct call *call, struct json_object *request)
{
	struct json_object *messages = json_object_object_get(request, "messages"), *limit;

	for (size_t i = 0; json_object_is_type(messages, json_type_array) && i < json_object_array_length(messages); i++)
		call_add_content(call, json_object_object_get(json_object_array_get_idx(messages, i), "content"));
	limit = json_object_object_get(request, "max_completion_tokens");
	if (limit == NULL)
		limit = json_object_object_get(request, "max_tokens");
	call->max_tokens = (long)json_object_get_int64(limit);
	call->include_usage = json_object_get_boolean(json_object_object_get(json_object_object_get(request, "stream_options"), "include_usage"));
	read_schema(call, json_object_object_get(request, "response_format"));
}

static void print_usage(const struct call *call, struct text *out)
{
	long completion = call_completion_tokens(call);

	text_printf(out,
	            "{\"prompt_tokens\":%ld,\"completion_tokens\":%ld,\"total_tokens\":%ld,"
	            "\"prompt_tokens_details\":{\"cached_tokens\":%ld},\"completion_tokens_details\":{\"reasoning_tokens\":0}}",
	            call->prompt_tokens, completion, call->prompt_tokens + completion, call->plan.cached);
}

static const char *finish_reason(const struct call *call)
{
	if (call->plan.finish != NULL)
		return call->plan.finish;
	return call_cut_short(call) ? "length" : "stop";
}

static void print_head(const struct call *call, const char *object, struct text *out)
{
	text_printf(out, "{\"id\":\"chatcmpl-standin-%ld\",\"object\":\"%s\",\"created\":1790000000,\"model\":", call->number, object);
	text_json(out, call->model, strlen(call->model));
}

static void print_plain(const struct call *call, const char *reply, size_t n, struct text *out)
{
	print_head(call, "chat.completion", out);
	text_puts(out, ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
	text_json(out, reply, n);
	text_printf(out, ",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"%s\"}]", finish_reason(call));
	if (!call->plan.nousage) {
		text_puts(out, ",\"usage\":");
		print_usage(call, out);
	}
	text_puts(out, "}\n");
}

static const char *null_usage(const struct call *call)
{
	return call->include_usage ? ",\"usage\":null" : "";
}

static void print_open(const struct call *call, struct text *out)
{
	text_puts(out, "data: ");
	print_head(call, "chat.completion.chunk", out);
	text_puts(out, ",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}");
	text_printf(out, ",\"logprobs\":null,\"finish_reason\":null}]%s}\n\n", null_usage(call));
}

static void print_piece(const struct call *call, const char *piece, size_t n, struct text *out)
{
	text_puts(out, "data: ");
	print_head(call, "chat.completion.chunk", out);
	text_puts(out, ",\"choices\":[{\"index\":0,\"delta\":{\"content\":");
	text_json(out, piece, n);
	text_printf(out, "},\"logprobs\":null,\"finish_reason\":null}]%s}\n\n", null_usage(call));
}

static void print_close(const struct call *call, struct text *out)
{
	text_puts(out, "data: ");
	print_head(call, "chat.completion.chunk", out);
	text_printf(out, ",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"%s\"}]%s}\n\n", finish_reason(call),
	            null_usage(call));
	if (call->include_usage && !call->plan.nousage) {
		text_puts(out, "data: ");
		print_head(call, "chat.completion.chunk", out);
		text_puts(out, ",\"choices\":[],\"usage\":");
		print_usage(call, out);
		text_puts(out, "}\n\n");
	}
	text_puts(out, "data: [DONE]\n\n");
}

static void print_error(int status, const char *message, struct text *out)
{
	text_puts(out, "{\"error\":{\"message\":");
	text_json(out, message, strlen(message));
	text_printf(out, ",\"type\":\"%s\",\"param\":null,\"code\":%s}}\n", status >= 500 ? "server_error" : "invalid_request_error",
	            status == 401 ? "\"invalid_api_key\"" : "null");
}

const struct protocol openai_protocol = {
	.path = "/v1/chat/completions",
	.authorized = is_authorized,
	.read = read_request,
	.print_plain = print_plain,
	.print_open = print_open,
	.print_piece = print_piece,
	.print_close = print_close,
	.print_error = print_error,
};
