/*
 * openai_test.c - Chat Completions, as a server speaks them when it is well, and when it is not.
 */
#include "provider/openai.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "port/json.h"
#include "upstream.h"
#include "unit.h"

#define SECRET "sk-secret-9d1f"

static struct http_pool *pool;
static struct upstream *up;
static struct arena *arena;
static struct provider_access access_;
static struct provider_request request;
static struct provider_result result;
static struct message message_items[] = {{ROLE_SYSTEM, "Be kind.", 8}, {ROLE_USER, "Say \"hi\"", 8}, {ROLE_MODEL, "hi", 2}, {ROLE_USER, "again", 5}};
static struct messages messages = {message_items, 4, 23};

static struct {
	struct buf text;
	unsigned calls, rests, ticks;
	size_t pending; /* bytes of text since the last rest */
	enum rc text_rc, rest_rc, tick_rc;
	int close_fd;
	bool split; /* a piece began or ended within a character */
} seen;

/* What the server does: the head as given, then the texts, with a pause before each but the first. */
static struct {
	const char *head;
	const char *texts[8];
	size_t lens[8]; /* 0: up to the NUL */
	int pause_ms;
	bool chunked, hang, reset;
	char request[65536];
} script;

static void send_piece(struct upstream_conn *conn, const char *text, size_t n)
{
	if (script.chunked)
		upstream_printf(conn, "%zx\r\n", n);
	upstream_send(conn, text, n);
	if (script.chunked)
		upstream_text(conn, "\r\n");
}

static void serve_script(struct upstream_conn *conn, const char *text, void *user)
{
	(void)user;
	snprintf(script.request, sizeof script.request, "%s", text);
	upstream_text(conn, script.head);
	for (size_t i = 0; i < COUNT_OF(script.texts) && script.texts[i] != NULL; i++) {
		if (i > 0)
			upstream_pause(script.pause_ms);
		send_piece(conn, script.texts[i], script.lens[i] != 0 ? script.lens[i] : strlen(script.texts[i]));
	}
	if (script.hang)
		upstream_wait_gone(conn);
	if (script.reset)
		upstream_reset(conn);
	else if (script.chunked)
		upstream_text(conn, "0\r\n\r\n");
	else
		upstream_close(conn);
}

#define STREAM_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
#define DELTA(text) "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"},\"finish_reason\":null}],\"usage\":null}\n\n"
#define FINISH(reason) "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason "\"}]}\n\n"
#define USAGE "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":10,\"total_tokens\":29," \
	"\"prompt_tokens_details\":{\"cached_tokens\":5},\"completion_tokens_details\":{\"reasoning_tokens\":4}}}\n\n"
#define DONE "data: [DONE]\n\n"

static enum rc take_text(void *user, const char *text, size_t n)
{
	(void)user;
	seen.calls++;
	seen.pending += n;
	seen.split = seen.split || !str_utf8_valid(text, n);
	buf_add(&seen.text, text, n);
	if (seen.close_fd != 0)
		close(seen.close_fd);
	seen.close_fd = 0;
	return seen.text_rc;
}

static enum rc take_rest(void *user)
{
	(void)user;
	ck_assert_uint_gt(seen.pending, 0);
	seen.rests++;
	seen.pending = 0;
	return seen.rest_rc;
}

static enum rc take_tick(void *user)
{
	(void)user;
	seen.ticks++;
	return seen.tick_rc;
}

static void set_up(void)
{
	struct http_settings settings = {.user_agent = "test/1", .keep = 4, .connect_timeout_ms = 2000};

	memset(&seen, 0, sizeof seen);
	memset(&script, 0, sizeof script);
	up = upstream_new(serve_script, NULL, NULL);
	ck_assert_int_eq(http_pool_new(&settings, &pool), RC_OK);
	arena = arena_new(32 << 20);
	buf_init(&seen.text, arena, 4 << 20);
	access_ = (struct provider_access){.provider = provider_find("openai"), .http = pool, .api_key = SECRET};
	access_.base_url = arena_printf(arena, "http://127.0.0.1:%d/v1", upstream_port(up));
	request = (struct provider_request){
		.model = "gpt-4o-mini",
		.messages = &messages,
		.temperature = 0.7,
		.top_p = -1,
		.max_tokens = 100,
		.request_id = "req_test",
		.deadline_us = clock_us() + 30000000,
		.watch_fd = -1,
		.on_text = take_text,
		.on_rest = take_rest,
		.on_tick = take_tick,
	};
}

static void tear_down(void)
{
	http_pool_free(pool);
	upstream_stop_all();
	arena_free(arena);
}

static enum rc generate(void)
{
	enum rc rc = access_.provider->generate(&access_, arena, &request, &result);

	upstream_settle(up);
	ck_assert_int_eq(rc == RC_OK, result.fault == FAULT_NONE);
	ck_assert_uint_le(result.text_bytes, seen.text.len);
	ck_assert_ptr_nonnull(result.detail);
	ck_assert_ptr_null(strstr(result.detail, SECRET));
	ck_assert(!seen.split);
	ck_assert(rc != RC_OK || !request.stream || seen.pending == 0);
	return rc;
}

/* A plain answer with this body. */
static enum rc plain(const char *body, size_t n)
{
	script.head = arena_printf(arena, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", n);
	script.texts[0] = body;
	script.lens[0] = n;
	return generate();
}

static void begin_stream(void)
{
	request.stream = true;
	script.head = STREAM_HEAD;
	script.chunked = true;
}

static enum rc stream(const char *text)
{
	begin_stream();
	script.texts[0] = text;
	script.texts[1] = NULL;
	script.lens[0] = 0;
	return generate();
}

static const struct value *body_sent(void)
{
	const char *body = strstr(script.request, "\r\n\r\n");
	struct value *value = NULL;

	ck_assert_ptr_nonnull(body);
	ck_assert_int_eq(json_parse(arena, body + 4, strlen(body + 4), &value, NULL), RC_OK);
	return value;
}

static const char *json_of(const struct value *value)
{
	struct buf buf;

	buf_init(&buf, arena, 1 << 20);
	ck_assert_int_eq(value_write(&buf, value, 0), RC_OK);
	return buf_text(&buf);
}

#define PLAIN \
	"{\"id\":\"x\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Dear {couple_name}, gr\xC3\xBC\xC3\x9F\x65\"}," \
	"\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":10,\"total_tokens\":29," \
	"\"prompt_tokens_details\":{\"cached_tokens\":5,\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":4}}}"

