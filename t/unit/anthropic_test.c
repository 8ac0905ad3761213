/*
 * anthropic_test.c - the Messages API: what goes out, what is read, and what is told when it breaks.
 */
#include "provider/anthropic.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "port/json.h"
#include "provider/usage.h"
#include "upstream.h"
#include "unit.h"

#define SECRET "sk-ant-secret-41"

static struct http_pool *pool;
static struct arena *arena;
static struct upstream *up;
static struct provider_access access_;
static struct provider_request request;
static struct provider_result result;
static struct buf seen;
static char request_seen[65536];
static const char *answer; /* head and body */
static struct message message_items[] = {
	{ROLE_SYSTEM, "Be kind.", 8}, {ROLE_USER, "hello", 5}, {ROLE_MODEL, "hi", 2},
	{ROLE_SYSTEM, "Be short.", 9}, {ROLE_USER, "", 0}, {ROLE_USER, "again", 5},
};
static struct messages messages = {message_items, 6, 29};

static void serve_answer(struct upstream_conn *conn, const char *text, void *user)
{
	(void)user;
	snprintf(request_seen, sizeof request_seen, "%s", text);
	upstream_text(conn, answer);
	upstream_close(conn);
}

static enum rc take_text(void *user, const char *text, size_t n)
{
	(void)user;
	return buf_add(&seen, text, n);
}

