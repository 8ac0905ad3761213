/*
 * sample_test.c - the provider without a network, and how tokens are counted.
 */
#include "provider/sample.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "port/json.h"
#include "provider/usage.h"
#include "unit.h"

static struct arena *arena;
static struct provider_request request;
static struct provider_result result;
static struct message items[] = {{ROLE_USER, "the caller's secret", 19}};
static struct messages messages = {items, 1, 19};

static struct {
	struct buf text;
	unsigned calls, rests, ticks;
	enum rc text_rc, tick_rc;
	int close_fd;
	int64_t last_us;
} seen;

static enum rc take_text(void *user, const char *text, size_t n)
{
	(void)user;
	seen.calls++;
	seen.last_us = clock_us();
	ck_assert(str_utf8_valid(text, n));
	buf_add(&seen.text, text, n);
	if (seen.close_fd != 0)
		close(seen.close_fd);
	seen.close_fd = 0;
	return seen.text_rc;
}

static enum rc take_rest(void *user)
{
	(void)user;
	seen.rests++;
	return RC_OK;
}

static enum rc take_tick(void *user)
{
	(void)user;
	seen.ticks++;
	return seen.tick_rc;
}

static void set_up(void)
{
	memset(&seen, 0, sizeof seen);
	arena = arena_new(8 << 20);
	buf_init(&seen.text, arena, 4 << 20);
	request = (struct provider_request){
		.model = "sample",
		.messages = &messages,
		.temperature = 0.7,
		.top_p = -1,
		.max_tokens = 1000,
		.deadline_us = clock_us() + 20000000,
		.watch_fd = -1,
		.on_text = take_text,
		.on_rest = take_rest,
		.on_tick = take_tick,
	};
}

static void tear_down(void)
{
	arena_free(arena);
}

static enum rc generate(void)
{
	struct provider_access sample = {.provider = provider_find("sample")};
	enum rc rc;

	buf_clear(&seen.text);
	rc = sample.provider->generate(&sample, arena, &request, &result);
	ck_assert_int_eq(rc == RC_OK, result.fault == FAULT_NONE);
	return rc;
}

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

START_TEST(a_text_says_what_it_is_and_repeats_nothing)
{
	char *first;

	ck_assert_int_eq(generate(), RC_OK);
	ck_assert_ptr_nonnull(strstr(buf_text(&seen.text), "sample"));
	ck_assert_ptr_null(strstr(buf_text(&seen.text), "secret"));
	ck_assert_uint_eq(seen.calls, 1);
	ck_assert_int_eq(result.stop, STOP_END);
	ck_assert(result.sent);
	ck_assert(result.usage.reported);
	ck_assert_int_eq(result.usage.prompt, 5);
	ck_assert_int_eq(result.usage.completion, (int64_t)(seen.text.len + 3) / 4);
	first = arena_strdup(arena, buf_text(&seen.text));
	request.stream = true;
	ck_assert_int_eq(generate(), RC_OK);
	ck_assert_str_eq(buf_text(&seen.text), first);
	ck_assert_uint_gt(seen.calls, 20);
	ck_assert_uint_eq(seen.rests, seen.calls - 1); /* each piece goes out by itself; what was not streamed had no rest */
}
END_TEST

START_TEST(json_passes_its_own_schema)
{
	const struct schema *schema = schema_of("{\"type\":\"object\",\"properties\":{\"title\":{\"type\":\"string\"},\"fields\":{\"type\":\"array\","
		"\"items\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"type\":{\"enum\":[\"text\",\"date\"]}},"
		"\"required\":[\"name\",\"type\"]}}},\"required\":[\"title\",\"fields\"],\"additionalProperties\":false}");

	request.output = schema;
	request.json = true;
	request.max_tokens = 2;
	for (int i = 0; i < 2; i++) {
		struct schema_faults faults;
		struct value *value;

		request.stream = i == 1;
		ck_assert_int_eq(generate(), RC_OK);
		ck_assert_int_eq(json_parse(arena, seen.text.data, seen.text.len, &value, NULL), RC_OK);
		ck_assert_int_eq(schema_check(schema, arena, value, NULL, &faults), RC_OK);
		ck_assert_int_eq(result.stop, STOP_END);
	}
	request.output = NULL;
	ck_assert_int_eq(generate(), RC_OK);
	ck_assert_int_eq(seen.text.data[0], '{');
}
END_TEST

START_TEST(a_small_cap_cuts_the_text)
{
	request.max_tokens = 3;
	ck_assert_int_eq(generate(), RC_OK);
	ck_assert_uint_eq(seen.text.len, 12);
	ck_assert_int_eq(result.stop, STOP_LENGTH);
	ck_assert_int_eq(result.usage.completion, 3);
}
END_TEST

START_TEST(a_caller_who_leaves_is_noticed)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	request.stream = true;
	request.watch_fd = ends[0];
	seen.close_fd = ends[1];
	ck_assert_int_eq(generate(), RC_GONE);
	ck_assert_int_eq(result.fault, FAULT_CALLER);
	ck_assert_uint_eq(seen.calls, 1);
	ck_assert_int_lt(clock_us() - seen.last_us, 200000);
	ck_assert_int_eq(result.usage.completion, (int64_t)(seen.text.len + 3) / 4);
	close(ends[0]);
}
END_TEST

START_TEST(callbacks_and_the_deadline_stop_it)
{
	request.stream = true;
	seen.text_rc = RC_GONE;
	ck_assert_int_eq(generate(), RC_GONE);
	ck_assert_int_eq(result.fault, FAULT_CALLER);
	seen.text_rc = RC_OK;
	request.deadline_us = clock_us() + 50000;
	ck_assert_int_eq(generate(), RC_TIMEOUT);
	ck_assert_int_eq(result.fault, FAULT_TIMEOUT);
	request.deadline_us = clock_us() + 20000000;
	request.tick_ms = 50;
	seen.ticks = 0;
	ck_assert_int_eq(generate(), RC_OK);
	ck_assert_uint_ge(seen.ticks, 5);
	seen.tick_rc = RC_GONE;
	ck_assert_int_eq(generate(), RC_GONE);
	ck_assert_int_eq(result.fault, FAULT_CALLER);
	seen.tick_rc = RC_NOMEM;
	ck_assert_int_eq(generate(), RC_NOMEM);
	ck_assert_int_eq(result.fault, FAULT_OURS);
}
END_TEST

START_TEST(a_full_arena_is_an_error_like_another)
{
	struct provider_access sample = {.provider = provider_find("sample")};
	struct arena *tight = arena_new(64);

	ck_assert_int_eq(sample_generate(&sample, tight, &request, &result), RC_NOMEM);
	ck_assert_int_eq(result.fault, FAULT_OURS);
	arena_free(tight);
}
END_TEST

START_TEST(estimates_are_rounded_up)
{
	ck_assert_int_eq(usage_estimate(0), 0);
	ck_assert_int_eq(usage_estimate(1), 1);
	ck_assert_int_eq(usage_estimate(4), 1);
	ck_assert_int_eq(usage_estimate(5), 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sample");
	TCase *tcase = tcase_create("sample");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_text_says_what_it_is_and_repeats_nothing);
	tcase_add_test(tcase, json_passes_its_own_schema);
	tcase_add_test(tcase, a_small_cap_cuts_the_text);
	tcase_add_test(tcase, a_caller_who_leaves_is_noticed);
	tcase_add_test(tcase, callbacks_and_the_deadline_stop_it);
	tcase_add_test(tcase, a_full_arena_is_an_error_like_another);
	tcase_add_test(tcase, estimates_are_rounded_up);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