START_TEST(a_plain_answer_is_read)
{
	ck_assert_int_eq(plain(PLAIN, strlen(PLAIN)), RC_OK);
	ck_assert_str_eq(buf_text(&seen.text), "Dear {couple_name}, gr\xC3\xBC\xC3\x9F\x65");
	ck_assert_uint_eq(seen.calls, 1);
	ck_assert_uint_eq(result.text_bytes, seen.text.len);
	ck_assert_int_eq(result.stop, STOP_END);
	ck_assert_int_eq(result.status, 200);
	ck_assert(result.sent);
	ck_assert_int_gt(result.first_text_us, 0);
	ck_assert(result.usage.reported);
	ck_assert_int_eq(result.usage.prompt, 19);
	ck_assert_int_eq(result.usage.cached, 5);
	ck_assert_int_eq(result.usage.completion, 10);
	ck_assert_int_eq(result.usage.reasoning, 4);
}
END_TEST

START_TEST(the_request_is_what_the_protocol_wants)
{
	const struct value *body;

	ck_assert_int_eq(plain(PLAIN, strlen(PLAIN)), RC_OK);
	ck_assert(str_starts(script.request, "POST /v1/chat/completions HTTP/1.1\r\n"));
	ck_assert_ptr_nonnull(strstr(script.request, "\r\nAuthorization: Bearer " SECRET "\r\n"));
	ck_assert_ptr_nonnull(strstr(script.request, "\r\nContent-Type: application/json\r\n"));
	ck_assert_ptr_nonnull(strstr(script.request, "\r\nX-Client-Request-Id: req_test\r\n"));
	body = body_sent();
	ck_assert_str_eq(json_of(body), "{\"model\":\"gpt-4o-mini\",\"messages\":[{\"role\":\"system\",\"content\":\"Be kind.\"},"
		"{\"role\":\"user\",\"content\":\"Say \\\"hi\\\"\"},{\"role\":\"assistant\",\"content\":\"hi\"},{\"role\":\"user\",\"content\":\"again\"}],"
		"\"max_tokens\":100,\"temperature\":0.7}");
}
END_TEST

START_TEST(sampling_goes_out_where_the_family_takes_it)
{
	struct value *stop = value_array(arena);
	const struct value *body;

	ck_assert_int_eq(value_push(arena, stop, value_string(arena, "END", 3)), RC_OK);
	request.stop = stop;
	request.top_p = 0.5;
	request.model = "ft:gpt-4o-mini:acme::1";
	ck_assert_int_eq(plain(PLAIN, strlen(PLAIN)), RC_OK);
	body = body_sent();
	ck_assert_str_eq(json_of(value_get(body, "stop")), "[\"END\"]");
	ck_assert_str_eq(json_of(value_get(body, "top_p")), "0.5");
	request.temperature = request.top_p = 0; /* which is not the provider's own choice */
	ck_assert_int_eq(plain(PLAIN, strlen(PLAIN)), RC_OK);
	ck_assert_str_eq(json_of(value_get(body_sent(), "temperature")), "0");
	ck_assert_str_eq(json_of(value_get(body_sent(), "top_p")), "0");
	request.temperature = request.top_p = -1;
	ck_assert_int_eq(plain(PLAIN, strlen(PLAIN)), RC_OK);
	ck_assert_ptr_null(value_get(body_sent(), "temperature"));
	ck_assert_ptr_null(value_get(body_sent(), "top_p"));
}
END_TEST

START_TEST(reasoning_families_get_their_own_members)
{
	static const char *const models[] = {"gpt-5-mini", "gpt-5.4", "o1", "o3-mini", "o4-mini", "ft:o4-mini:acme::1"};

	for (size_t i = 0; i < COUNT_OF(models); i++) {
		const struct value *body;

		request.model = models[i];
		request.top_p = 0.5;
		ck_assert_int_eq(plain(PLAIN, strlen(PLAIN)), RC_OK);
		body = body_sent();
		ck_assert_str_eq(json_of(value_get(body, "max_completion_tokens")), "100");
		ck_assert_ptr_null(value_get(body, "max_tokens"));
		ck_assert_ptr_null(value_get(body, "temperature"));
		ck_assert_ptr_null(value_get(body, "top_p"));
	}
	access_.provider = provider_find("local");
	access_.api_key = NULL;
	ck_assert_int_eq(plain(PLAIN, strlen(PLAIN)), RC_OK);
	ck_assert_ptr_nonnull(value_get(body_sent(), "temperature"));
	ck_assert_ptr_nonnull(value_get(body_sent(), "max_tokens"));
	ck_assert_ptr_null(strstr(script.request, "Authorization"));
}
END_TEST

static const struct schema *schema_of(const char *json)
{
	struct diagnostics list;
	struct schema *schema = NULL;
	struct value *source;

	diagnostics_init(&list, arena, "test");
	ck_assert_int_eq(json_parse(arena, json, strlen(json), &source, NULL), RC_OK);
	ck_assert_int_eq(schema_load_json(arena, source, &schema, &list), RC_OK);
	return schema;
}

#define OBJECT_SCHEMA "{\"type\":\"object\",\"properties\":{\"title\":{\"type\":\"string\"}},\"required\":[\"title\"],\"additionalProperties\":false}"

static const struct value *format_sent(const char *model, const struct schema *schema)
{
	request.model = model;
	request.output = schema;
	request.json = true;
	ck_assert_int_eq(plain(PLAIN, strlen(PLAIN)), RC_OK);
	return value_get(body_sent(), "response_format");
}