static void set_up(void)
{
	struct http_settings settings = {.user_agent = "test/1", .keep = 4, .connect_timeout_ms = 2000};

	ck_assert_int_eq(http_pool_new(&settings, &pool), RC_OK);
	arena = arena_new(32 << 20);
	buf_init(&seen, arena, 1 << 20);
	up = upstream_new(serve_answer, NULL, NULL);
	access_ = (struct provider_access){.provider = provider_find("anthropic"), .http = pool, .api_key = SECRET};
	access_.base_url = arena_printf(arena, "http://127.0.0.1:%d", upstream_port(up));
	request = (struct provider_request){
		.model = "claude-haiku-4-5",
		.messages = &messages,
		.temperature = 0.7,
		.top_p = 0.5,
		.max_tokens = 100,
		.request_id = "req_test",
		.deadline_us = clock_us() + 30000000,
		.watch_fd = -1,
		.on_text = take_text,
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
	enum rc rc;

	buf_clear(&seen);
	rc = access_.provider->generate(&access_, arena, &request, &result);
	upstream_settle(up);
	ck_assert_int_eq(rc == RC_OK, result.fault == FAULT_NONE);
	ck_assert_ptr_null(strstr(result.detail, SECRET));
	return rc;
}

static enum rc plain(const char *body)
{
	answer = arena_printf(arena, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
	request.stream = false;
	return generate();
}

static enum rc stream(const char *events)
{
	answer = arena_printf(arena, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n%s", events);
	request.stream = true;
	return generate();
}

static const char *sent(void)
{
	const char *body = strstr(request_seen, "\r\n\r\n");

	ck_assert_ptr_nonnull(body);
	return body + 4;
}

#define PLAIN "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\"}," \
	"{\"type\":\"text\",\"text\":\"Dear \"},{\"type\":\"text\",\"text\":\"you\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null," \
	"\"usage\":{\"input_tokens\":10,\"cache_creation_input_tokens\":2,\"cache_read_input_tokens\":5,\"output_tokens\":7}}"

START_TEST(a_plain_answer_is_read)
{
	ck_assert_int_eq(plain(PLAIN), RC_OK);
	ck_assert_str_eq(buf_text(&seen), "Dear you");
	ck_assert_int_eq(result.stop, STOP_END);
	ck_assert(result.usage.reported);
	ck_assert_int_eq(result.usage.prompt, 17);
	ck_assert_int_eq(result.usage.cached, 5);
	ck_assert_int_eq(result.usage.completion, 7);
}
END_TEST

START_TEST(the_request_is_what_the_protocol_wants)
{
	ck_assert_int_eq(plain(PLAIN), RC_OK);
	ck_assert(str_starts(request_seen, "POST /v1/messages HTTP/1.1\r\n"));
	ck_assert_ptr_nonnull(strstr(request_seen, "\r\nx-api-key: " SECRET "\r\n"));
	ck_assert_ptr_nonnull(strstr(request_seen, "\r\nanthropic-version: 2023-06-01\r\n"));
	ck_assert_ptr_nonnull(strstr(request_seen, "\r\nX-Client-Request-Id: req_test\r\n"));
	ck_assert_str_eq(sent(), "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":100,\"temperature\":0.7,"
		"\"system\":\"Be kind.\\n\\nBe short.\",\"messages\":["
		"{\"role\":\"user\",\"content\":\"hello\"},{\"role\":\"assistant\",\"content\":\"hi\"},{\"role\":\"user\",\"content\":\"again\"}]}");
}
END_TEST

START_TEST(sampling_goes_out_where_the_model_takes_it)
{
	struct value *stop = value_array(arena);

	ck_assert_int_eq(value_push(arena, stop, value_string(arena, "END", 3)), RC_OK);
	request.stop = stop;
	request.temperature = 1.5;
	ck_assert_int_eq(plain(PLAIN), RC_OK);
	ck_assert_ptr_nonnull(strstr(sent(), ",\"temperature\":1,\"stop_sequences\":[\"END\"]"));
	request.temperature = 0; /* which is not the provider's own choice */
	ck_assert_int_eq(plain(PLAIN), RC_OK);
	ck_assert_ptr_nonnull(strstr(sent(), ",\"temperature\":0"));
	request.temperature = -1;
	ck_assert_int_eq(plain(PLAIN), RC_OK);
	ck_assert_ptr_null(strstr(sent(), "temperature"));
	ck_assert_ptr_nonnull(strstr(sent(), ",\"top_p\":0.5"));
	request.temperature = 0.7;
	request.model = "claude-opus-5";
	ck_assert_int_eq(plain(PLAIN), RC_OK);
	ck_assert_ptr_null(strstr(sent(), "temperature"));
	ck_assert_ptr_null(strstr(sent(), "top_p"));
}
END_TEST

START_TEST(instructions_alone_are_what_the_user_says)
{
	struct messages alone = {message_items, 1, 8};

	request.messages = &alone;
	access_.api_key = NULL;
	ck_assert_int_eq(plain(PLAIN), RC_OK);
	ck_assert_ptr_nonnull(strstr(sent(), "\"messages\":[{\"role\":\"user\",\"content\":\"Be kind.\"}]"));
	ck_assert_ptr_null(strstr(sent(), "\"system\""));
	ck_assert_ptr_null(strstr(request_seen, "x-api-key"));
}
END_TEST

#define TEXT_ANSWER "{\"content\":[{\"type\":\"text\",\"text\":\"%s\"}],\"stop_reason\":\"end_turn\"}"

static const char *const fenced[][2] = {
	{"```json\\n{\\\"a\\\":1}\\n```  \\n ", "{\"a\":1}\n"},
	{"{\\\"a\\\":1}", "{\"a\":1}"},
	{"```json\\n{\\\"a\\\":1}\\n```", "{\"a\":1}\n"},
	{"```\\n{\\\"a\\\":1}\\n```\\n", "{\"a\":1}\n"},
	{"```", "```"},
	{"``````", "``````"},
	{"```json {}```", "```json {}```"},
};

static const struct schema *schema_of(const char *source)
{
	struct diagnostics list;
	struct schema *schema;
	struct value *value;

	diagnostics_init(&list, arena, "test");
	ck_assert_int_eq(json_parse(arena, source, strlen(source), &value, NULL), RC_OK);
	ck_assert_msg(schema_load_json(arena, value, &schema, &list) == RC_OK, "%s", source);
	return schema;
}

/* "format" of the request's output_config as JSON, "" where it has none. */
static const char *format_for(const char *model, const struct schema *schema)
{
	const char *body;
	struct value *value;
	struct buf out;

	request.model = model;
	request.output = schema;
	ck_assert_int_eq(plain("{\"content\":[{\"type\":\"text\",\"text\":\"{}\"}],\"stop_reason\":\"end_turn\"}"), RC_OK);
	body = sent();
	ck_assert_int_eq(json_parse(arena, body, strlen(body), &value, NULL), RC_OK);
	if (value_get(value, "output_config") == NULL)
		return "";
	ck_assert_ptr_null(strstr(body, "Answer with JSON"));
	buf_init(&out, arena, 65536);
	ck_assert_int_eq(value_write(&out, value_get(value_get(value, "output_config"), "format"), 0), RC_OK);
	return buf_text(&out);
}

#define FORMAT(schema) "{\"type\":\"json_schema\",\"schema\":" schema "}"

START_TEST(a_schema_goes_out_as_such_where_the_model_takes_it)
{
	static const char *const takes[] = {"claude-haiku-4-5", "claude-sonnet-4-5-20250929", "claude-sonnet-4-6", "claude-opus-4-5", "claude-opus-4-7",
	                                    "claude-opus-5", "claude-later"};
	static const char *const does_not[] = {"claude-3-5-sonnet-latest", "claude-sonnet-4-0", "claude-sonnet-4-20250514", "claude-opus-4-1", "claude-opus-4-20250514"};
	const struct schema *schema = schema_of("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"minimum\":3},\"b\":{\"type\":\"array\","
	                                        "\"minItems\":2,\"maxItems\":4,\"items\":{\"type\":\"string\",\"pattern\":\"^x\",\"description\":\"d\"}}},"
	                                        "\"required\":[\"a\"]}");

	for (size_t i = 0; i < COUNT_OF(takes); i++)
		ck_assert_str_eq(format_for(takes[i], schema),
		                 FORMAT("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":[\"array\",\"null\"],\"items\":{\"type\":\"string\","
		                        "\"description\":\"d\"}}},\"required\":[\"a\",\"b\"],\"additionalProperties\":false}"));
	for (size_t i = 0; i < COUNT_OF(does_not); i++) {
		ck_assert_str_eq(format_for(does_not[i], schema), "");
		ck_assert_ptr_nonnull(strstr(sent(), "Answer with JSON"));
	}
}
END_TEST

static const char *optional_members(unsigned count)
{
	struct buf out;

	buf_init(&out, arena, 65536);
	buf_puts(&out, "{\"type\":\"object\",\"properties\":{");
	for (unsigned i = 0; i < count; i++)
		buf_printf(&out, "%s\"m%u\":{\"type\":\"string\"}", i == 0 ? "" : ",", i);
	buf_puts(&out, "}}");
	return buf_text(&out);
}

/* What would be refused with a 400 is asked for in words. */
START_TEST(a_schema_it_does_not_take_goes_out_in_words)
{
	const char *alternatives = "{\"type\":\"object\",\"properties\":{\"a\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\",\"maximum\":5}]}},\"required\":[\"a\"]}";
	const char *recursive = "{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":\"#\"}}}";

	ck_assert_str_eq(format_for("claude-haiku-4-5", schema_of(alternatives)),
	                 FORMAT("{\"type\":\"object\",\"properties\":{\"a\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}},\"required\":[\"a\"],"
	                        "\"additionalProperties\":false}"));
	ck_assert_str_eq(format_for("claude-haiku-4-5", schema_of(recursive)), "");
	ck_assert_ptr_nonnull(strstr(sent(), "Answer with JSON"));
	ck_assert_str_ne(format_for("claude-haiku-4-5", schema_of(optional_members(16))), "");
	ck_assert_str_eq(format_for("claude-haiku-4-5", schema_of(optional_members(17))), "");
	ck_assert_str_eq(format_for("claude-haiku-4-5", schema_of("{\"type\":\"object\"}")), "");
	request.json = true;
	ck_assert_str_eq(format_for("claude-haiku-4-5", NULL), "");
	ck_assert_ptr_nonnull(strstr(sent(), "Answer with JSON"));
}
END_TEST

START_TEST(json_is_asked_for_and_taken_out_of_its_fence)
{
	request.output = schema_of("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}");
	request.model = "claude-3-5-haiku-latest";
	ck_assert_int_eq(plain(arena_printf(arena, TEXT_ANSWER, fenced[_i][0])), RC_OK);
	ck_assert_str_eq(buf_text(&seen), fenced[_i][1]);
	ck_assert_ptr_nonnull(strstr(sent(), "Be short.\\n\\nAnswer with JSON"));
	ck_assert_ptr_nonnull(strstr(sent(), "\\\"integer\\\""));
	ck_assert(!result.usage.reported);
}
END_TEST

START_TEST(stop_reasons_have_their_names)
{
	static const struct {
		const char *reason;
		enum stop_reason stop;
	} reasons[] = {
		{"end_turn", STOP_END}, {"stop_sequence", STOP_END}, {"max_tokens", STOP_LENGTH}, {"model_context_window_exceeded", STOP_LENGTH},
		{"refusal", STOP_FILTER}, {"pause_turn", STOP_OTHER},
	};

	for (size_t i = 0; i < COUNT_OF(reasons); i++) {
		ck_assert_int_eq(plain(arena_printf(arena, "{\"content\":[],\"stop_reason\":\"%s\"}", reasons[i].reason)), RC_OK);
		ck_assert_int_eq(result.stop, reasons[i].stop);
	}
}
END_TEST

#define START "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[],\"usage\":{\"input_tokens\":10," \
	"\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n" \
	"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
#define DELTA(text) \
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"" text "\"}}\n\n"
#define THOUGHT "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n"
#define END "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n" \
	"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}\n\n"
#define STOP "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"

START_TEST(a_stream_is_read)
{
	ck_assert_int_eq(stream(START THOUGHT DELTA("Dear ") DELTA("gr\xC3\xBC\xC3\x9F\x65") END STOP), RC_OK);
	ck_assert_str_eq(buf_text(&seen), "Dear gr\xC3\xBC\xC3\x9F\x65");
	ck_assert_int_eq(result.stop, STOP_END);
	ck_assert(result.usage.reported);
	ck_assert_int_eq(result.usage.prompt, 15);
	ck_assert_int_eq(result.usage.cached, 5);
	ck_assert_int_eq(result.usage.completion, 15);
	ck_assert_ptr_nonnull(strstr(sent(), ",\"stream\":true}"));
	ck_assert_int_eq(stream(START DELTA("x") END), RC_OK);
	ck_assert_int_eq(stream(START "event: ping\ndata:\n\n" DELTA("x") END STOP), RC_OK);
	ck_assert_int_eq(stream(START DELTA("x") STOP), RC_OK);
	ck_assert_int_eq(result.stop, STOP_OTHER);
	ck_assert(!result.usage.reported);
}
END_TEST

/* The protocol lets message_delta give null for each count but its own: nothing new is said of what message_start told. */
START_TEST(null_takes_no_count_back)
{
	static const char end[] = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":null,"
				  "\"cache_creation_input_tokens\":null,\"cache_read_input_tokens\":null,\"output_tokens\":15}}\n\n" STOP;

	ck_assert_int_eq(stream(arena_printf(arena, "%s%s", START DELTA("x"), end)), RC_OK);
	ck_assert(result.usage.reported);
	ck_assert_int_eq(result.usage.prompt, 15);
	ck_assert_int_eq(result.usage.cached, 5);
	ck_assert_int_eq(result.usage.completion, 15);
}
END_TEST

START_TEST(what_breaks_is_told)
{
	static const struct {
		const char *events;
		enum provider_fault fault;
	} streams[] = {
		{START DELTA("x"), FAULT_BROKEN},
		{START DELTA("x") "data: {\"type\n\n", FAULT_BROKEN},
		{START DELTA("x") DELTA("a\\u0000") END STOP, FAULT_BROKEN},
		{START DELTA("x") "event: error\n"
		 "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"" SECRET "\"}}\n\n", FAULT_UPSTREAM},
	};

	for (size_t i = 0; i < COUNT_OF(streams); i++) {
		ck_assert_int_ne(stream(streams[i].events), RC_OK);
		ck_assert_int_eq(result.fault, streams[i].fault);
		ck_assert_str_eq(buf_text(&seen), "x");
		ck_assert(!result.usage.reported);
	}
	ck_assert_int_eq(plain("{}"), RC_PROTOCOL);
	ck_assert_int_eq(plain("{\"type\":\"error\",\"error\":{\"message\":\"" SECRET "\"}}"), RC_UNAVAILABLE);
	ck_assert_int_eq(plain("not json"), RC_PROTOCOL);
	answer = "HTTP/1.1 529 Overloaded\r\nContent-Length: 2\r\nRetry-After: 3\r\n\r\n{}";
	ck_assert_int_eq(generate(), RC_UNAVAILABLE);
	ck_assert_int_eq(result.fault, FAULT_UNAVAILABLE);
	ck_assert_int_eq(result.retry_after_s, 3);
}
END_TEST

START_TEST(nonsense_is_no_usage)
{
	static const char *const usages[] = {
		"{\"input_tokens\":-1,\"output_tokens\":5}", "{\"input_tokens\":1,\"output_tokens\":-5}", "{\"input_tokens\":\"1\",\"output_tokens\":5}",
		"{\"input_tokens\":1,\"cache_read_input_tokens\":-1,\"output_tokens\":5}", "{\"input_tokens\":3,\"cache_creation_input_tokens\":-1,\"output_tokens\":5}",
		"{\"input_tokens\":-1,\"cache_read_input_tokens\":3,\"output_tokens\":5}", "{\"input_tokens\":3,\"cache_read_input_tokens\":\"1\",\"output_tokens\":5}", "{\"input_tokens\":99999999999,\"output_tokens\":5}",
		"{\"input_tokens\":5}", "{\"output_tokens\":5}", "{\"input_tokens\":5,\"output_tokens\":null}", "{}", "[]",
	};

	for (size_t i = 0; i < COUNT_OF(usages); i++) {
		ck_assert_int_eq(plain(arena_printf(arena, "{\"content\":[{\"type\":\"text\",\"text\":\"x\"}],\"usage\":%s}", usages[i])), RC_OK);
		ck_assert_msg(!result.usage.reported, "%s", usages[i]);
	}
}
END_TEST

START_TEST(a_full_arena_is_an_error_like_another)
{
	unsigned worked = 0;

	answer = "HTTP/1.1 200 OK\r\n\r\n" START DELTA("x") END STOP;
	request.stream = true;
	for (size_t room = 16; room < 12000 && worked < 3; room += 96) {
		struct arena *tight = arena_new(room);
		enum rc rc = access_.provider->generate(&access_, tight, &request, &result);

		upstream_settle(up);
		ck_assert_msg(rc == RC_NOMEM || rc == RC_OK, "%zu: %s", room, rc_name(rc));
		worked += rc == RC_OK;
		arena_free(tight);
	}
	ck_assert_uint_eq(worked, 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("anthropic");
	TCase *tcase = tcase_create("anthropic");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_plain_answer_is_read);
	tcase_add_test(tcase, the_request_is_what_the_protocol_wants);
	tcase_add_test(tcase, sampling_goes_out_where_the_model_takes_it);
	tcase_add_test(tcase, instructions_alone_are_what_the_user_says);
	tcase_add_test(tcase, a_schema_goes_out_as_such_where_the_model_takes_it);
	tcase_add_test(tcase, a_schema_it_does_not_take_goes_out_in_words);
	tcase_add_loop_test(tcase, json_is_asked_for_and_taken_out_of_its_fence, 0, COUNT_OF(fenced));
	tcase_add_test(tcase, stop_reasons_have_their_names);
	tcase_add_test(tcase, a_stream_is_read);
	tcase_add_test(tcase, null_takes_no_count_back);
	tcase_add_test(tcase, what_breaks_is_told);
	tcase_add_test(tcase, nonsense_is_no_usage);
	tcase_add_test(tcase, a_full_arena_is_an_error_like_another);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
