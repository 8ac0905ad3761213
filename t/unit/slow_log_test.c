/*
 * slow_log_test.c - which requests are slow, and what is written of them, without waiting for any: their beginnings lie in the past.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/settings.h"
#include "request/slow_log.h"
#include "unit.h"

#define SECOND INT64_C(1000000)

static struct settings settings;
static struct service service;
static struct fcgi *fcgi;
static int ends[2];

static void set_up(void)
{
	settings_init(&settings);
	settings.request_slowlog_timeout = 60 * 1000;
	service = (struct service){.settings = &settings};
	ck_assert_int_eq(fcgi_new(-1, &fcgi), RC_OK);
	ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
	log_open(STDERR_FILENO, LOG_ERROR_); /* an entry is none of the log's lines */
	slow_log_open(ends[1]);
}

static void tear_down(void)
{
	slow_log_open(-1);
	close(ends[0]);
	close(ends[1]);
	fcgi_free(fcgi);
	settings_free(&settings);
}

static struct request request(enum answer_mode mode, int64_t seconds_ago)
{
	return (struct request){.service = &service, .fcgi = fcgi, .id = "req_0000000000000000000001", .mode = mode, .started_us = clock_us() - seconds_ago * SECOND};
}

/* What was written since the last time; "" for nothing. */
static const char *written(void)
{
	static char text[2 * LOG_LINE_MAX];
	ssize_t n = read(ends[0], text, sizeof text - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static long number(const char *line, const char *name)
{
	const char *at = strstr(line, name);

	ck_assert_msg(at != NULL, "no %s in %s", name, line);
	return atol(at + strlen(name));
}

START_TEST(an_answer_in_one_piece_is_waited_for_as_a_whole)
{
	struct request slow = request(ANSWER_JSON, 61), quick = request(ANSWER_JSON, 1);
	const char *line;

	slow_log_end(&quick);
	ck_assert_str_eq(written(), "");
	slow_log_text(&slow); /* goes to nobody yet */
	slow_log_end(&slow);
	line = written();
	ck_assert_ptr_nonnull(strstr(line, " warning slow id=req_0000000000000000000001 wait_us=61"));
	ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
	settings.request_slowlog_timeout = 0;
	slow_log_end(&slow);
	ck_assert_str_eq(written(), "");
	settings.request_slowlog_timeout = 60 * 1000;
	slow_log_open(-1);
	slow_log_end(&slow);
	ck_assert_str_eq(written(), "");
}
END_TEST

START_TEST(a_stream_is_waited_for_text_by_text)
{
	struct request late = request(ANSWER_SSE, 61), lasting = request(ANSWER_TEXT, 1);

	slow_log_text(&late);
	slow_log_text(&late);
	slow_log_end(&late);
	ck_assert_int_ge(number(written(), " wait_us="), 61 * SECOND);
	/* An hour of text, a piece a second. */
	slow_log_text(&lasting);
	lasting.started_us -= 3600 * SECOND;
	slow_log_text(&lasting);
	slow_log_end(&lasting);
	ck_assert_str_eq(written(), "");
	/* Then nothing for a while, and text again. */
	lasting.wait.since_us -= 62 * SECOND;
	slow_log_text(&lasting);
	slow_log_end(&lasting);
	ck_assert_int_ge(number(written(), " wait_us="), 62 * SECOND);
	/* And a while until its end. */
	lasting.wait.since_us -= 63 * SECOND;
	slow_log_end(&lasting);
	ck_assert_int_ge(number(written(), " wait_us="), 63 * SECOND);
}
END_TEST

START_TEST(an_entry_tells_where_the_time_went_and_nothing_that_was_said)
{
	static const char *const steps[] = {"read", "authenticate", "validate", "render", "idempotency", "admit", "generate", "check", "repair", "respond", "settle"};
	struct request rq = request(ANSWER_JSON, 90);
	const char *line;

	rq.method = "POST";
	rq.path = "/whispered/path";
	rq.body = "whispered body";
	rq.body_len = strlen(rq.body);
	rq.body_sent = "whispered answer";
	rq.usage = "whispered usage";
	rq.supplier = "0b1f0e32-6f1b-4a3a-9d3e-000000000001";
	rq.model = "gpt-4o-mini";
	rq.wait.same_answer_us = 12345;
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		rq.steps[rq.step_count].name = steps[i];
		rq.steps[rq.step_count++].us = 2000000000;
	}
	slow_log_end(&rq);
	line = written();
	ck_assert_ptr_nonnull(strstr(line, " supplier=0b1f0e32-6f1b-4a3a-9d3e-000000000001 status=0 mode=json us=90"));
	ck_assert_ptr_nonnull(strstr(line, " model=gpt-4o-mini "));
	ck_assert_ptr_nonnull(strstr(line, " sending_us=0 same_answer_us=12345 "));
	ck_assert_ptr_nonnull(strstr(line, " steps_us=read:2000000000,authenticate:2000000000,"));
	ck_assert_ptr_nonnull(strstr(line, ",settle:2000000000\n"));
	ck_assert_msg(strstr(line, "whispered") == NULL, "%s", line);
	rq.admission.ticket = "ticket";
	rq.admission.model = "gpt-5";
	rq.calls = 2;
	rq.result = (struct provider_result){.first_text_us = 77, .status = 503, .fault = FAULT_UPSTREAM};
	slow_log_end(&rq);
	line = written();
	ck_assert_ptr_nonnull(strstr(line, " model=gpt-5 "));
	ck_assert_ptr_null(strstr(line, "gpt-4o-mini"));
	ck_assert_ptr_nonnull(strstr(line, " calls=2 first_text_us=77 fault="));
	ck_assert_ptr_nonnull(strstr(line, " upstream_status=503 "));
}
END_TEST

/* Whoever reads the pipe has stopped reading, or has gone; a disk is full. */
START_TEST(a_log_that_takes_nothing_keeps_nobody_waiting)
{
	static const char filling[4096];
	struct request rq = request(ANSWER_JSON, 61);
	int full = open("/dev/full", O_WRONLY);

	while (write(ends[1], filling, sizeof filling) > 0)
		;
	ck_assert_int_eq(errno, EAGAIN);
	slow_log_end(&rq);
	ck_assert_int_eq(fcgi_init(), RC_OK); /* ignores SIGPIPE */
	close(ends[0]);
	slow_log_end(&rq);
	slow_log_open(full);
	slow_log_end(&rq);
	ends[0] = full;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("slow_log");
	TCase *tc = tcase_create("slow_log");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, an_answer_in_one_piece_is_waited_for_as_a_whole);
	tcase_add_test(tc, a_stream_is_waited_for_text_by_text);
	tcase_add_test(tc, an_entry_tells_where_the_time_went_and_nothing_that_was_said);
	tcase_add_test(tc, a_log_that_takes_nothing_keeps_nobody_waiting);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