START_TEST(a_schema_goes_out_in_the_strict_form)
{
	const struct value *format = format_sent("gpt-4o-mini", schema_of(OBJECT_SCHEMA));
	const struct value *inner = value_get(format, "json_schema");

	ck_assert_str_eq(value_text(value_get(format, "type"), ""), "json_schema");
	ck_assert_str_eq(json_of(value_get(inner, "strict")), "true");
	ck_assert_str_eq(json_of(value_get(value_get(inner, "schema"), "required")), "[\"title\"]");
	ck_assert_uint_eq(value_get(body_sent(), "messages")->u.array.count, 4);
}
END_TEST

/* What the first message says where words have to do. */
static const char *instruction_sent(void)
{
	const struct value *list = value_get(body_sent(), "messages");

	ck_assert_uint_eq(list->u.array.count, 5);
	ck_assert_str_eq(value_text(value_get(list->u.array.items[0], "role"), ""), "system");
	return value_text(value_get(list->u.array.items[0], "content"), "");
}

START_TEST(json_is_asked_for_in_words_where_no_form_fits)
{
	const struct schema *object = schema_of(OBJECT_SCHEMA);

	ck_assert_str_eq(json_of(format_sent("gpt-3.5-turbo", object)), "{\"type\":\"json_object\"}");
	ck_assert_ptr_nonnull(strstr(instruction_sent(), "\"title\""));
	ck_assert_str_eq(json_of(format_sent("gpt-4-turbo-2024-04-09", object)), "{\"type\":\"json_object\"}");
	ck_assert_ptr_null(format_sent("gpt-4", object));
	ck_assert_ptr_nonnull(strstr(instruction_sent(), "JSON"));
	ck_assert_ptr_null(format_sent("gpt-4-0613", object));
	ck_assert_str_eq(json_of(format_sent("gpt-4o-mini", NULL)), "{\"type\":\"json_object\"}");
	ck_assert_ptr_nonnull(strstr(instruction_sent(), "JSON"));
	ck_assert_str_eq(value_text(value_get(format_sent("gpt-4.1", object), "type"), ""), "json_schema");
	ck_assert_ptr_null(format_sent("gpt-4-turbo", schema_of("{\"type\":\"array\",\"items\":{\"type\":\"string\"}}")));
}
END_TEST

START_TEST(stop_reasons_have_their_names)
{
	static const struct {
		const char *reason;
		enum stop_reason stop;
	} reasons[] = {
		{"\"stop\"", STOP_END}, {"\"length\"", STOP_LENGTH}, {"\"content_filter\"", STOP_FILTER}, {"\"tool_calls\"", STOP_OTHER}, {"null", STOP_OTHER},
	};

	for (size_t i = 0; i < COUNT_OF(reasons); i++) {
		const char *body = arena_printf(arena, "{\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":%s}]}", reasons[i].reason);

		ck_assert_int_eq(plain(body, strlen(body)), RC_OK);
		ck_assert_int_eq(result.stop, reasons[i].stop);
		ck_assert(!result.usage.reported);
	}
}
END_TEST

START_TEST(a_refusal_is_text_that_was_held_back)
{
	const char *body = "{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"I cannot.\"},\"finish_reason\":\"stop\"}]}";

	ck_assert_int_eq(plain(body, strlen(body)), RC_OK);
	ck_assert_int_eq(result.stop, STOP_FILTER);
	ck_assert_str_eq(buf_text(&seen.text), "I cannot.");
	body = "{\"choices\":[{\"message\":{\"content\":\"x\",\"refusal\":\"\"},\"finish_reason\":\"stop\"}],\"error\":null}"; /* as some of its kin say that there is none */
	ck_assert_int_eq(plain(body, strlen(body)), RC_OK);
	ck_assert_int_eq(result.stop, STOP_END);
	buf_clear(&seen.text);
	ck_assert_int_eq(stream("data: {\"choices\":[{\"delta\":{\"refusal\":\"No.\"}}]}\n\n" FINISH("stop") DONE), RC_OK);
	ck_assert_int_eq(result.stop, STOP_FILTER);
	ck_assert_str_eq(buf_text(&seen.text), "No.");
}
END_TEST

/* As servers of the protocol's kin give it that think, or cite: the text alone is the answer. */
START_TEST(text_may_come_in_parts)
{
	static const char parts[] = "[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"hm\"}]},{\"type\":\"text\",\"text\":\"Dear \"},"
				    "{\"type\":\"reference\",\"reference_ids\":[1]},7,{\"type\":\"text\"},{\"type\":\"text\",\"text\":\"couple\"}]";
	const char *body = arena_printf(arena, "{\"choices\":[{\"message\":{\"content\":%s},\"finish_reason\":\"stop\"}]}", parts);

	ck_assert_int_eq(plain(body, strlen(body)), RC_OK);
	ck_assert_str_eq(buf_text(&seen.text), "Dear couple");
	ck_assert_uint_eq(result.text_bytes, 11);
	buf_clear(&seen.text);
	ck_assert_int_eq(stream(arena_printf(arena, "data: {\"choices\":[{\"delta\":{\"content\":%s}}]}\n\n" FINISH("stop") DONE, parts)), RC_OK);
	ck_assert_str_eq(buf_text(&seen.text), "Dear couple");
}
END_TEST

