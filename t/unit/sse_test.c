/*
 * sse_test.c - event streams after the standard's own examples, cut at every place.
 */
#include "provider/sse.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static struct arena *arena;
static struct buf seen; /* "name=data;" for each event */
static enum rc answer;

static void set_up(void)
{
	arena = arena_new(1 << 22);
	buf_init(&seen, arena, 1 << 20);
	answer = RC_OK;
}

static void tear_down(void)
{
	arena_free(arena);
}

static enum rc take(void *user, const struct sse_event *event)
{
	(void)user;
	ck_assert_uint_eq(strlen(event->data), event->len);
	buf_printf(&seen, "%s=%s;", event->name, event->data);
	return answer;
}

static const struct {
	const char *stream, *events;
} cases[] = {
	{"data: one\n\n", "message=one;"},
	{"data: one\r\n\r\n", "message=one;"},
	{"data: one\r\r", "message=one;"},
	{"data: one\n\ndata: two\n\n", "message=one;message=two;"},
	{"data: one\r\n\r\ndata: two\r\rdata: three\n\n", "message=one;message=two;message=three;"},
	{"data:one\n\n", "message=one;"},
	{"data:  two spaces\n\n", "message= two spaces;"},
	{"data: YHOO\ndata: +2\ndata: 10\n\n", "message=YHOO\n+2\n10;"},
	{": a comment\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
	 "message=first event;message=second event;message= third event;"},
	{"data\n\ndata\ndata\n\ndata:", "message=;message=\n;"},
	{"data:test\n\ndata: test\n\n", "message=test;message=test;"},
	{"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\ndata: 1\n\n", "add=73857293;remove=2153;message=1;"},
	{"event: empty\n\ndata: 1\n\n", "message=1;"},
	{"event: a\nevent: b\ndata: 1\n\n", "b=1;"},
	{"\xEF\xBB\xBF" "data: marked\n\n", "message=marked;"},
	{"\xEF\xBB\xBF\xEF\xBB\xBF" "data: twice\n\n", ""},
	{"data: 1\n\n\xEF\xBB\xBF" "data: late\n\n", "message=1;"},
	{"retry: 10\nnonsense\nother: x\nDATA: x\ndata : x\ndata: y\n\n", "message=y;"},
	{"data: a:b: c\n\n", "message=a:b: c;"},
	{"event: add\r\ndata: 1\r\ndata: 2\r\n\r\n", "add=1\n2;"},
	{"event: add\rdata: 1\rdata: 2\r\r", "add=1\n2;"},
	{"database: 1\neventual: x\ndata: y\n\n", "message=y;"},
	{"data: without an end\n", ""},
	{"data: without an end", ""},
	{"\n\n\r\n\r\r", ""},
	{"data: gr\xC3\xBC\xC3\x9F\x65\n\n", "message=gr\xC3\xBC\xC3\x9F\x65;"},
	{"{\"error\": \"not an event stream\"}", ""},
	{"", ""},
};

static void expect(const char *stream, size_t first, size_t second, const char *events)
{
	size_t n = strlen(stream);
	struct sse sse;

	buf_clear(&seen);
	sse_init(&sse, arena, 4096, take, NULL);
	ck_assert_int_eq(sse_feed(&sse, stream, first), RC_OK);
	ck_assert_int_eq(sse_feed(&sse, stream + first, second - first), RC_OK);
	ck_assert_int_eq(sse_feed(&sse, stream + second, n - second), RC_OK);
	ck_assert_msg(strcmp(buf_text(&seen), events) == 0, "cut at %zu and %zu: %s", first, second, buf_text(&seen));
}

START_TEST(streams_are_read_however_they_are_cut)
{
	const char *stream = cases[_i].stream;
	size_t n = strlen(stream);

	for (size_t first = 0; first <= n; first++)
		for (size_t second = first; second <= n; second++)
			expect(stream, first, second, cases[_i].events);
}
END_TEST

START_TEST(streams_are_read_byte_by_byte)
{
	const char *stream = cases[_i].stream;
	struct sse sse;

	sse_init(&sse, arena, 4096, take, NULL);
	for (size_t i = 0; i < strlen(stream); i++) {
		ck_assert_int_eq(sse_feed(&sse, stream + i, 1), RC_OK);
		ck_assert_int_eq(sse_feed(&sse, stream + i, 0), RC_OK);
	}
	ck_assert_str_eq(buf_text(&seen), cases[_i].events);
}
END_TEST

START_TEST(the_handlers_result_ends_it)
{
	struct sse sse;

	sse_init(&sse, arena, 4096, take, NULL);
	answer = RC_DONE;
	ck_assert_int_eq(sse_feed(&sse, "data: 1\n\ndata: 2\n\n", 18), RC_DONE);
	ck_assert_str_eq(buf_text(&seen), "message=1;");
}
END_TEST

START_TEST(lines_and_events_have_a_cap)
{
	struct sse sse;
	enum rc rc = RC_OK;

	sse_init(&sse, arena, 100, take, NULL);
	for (int i = 0; i < 200 && rc == RC_OK; i++)
		rc = sse_feed(&sse, "x", 1);
	ck_assert_int_eq(rc, RC_TOOBIG);

	sse_init(&sse, arena, 100, take, NULL);
	rc = RC_OK;
	for (int i = 0; i < 200 && rc == RC_OK; i++)
		rc = sse_feed(&sse, "data: x\n", 8);
	ck_assert_int_eq(rc, RC_TOOBIG);

	sse_init(&sse, arena, 1000, take, NULL);
	rc = sse_feed(&sse, "event: ", 7);
	for (int i = 0; i < 400 && rc == RC_OK; i++)
		rc = sse_feed(&sse, "n", 1);
	ck_assert_int_eq(rc, RC_OK);
	ck_assert_int_eq(sse_feed(&sse, "\n", 1), RC_TOOBIG);
}
END_TEST

START_TEST(a_long_stream_takes_no_more_memory)
{
	struct sse sse;
	size_t used;

	sse_init(&sse, arena, 4096, take, NULL);
	ck_assert_int_eq(sse_feed(&sse, "data: {\"delta\": \"some ", 22), RC_OK);
	ck_assert_int_eq(sse_feed(&sse, "text\"}\n\n", 8), RC_OK);
	buf_clear(&seen);
	used = arena_used(arena);
	for (int i = 0; i < 10000; i++) {
		ck_assert_int_eq(sse_feed(&sse, "data: {\"delta\": \"some ", 22), RC_OK);
		ck_assert_int_eq(sse_feed(&sse, "text\"}\n\n", 8), RC_OK);
		buf_clear(&seen);
	}
	ck_assert_uint_eq(arena_used(arena), used);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sse");
	TCase *tcase = tcase_create("sse");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, streams_are_read_however_they_are_cut, 0, COUNT_OF(cases));
	tcase_add_loop_test(tcase, streams_are_read_byte_by_byte, 0, COUNT_OF(cases));
	tcase_add_test(tcase, the_handlers_result_ends_it);
	tcase_add_test(tcase, lines_and_events_have_a_cap);
	tcase_add_test(tcase, a_long_stream_takes_no_more_memory);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