START_TEST(nonsense_is_no_usage)
{
	static const char *const usages[] = {
		"{}", "{\"prompt_tokens\":5}", "{\"completion_tokens\":5}", "{\"prompt_tokens\":5,\"completion_tokens\":null}",
		"{\"prompt_tokens\":-1,\"completion_tokens\":5}", "{\"prompt_tokens\":5,\"completion_tokens\":-1}",
		"{\"prompt_tokens\":\"5\",\"completion_tokens\":5}", "{\"prompt_tokens\":5.5,\"completion_tokens\":5}",
		"{\"prompt_tokens\":99999999999,\"completion_tokens\":5}", "{\"prompt_tokens\":5,\"completion_tokens\":99999999999}",
		"{\"prompt_tokens\":5,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":6}}",
		"{\"prompt_tokens\":5,\"completion_tokens\":5,\"completion_tokens_details\":{\"reasoning_tokens\":6}}",
		"{\"prompt_tokens\":5,\"completion_tokens\":5,\"completion_tokens_details\":{\"reasoning_tokens\":-6}}",
		"{\"prompt_tokens\":5,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":-2}}",
		"{\"prompt_tokens\":5,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":\"2\"}}", "[1,2]", "7", "null",
	};

	for (size_t i = 0; i < COUNT_OF(usages); i++) {
		const char *body = arena_printf(arena, "{\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}],\"usage\":%s}", usages[i]);

		ck_assert_int_eq(plain(body, strlen(body)), RC_OK);
		ck_assert_msg(!result.usage.reported, "%s", usages[i]);
		ck_assert_int_eq(result.usage.prompt, 0);
		ck_assert_int_eq(result.usage.completion, 0);
	}
}
END_TEST

START_TEST(json_is_taken_out_of_its_fence)
{
	const char *body = "{\"choices\":[{\"message\":{\"content\":\"```json\\n{\\\"a\\\":1}\\n```\\n\"},\"finish_reason\":\"stop\"}]}";

	ck_assert_int_eq(plain(body, strlen(body)), RC_OK);
	ck_assert_str_eq(buf_text(&seen.text), "```json\n{\"a\":1}\n```\n"); /* a text may begin and end so */
	buf_clear(&seen.text);
	request.json = true;
	ck_assert_int_eq(plain(body, strlen(body)), RC_OK);
	ck_assert_str_eq(buf_text(&seen.text), "{\"a\":1}\n");
}
END_TEST

/* Some count what was reasoned beside the completion, with or without saying so: their total tells. */
START_TEST(a_total_beyond_its_parts_is_completion)
{
	static const struct {
		const char *usage;
		int64_t completion;
	} usages[] = {
		{"{\"prompt_tokens\":32,\"completion_tokens\":9,\"total_tokens\":135,\"completion_tokens_details\":{\"reasoning_tokens\":94}}", 103},
		{"{\"prompt_tokens\":20,\"completion_tokens\":198,\"total_tokens\":623}", 603},
		{"{\"prompt_tokens\":20,\"completion_tokens\":198,\"total_tokens\":218}", 198},
		{"{\"prompt_tokens\":20,\"completion_tokens\":198,\"total_tokens\":7}", 198},
		{"{\"prompt_tokens\":20,\"completion_tokens\":198,\"total_tokens\":null}", 198},
		{"{\"prompt_tokens\":20,\"completion_tokens\":198,\"total_tokens\":99999999999}", 198},
	};

	for (size_t i = 0; i < COUNT_OF(usages); i++) {
		const char *body = arena_printf(arena, "{\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}],\"usage\":%s}", usages[i].usage);

		ck_assert_int_eq(plain(body, strlen(body)), RC_OK);
		ck_assert_msg(result.usage.reported, "%s", usages[i].usage);
		ck_assert_int_eq(result.usage.completion, usages[i].completion);
	}
}
END_TEST

START_TEST(plain_garbage_is_broken)
{
	static const struct {
		const char *body;
		size_t len;
		enum provider_fault fault;
	} bodies[] = {
		{"<html>nonsense</html>", 21, FAULT_BROKEN},
		{"{\"choices\":[{\"message\":{\"content\":\"x", 36, FAULT_BROKEN},
		{"[]", 2, FAULT_BROKEN},
		{" ", 1, FAULT_BROKEN},
		{"{}", 2, FAULT_BROKEN},
		{"{\"choices\":[]}", 14, FAULT_BROKEN},
		{"{\"choices\":{}}", 14, FAULT_BROKEN},
		{"{\"choices\":[5]}", 15, FAULT_BROKEN},
		{"{\"choices\":[{\"message\":{\"content\":\"a\\u0000b\"}}]}", 48, FAULT_BROKEN},
		{"{\"choices\":[{\"message\":{\"content\":\"a\xFF" "b\"}}]}", 43, FAULT_BROKEN},
		{"{\"choices\":[{\"message\":{\"content\":5},\"finish_reason\":\"stop\"}]}", 62, FAULT_BROKEN},
		{"{\"choices\":[{\"message\":{\"content\":{\"text\":\"x\"}},\"finish_reason\":\"stop\"}]}", 73, FAULT_BROKEN},
		{"{\"error\":{\"message\":\"" SECRET "\"}}", 38, FAULT_UPSTREAM},
	};

	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		ck_assert_int_ne(plain(bodies[i].body, bodies[i].len), RC_OK);
		ck_assert_msg(result.fault == bodies[i].fault, "%zu: %s %s", i, provider_fault_name(result.fault), result.detail);
		ck_assert_uint_eq(seen.text.len, 0);
		ck_assert(result.sent);
	}
}
END_TEST

/* As gateways tell it whose provider failed on the way: in the choice, with a 200 and with what it had said. */
START_TEST(a_choice_can_be_an_error)
{
	static const char *const choices[] = {
		"{\"%s\":{\"content\":\"x\"},\"finish_reason\":\"error\"}",
		"{\"%s\":{\"content\":\"x\"},\"finish_reason\":\"stop\",\"error\":{\"code\":502,\"message\":\"" SECRET "\"}}",
	};
	static const char usage[] = "{\"prompt_tokens\":19,\"completion_tokens\":10}";

	for (size_t i = 0; i < COUNT_OF(choices); i++) {
		const char *body = arena_printf(arena, "{\"choices\":[%s],\"usage\":%s}", arena_printf(arena, choices[i], "message"), usage);

		request.stream = script.chunked = false;
		ck_assert_int_ne(plain(body, strlen(body)), RC_OK);
		ck_assert_int_eq(result.fault, FAULT_UPSTREAM);
		ck_assert_int_eq(result.usage.completion, 10);
		body = arena_printf(arena, "data: {\"choices\":[%s]}\n\n" DONE, arena_printf(arena, choices[i], "delta"));
		ck_assert_int_ne(stream(body), RC_OK);
		ck_assert_int_eq(result.fault, FAULT_UPSTREAM);
	}
	ck_assert_int_ne(stream(arena_printf(arena, DELTA("x") "data: {\"error\":{},\"choices\":[],\"usage\":%s}\n\n", usage)), RC_OK);
	ck_assert_int_eq(result.usage.completion, 10); /* an error may come with a report */
}
END_TEST

START_TEST(answers_have_caps)
{
	size_t n = (4u << 20) + 100;
	char *body = malloc(n + 1);

	memset(body, ' ', n);
	body[n] = '\0';
	ck_assert_int_eq(plain(body, n), RC_TOOBIG);
	ck_assert_int_eq(result.fault, FAULT_OURS);
	n = (1u << 20) + 200;
	memset(body, 'x', n);
	body[n] = '\0';
	memcpy(body, "{\"choices\":[{\"message\":{\"content\":\"", 35);
	memcpy(body + n - 5, "\"}}]}", 5);
	ck_assert_int_eq(plain(body, n), RC_TOOBIG);
	ck_assert_int_eq(result.fault, FAULT_OURS);
	ck_assert_uint_eq(seen.text.len, 0);
	free(body);
}
END_TEST

START_TEST(statuses_are_faults)
{
	static const struct {
		int status;
		enum provider_fault fault;
		enum rc rc;
	} statuses[] = {
		{400, FAULT_REQUEST, RC_INVALID},      {401, FAULT_KEY, RC_DENIED},           {403, FAULT_KEY, RC_DENIED},
		{404, FAULT_REQUEST, RC_INVALID},      {408, FAULT_REQUEST, RC_INVALID},      {422, FAULT_REQUEST, RC_INVALID},
		{429, FAULT_BUSY, RC_UNAVAILABLE},     {500, FAULT_UNAVAILABLE, RC_UNAVAILABLE}, {502, FAULT_UNAVAILABLE, RC_UNAVAILABLE},
		{503, FAULT_UNAVAILABLE, RC_UNAVAILABLE}, {529, FAULT_UNAVAILABLE, RC_UNAVAILABLE}, {302, FAULT_BROKEN, RC_PROTOCOL},
		{204, FAULT_BROKEN, RC_PROTOCOL},
	};

	for (size_t i = 0; i < COUNT_OF(statuses) * 2; i++) {
		int status = statuses[i / 2].status;
		enum rc rc;

		request.stream = i % 2 == 1;
		script.head = arena_printf(arena, "HTTP/1.1 %d X\r\nRetry-After: 7\r\n%s\r\n", status, status == 204 ? "" : "Content-Length: 34\r\n");
		script.texts[0] = status == 204 ? NULL : "{\"error\":\"" SECRET " revoked\"}";
		rc = generate();
		ck_assert_msg(rc == statuses[i / 2].rc, "%d: %s, %s", status, rc_name(rc), result.detail);
		ck_assert_msg(result.fault == statuses[i / 2].fault, "%d: %s", status, provider_fault_name(result.fault));
		ck_assert_int_eq(result.status, status);
		ck_assert_int_eq(result.retry_after_s, 7);
		ck_assert_uint_eq(seen.calls, 0);
		ck_assert(result.sent);
	}
}
END_TEST

START_TEST(a_bad_status_does_not_wait_for_its_body)
{
	int64_t started = clock_us();

	request.stream = true;
	script.head = "HTTP/1.1 500 X\r\nContent-Length: 100000\r\n\r\n";
	script.texts[0] = "a word";
	script.hang = true;
	ck_assert_int_eq(generate(), RC_UNAVAILABLE);
	ck_assert_int_eq(result.fault, FAULT_UNAVAILABLE);
	ck_assert_int_lt(clock_us() - started, 1000000);
}
END_TEST

START_TEST(a_stream_is_read)
{
	begin_stream();
	script.texts[0] = ": hello\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";
	script.texts[1] = DELTA("Dear ");
	script.texts[2] = DELTA("{couple_name}, gr\xC3\xBC\xC3\x9F\x65") DELTA(" \\ud83d\\ude00");
	script.texts[3] = FINISH("stop");
	script.texts[4] = USAGE DONE;
	script.pause_ms = 10;
	ck_assert_int_eq(generate(), RC_OK);
	ck_assert_str_eq(buf_text(&seen.text), "Dear {couple_name}, gr\xC3\xBC\xC3\x9F\x65 \xF0\x9F\x98\x80");
	ck_assert_uint_eq(seen.calls, 3);
	ck_assert_int_eq(result.stop, STOP_END);
	ck_assert(result.usage.reported);
	ck_assert_int_eq(result.usage.prompt, 19);
	ck_assert_int_eq(result.usage.cached, 5);
	ck_assert_int_eq(result.usage.completion, 10);
	ck_assert_int_eq(result.usage.reasoning, 4);
	ck_assert_int_ge(result.first_text_us, 10000);
	ck_assert_str_eq(json_of(value_get(body_sent(), "stream")), "true");
	ck_assert_str_eq(json_of(value_get(body_sent(), "stream_options")), "{\"include_usage\":true}");
}
END_TEST

START_TEST(a_stream_may_be_cut_into_packets_anywhere)
{
	static const char text[] = DELTA("gr\xC3\xBC\xC3\x9F\x65") FINISH("length") USAGE DONE;
	size_t at = (size_t)_i;

	begin_stream();
	script.texts[0] = text;
	script.lens[0] = at;
	script.texts[1] = text + at;
	script.pause_ms = 2;
	ck_assert_int_eq(generate(), RC_OK);
	ck_assert_str_eq(buf_text(&seen.text), "gr\xC3\xBC\xC3\x9F\x65");
	ck_assert_int_eq(result.stop, STOP_LENGTH);
	ck_assert(result.usage.reported);
}
END_TEST

START_TEST(streams_end_in_several_ways)
{
	ck_assert_int_eq(stream(DELTA("x") FINISH("stop")), RC_OK); /* no [DONE] */
	ck_assert_int_eq(result.stop, STOP_END);
	ck_assert(!result.usage.reported);
	ck_assert_int_eq(stream(DELTA("x") DONE), RC_OK); /* no reason */
	ck_assert_int_eq(result.stop, STOP_OTHER);
	ck_assert_int_eq(stream(FINISH("stop") DONE), RC_OK); /* no text */
	ck_assert_uint_eq(result.text_bytes, 0);
	ck_assert_int_eq(stream(DELTA("x") FINISH("stop") DONE "data: garbage\n\n"), RC_OK); /* nobody reads on */
	script.head = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
	script.chunked = false;
	script.texts[0] = DELTA("x") FINISH("stop"); /* the text was whole when the connection broke */
	ck_assert_int_eq(generate(), RC_OK);
	script.hang = true; /* or when nothing came any more */
	request.idle_ms = 100;
	ck_assert_int_eq(generate(), RC_OK);
	ck_assert_int_eq(result.stop, STOP_END);
	ck_assert(!result.usage.reported);
}
END_TEST

/* As proxies and servers of the protocol's kin write it. */
START_TEST(blank_events_and_white_space_say_nothing)
{
	static const char *const ends[] = {"data: [DONE] \n\n", "data:\t[DONE]\r\n\r\n", "data:  [DONE]\n\n", "data: [DONE]\ndata:\n\n", "data:\n\ndata\n\ndata: \n\n" DONE};

	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		buf_clear(&seen.text);
		ck_assert_msg(stream(arena_printf(arena, "data:\n\n%s%s", DELTA("x"), ends[i])) == RC_OK, "%zu: %s", i, result.detail);
		ck_assert_str_eq(buf_text(&seen.text), "x");
		ck_assert_int_eq(result.stop, STOP_OTHER);
	}
	ck_assert_int_eq(stream(DELTA("x") "data: [DONE] or not\n\n"), RC_PROTOCOL);
	ck_assert_int_eq(stream(DELTA("x") "data:\n\n"), RC_PROTOCOL); /* no end */
}
END_TEST

START_TEST(a_stream_that_stays_open_after_its_end_is_over)
{
	int64_t started = clock_us();

	begin_stream();
	script.texts[0] = DELTA("x") FINISH("stop") USAGE DONE;
	script.hang = true;
	ck_assert_int_eq(generate(), RC_OK);
	ck_assert_int_lt(clock_us() - started, 1000000);
	ck_assert(result.usage.reported);
}
END_TEST

START_TEST(a_broken_stream_is_told)
{
	static const struct {
		const char *text;
		enum provider_fault fault;
	} streams[] = {
		{DELTA("x"), FAULT_BROKEN},
		{"", FAULT_BROKEN},
		{DELTA("x") "data: {\"choices\":[{\"del", FAULT_BROKEN},
		{DELTA("x") "data: {\"choices\":[{\"del\n\n" DONE, FAULT_BROKEN},
		{DELTA("x") "data: <html>\n\n" DONE, FAULT_BROKEN},
		{DELTA("x") "data: 7\n\n" DONE, FAULT_BROKEN},
		{DELTA("x") DELTA("a\\u0000b") DONE, FAULT_BROKEN},
		{DELTA("x") DELTA("a\xC3(") DONE, FAULT_BROKEN},
		{DELTA("x") DELTA("a\\ud800") DONE, FAULT_BROKEN},
		{DELTA("x") "data: {\"error\":{\"message\":\"" SECRET "\",\"type\":\"server_error\"}}\n\n" DONE, FAULT_UPSTREAM},
		{"data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"\"}]}\n\n", FAULT_BROKEN}, /* as some write null */
	};

	for (size_t i = 0; i < COUNT_OF(streams); i++) {
		buf_clear(&seen.text);
		ck_assert_int_ne(stream(streams[i].text), RC_OK);
		ck_assert_msg(result.fault == streams[i].fault, "%zu: %s %s", i, provider_fault_name(result.fault), result.detail);
		ck_assert_str_eq(buf_text(&seen.text), i == 1 ? "" : "x");
		ck_assert(result.sent);
		ck_assert(!result.usage.reported);
	}
}
END_TEST

START_TEST(a_connection_cut_in_mid_stream_is_broken)
{
	begin_stream();
	script.texts[0] = DELTA("x");
	script.texts[1] = "data: ";
	script.pause_ms = 30;
	script.reset = true;
	ck_assert_int_eq(generate(), RC_PROTOCOL);
	ck_assert_int_eq(result.fault, FAULT_BROKEN);
	ck_assert_uint_eq(result.text_bytes, 1);
}
END_TEST

#define COUNTED(text, completion) \
	"data: {\"choices\":[{\"delta\":{\"content\":\"" text "\"}}],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":" completion "}}\n\n"

START_TEST(usage_counts_the_text_until_it)
{
	ck_assert_int_eq(stream(COUNTED("", "0") DELTA("x")), RC_PROTOCOL); /* the first piece's alone */
	ck_assert(!result.usage.reported);
	ck_assert_int_eq(result.usage.prompt, 0);
	ck_assert_int_eq(stream(COUNTED("", "1") DELTA("x") FINISH("stop") DONE), RC_OK);
	ck_assert(!result.usage.reported);
	ck_assert_int_eq(stream(COUNTED("", "0") COUNTED("x", "2") COUNTED("y", "3")), RC_PROTOCOL); /* each piece's */
	ck_assert(result.usage.reported);
	ck_assert_int_eq(result.usage.completion, 3);
	ck_assert_int_eq(stream(COUNTED("x", "2") DELTA("") FINISH("stop") DONE), RC_OK); /* no text behind it */
	ck_assert_int_eq(result.usage.completion, 2);
	ck_assert_int_eq(stream(COUNTED("x", "2") DELTA("y") FINISH("stop") USAGE DONE), RC_OK); /* told anew at the end */
	ck_assert_int_eq(result.usage.completion, 10);
	seen.text_rc = RC_GONE; /* the caller left, and has had what was counted, or more */
	ck_assert_int_eq(stream(COUNTED("x", "2")), RC_GONE);
	ck_assert_int_eq(result.usage.completion, 2);
	ck_assert_int_eq(stream(COUNTED("", "1") DELTA("x")), RC_GONE);
	ck_assert(!result.usage.reported);
}
END_TEST

START_TEST(an_event_has_a_cap)
{
	size_t n = 300000;
	char *text = malloc(n + 1);

	memset(text, 'x', n);
	text[n] = '\0';
	memcpy(text, "data: \"", 7);
	ck_assert_int_eq(stream(text), RC_PROTOCOL);
	ck_assert_int_eq(result.fault, FAULT_BROKEN);
	free(text);
}
END_TEST

static void serve_endless_text(struct upstream_conn *conn, const char *text, void *user)
{
	char *piece = malloc(60001);

	(void)text;
	(void)user;
	memset(piece, 'y', 60000);
	piece[60000] = '\0';
	upstream_text(conn, "HTTP/1.1 200 OK\r\n\r\n");
	for (int i = 0; i < 100 && upstream_printf(conn, "data: {\"choices\":[{\"delta\":{\"content\":\"%s\"}}]}\n\n", piece); i++)
		;
	free(piece);
	upstream_close(conn);
}

START_TEST(streamed_text_has_a_cap)
{
	up = upstream_new(serve_endless_text, NULL, NULL);
	access_.base_url = arena_printf(arena, "http://127.0.0.1:%d", upstream_port(up));
	request.stream = true;
	ck_assert_int_eq(generate(), RC_TOOBIG);
	ck_assert_int_eq(result.fault, FAULT_OURS);
	ck_assert_uint_le(result.text_bytes, PROVIDER_TEXT_MAX);
	ck_assert_uint_gt(result.text_bytes, PROVIDER_TEXT_MAX / 2);
}
END_TEST

static int pieces_to_send;

static void serve_many_pieces(struct upstream_conn *conn, const char *text, void *user)
{
	(void)text;
	(void)user;
	upstream_text(conn, "HTTP/1.1 200 OK\r\n\r\n");
	for (int i = 0; i < pieces_to_send; i++)
		upstream_text(conn, DELTA("word "));
	upstream_text(conn, DONE);
	upstream_close(conn);
}

START_TEST(memory_does_not_grow_with_the_pieces)
{
	size_t used[2];

	up = upstream_new(serve_many_pieces, NULL, NULL);
	access_.base_url = arena_printf(arena, "http://127.0.0.1:%d", upstream_port(up));
	request.stream = true;
	for (int i = 0; i < 2; i++) {
		struct arena *own = arena_new(32 << 20);

		pieces_to_send = i == 0 ? 50 : 5000;
		ck_assert_int_eq(access_.provider->generate(&access_, own, &request, &result), RC_OK);
		upstream_settle(up);
		ck_assert_uint_eq(result.text_bytes, (size_t)pieces_to_send * 5);
		used[i] = arena_used(own);
		arena_free(own);
	}
	ck_assert_uint_le(used[1], used[0] + 65536);
}
END_TEST

START_TEST(silence_and_deadline_are_time_outs)
{
	begin_stream();
	script.texts[0] = DELTA("x");
	script.hang = true;
	request.idle_ms = 100;
	ck_assert_int_eq(generate(), RC_TIMEOUT);
	ck_assert_int_eq(result.fault, FAULT_TIMEOUT);
	ck_assert_uint_eq(result.text_bytes, 1);
	ck_assert(result.sent);
	request.idle_ms = 0;
	request.deadline_us = clock_us() + 100000;
	ck_assert_int_eq(generate(), RC_TIMEOUT);
	ck_assert_int_eq(result.fault, FAULT_TIMEOUT);
}
END_TEST

START_TEST(a_caller_who_leaves_cancels)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	begin_stream();
	script.texts[0] = DELTA("delivered");
	script.hang = true;
	request.watch_fd = ends[0];
	seen.close_fd = ends[1];
	ck_assert_int_eq(generate(), RC_GONE);
	ck_assert_int_eq(result.fault, FAULT_CALLER);
	ck_assert_uint_eq(result.text_bytes, 9);
	ck_assert(result.sent);
	close(ends[0]);
}
END_TEST

/* Three events, each an HTTP chunk of its own, in one packet. */
START_TEST(text_goes_out_when_no_more_is_at_hand)
{
	static const char *const texts[] = {DELTA("a"), DELTA("b"), DELTA("c")};
	struct buf packet;

	buf_init(&packet, arena, 4096);
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		buf_printf(&packet, "%zx\r\n%s\r\n", strlen(texts[i]), texts[i]);
	request.stream = true;
	script.head = STREAM_HEAD;
	script.texts[0] = buf_text(&packet);
	script.hang = true;
	seen.rest_rc = RC_GONE;
	ck_assert_int_eq(generate(), RC_GONE);
	ck_assert_int_eq(result.fault, FAULT_CALLER);
	ck_assert_uint_eq(seen.calls, 3);
	ck_assert_uint_eq(seen.rests, 1);
	ck_assert_uint_eq(result.text_bytes, 3);
}
END_TEST

START_TEST(a_caller_who_leaves_at_the_end_is_told)
{
	seen.rest_rc = RC_GONE;
	ck_assert_int_eq(stream(DELTA("a") FINISH("stop") DONE), RC_GONE);
	ck_assert_int_eq(result.fault, FAULT_CALLER);
	ck_assert_uint_eq(seen.rests, 1);
}
END_TEST

START_TEST(callbacks_can_stop_it)
{
	seen.text_rc = RC_GONE;
	ck_assert_int_eq(stream(DELTA("a") DELTA("b") DONE), RC_GONE);
	ck_assert_int_eq(result.fault, FAULT_CALLER);
	ck_assert_uint_eq(seen.calls, 1);
	seen.text_rc = RC_NOMEM;
	ck_assert_int_eq(stream(DELTA("a") DELTA("b") DONE), RC_NOMEM);
	ck_assert_int_eq(result.fault, FAULT_OURS);
	seen.text_rc = RC_OK;
	script.hang = true;
	request.tick_ms = 20;
	seen.tick_rc = RC_GONE;
	ck_assert_int_eq(stream(DELTA("a")), RC_GONE);
	ck_assert_int_eq(result.fault, FAULT_CALLER);
	ck_assert_uint_eq(seen.ticks, 1);
	request.on_tick = NULL;
	request.deadline_us = clock_us() + 100000;
	ck_assert_int_eq(stream(DELTA("a")), RC_TIMEOUT);
}
END_TEST

START_TEST(what_cannot_be_reached_was_not_sent_to)
{
	access_.base_url = arena_printf(arena, "http://127.0.0.1:%d/v1", upstream_dead_port());
	ck_assert_int_eq(generate(), RC_UNAVAILABLE);
	ck_assert_int_eq(result.fault, FAULT_UNREACHABLE);
	ck_assert(!result.sent);
	access_.base_url = NULL;
	ck_assert_int_eq(generate(), RC_UNAVAILABLE);
	ck_assert_int_eq(result.fault, FAULT_UNREACHABLE);
	ck_assert(!result.sent);
	access_.base_url = "gopher://127.0.0.1";
	ck_assert_int_eq(generate(), RC_INVALID);
	ck_assert_int_eq(result.fault, FAULT_UNREACHABLE);
	ck_assert(!result.sent);
}
END_TEST

START_TEST(a_full_arena_is_an_error_like_another)
{
	unsigned worked = 0;

	script.head = STREAM_HEAD;
	script.chunked = true;
	script.texts[0] = DELTA("x") DONE;
	request.stream = true;
	for (size_t room = 16; room < 12000 && worked < 3; room += 48) {
		struct arena *tight = arena_new(room);
		enum rc rc = access_.provider->generate(&access_, tight, &request, &result);

		upstream_settle(up);
		ck_assert_msg(rc == RC_NOMEM || rc == RC_OK, "%zu: %s", room, rc_name(rc));
		ck_assert_int_eq(result.fault, rc == RC_OK ? FAULT_NONE : FAULT_OURS);
		worked += rc == RC_OK;
		arena_free(tight);
	}
	ck_assert_uint_eq(worked, 3);
}
END_TEST

START_TEST(faults_and_providers_have_names)
{
	ck_assert_str_eq(provider_fault_name(FAULT_NONE), "none");
	ck_assert_str_eq(provider_fault_name(FAULT_OURS), "ours");
	ck_assert_str_eq(provider_fault_name((enum provider_fault)99), "unknown");
	ck_assert_ptr_nonnull(provider_find("sample"));
	ck_assert_ptr_null(provider_find("nobody"));
}
END_TEST

static TCase *plain_answers(void)
{
	TCase *tcase = tcase_create("plain");

	tcase_add_test(tcase, a_plain_answer_is_read);
	tcase_add_test(tcase, the_request_is_what_the_protocol_wants);
	tcase_add_test(tcase, sampling_goes_out_where_the_family_takes_it);
	tcase_add_test(tcase, reasoning_families_get_their_own_members);
	tcase_add_test(tcase, a_schema_goes_out_in_the_strict_form);
	tcase_add_test(tcase, json_is_asked_for_in_words_where_no_form_fits);
	tcase_add_test(tcase, stop_reasons_have_their_names);
	tcase_add_test(tcase, a_refusal_is_text_that_was_held_back);
	tcase_add_test(tcase, text_may_come_in_parts);
	tcase_add_test(tcase, nonsense_is_no_usage);
	tcase_add_test(tcase, json_is_taken_out_of_its_fence);
	tcase_add_test(tcase, a_total_beyond_its_parts_is_completion);
	tcase_add_test(tcase, plain_garbage_is_broken);
	tcase_add_test(tcase, a_choice_can_be_an_error);
	tcase_add_test(tcase, answers_have_caps);
	tcase_add_test(tcase, statuses_are_faults);
	tcase_add_test(tcase, a_bad_status_does_not_wait_for_its_body);
	tcase_add_test(tcase, what_cannot_be_reached_was_not_sent_to);
	tcase_add_test(tcase, faults_and_providers_have_names);
	return tcase;
}

static TCase *streams(void)
{
	TCase *tcase = tcase_create("streamed");

	tcase_add_test(tcase, a_stream_is_read);
	tcase_add_loop_test(tcase, a_stream_may_be_cut_into_packets_anywhere, 1, 120);
	tcase_add_test(tcase, streams_end_in_several_ways);
	tcase_add_test(tcase, blank_events_and_white_space_say_nothing);
	tcase_add_test(tcase, a_stream_that_stays_open_after_its_end_is_over);
	tcase_add_test(tcase, a_broken_stream_is_told);
	tcase_add_test(tcase, a_connection_cut_in_mid_stream_is_broken);
	tcase_add_test(tcase, usage_counts_the_text_until_it);
	tcase_add_test(tcase, an_event_has_a_cap);
	tcase_add_test(tcase, streamed_text_has_a_cap);
	tcase_add_test(tcase, memory_does_not_grow_with_the_pieces);
	tcase_add_test(tcase, silence_and_deadline_are_time_outs);
	tcase_add_test(tcase, a_caller_who_leaves_cancels);
	tcase_add_test(tcase, text_goes_out_when_no_more_is_at_hand);
	tcase_add_test(tcase, a_caller_who_leaves_at_the_end_is_told);
	tcase_add_test(tcase, callbacks_can_stop_it);
	tcase_add_test(tcase, a_full_arena_is_an_error_like_another);
	return tcase;
}

static void add(Suite *suite, TCase *tcase)
{
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	suite_add_tcase(suite, tcase);
}

int main(void)
{
	Suite *suite = suite_create("openai");

	add(suite, plain_answers());
	add(suite, streams());
	return unit_run(suite);
}
