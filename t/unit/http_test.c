/*
 * http_test.c - exchanges with a server that behaves, and with ones that do not.
 */
#include "port/http.h"

#include <check.h>
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "upstream.h"
#include "unit.h"

#define CA_FILE "/tmp/prompt-fpm-http-test-ca.pem"
#define OTHER_CA_FILE "/tmp/prompt-fpm-http-test-other-ca.pem"

static struct http_pool *pool;
static struct arena *arena;

/* What the callbacks saw, and what they are to answer. */
static struct {
	char body[8192];
	size_t len, total;
	unsigned calls, ticks;
	int status;
	enum rc body_rc, tick_rc;
	int close_fd; /* is closed at the first body call; 0 for none */
	int64_t first_us;
} seen;

static struct http_pool *new_pool(unsigned keep, const char *ca_file, int connect_timeout_ms)
{
	struct http_settings settings = {.ca_file = ca_file, .user_agent = "test/1", .keep = keep, .connect_timeout_ms = connect_timeout_ms};
	struct http_pool *made = NULL;

	ck_assert_int_eq(http_pool_new(&settings, &made), RC_OK);
	return made;
}

static void set_up(void)
{
	pool = new_pool(8, NULL, 2000);
	arena = arena_new(1 << 22);
	memset(&seen, 0, sizeof seen);
}

static void tear_down(void)
{
	arena_free(arena);
	http_pool_free(pool);
	upstream_stop_all();
}

static enum rc take_body(void *user, int status, const char *bytes, size_t n)
{
	(void)user;
	if (seen.calls++ == 0)
		seen.first_us = clock_us();
	seen.status = status;
	seen.total += n;
	if (n < sizeof seen.body - seen.len) {
		memcpy(seen.body + seen.len, bytes, n);
		seen.len += n;
	}
	if (seen.close_fd != 0)
		close(seen.close_fd);
	seen.close_fd = 0;
	return seen.body_rc;
}

static enum rc take_tick(void *user)
{
	(void)user;
	seen.ticks++;
	return seen.tick_rc;
}

static struct http_call call_to(const char *scheme, int port)
{
	struct http_call call = {.body = "{}", .body_len = 2, .watch_fd = -1, .on_body = take_body, .on_tick = take_tick};

	call.url = arena_printf(arena, "%s://127.0.0.1:%d/v1/x", scheme, port);
	call.deadline_us = clock_us() + 5000000;
	return call;
}

static enum rc exchange(const struct http_call *call, struct http_outcome *outcome)
{
	return http_exchange(pool, arena, call, outcome);
}

static void serve_ok(struct upstream_conn *conn, const char *request, void *user)
{
	(void)request;
	(void)user;
	upstream_answer(conn, 200, "", "hello");
}

START_TEST(an_answer_comes_whole)
{
	struct upstream *up = upstream_new(serve_ok, NULL, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;

	ck_assert_int_eq(exchange(&call, &outcome), RC_OK);
	ck_assert_int_eq(outcome.status, 200);
	ck_assert_int_eq(seen.status, 200);
	ck_assert(outcome.sent);
	ck_assert_int_gt(outcome.first_byte_us, 0);
	ck_assert_str_eq(seen.body, "hello");
}
END_TEST

START_TEST(the_next_call_uses_the_same_connection)
{
	struct upstream *up = upstream_new(serve_ok, NULL, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;

	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(exchange(&call, &outcome), RC_OK);
	ck_assert_int_eq(upstream_requests(up), 5);
	ck_assert_int_eq(upstream_connections(up), 1);
}
END_TEST

static void serve_and_hang_up(struct upstream_conn *conn, const char *request, void *user)
{
	serve_ok(conn, request, user);
	upstream_close(conn);
}

START_TEST(a_connection_that_died_meanwhile_is_replaced)
{
	struct upstream *up = upstream_new(serve_and_hang_up, NULL, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;

	for (int i = 1; i <= 3; i++) {
		ck_assert_int_eq(exchange(&call, &outcome), RC_OK);
		ck_assert(upstream_wait_closed(up, i));
	}
	ck_assert_int_eq(upstream_connections(up), 3);
}
END_TEST

static void serve_once_and_die(struct upstream_conn *conn, const char *request, void *user)
{
	(void)request;
	if ((*(int *)user)++ == 0)
		upstream_answer(conn, 200, "", "hello");
	else
		upstream_reset(conn);
}

START_TEST(what_was_sent_is_not_sent_again)
{
	int served = 0;
	struct upstream *up = upstream_new(serve_once_and_die, &served, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;

	ck_assert_int_eq(exchange(&call, &outcome), RC_OK);
	ck_assert_int_eq(exchange(&call, &outcome), RC_PROTOCOL);
	ck_assert(outcome.sent);
	ck_assert_str_eq(outcome.detail, "connection lost before the answer");
	ck_assert_int_eq(upstream_requests(up), 2);
	ck_assert_int_eq(upstream_connections(up), 1);
}
END_TEST

static void serve_too_much(struct upstream_conn *conn, const char *request, void *user)
{
	(void)request;
	upstream_printf(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged%s", (const char *)user);
}

START_TEST(what_an_upstream_says_unasked_answers_nobody)
{
	struct upstream *up = upstream_new(serve_too_much, "", NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;

	for (int i = 0; i < 3; i++) {
		seen.len = 0;
		ck_assert_int_eq(exchange(&call, &outcome), RC_OK);
		seen.body[seen.len] = '\0';
		ck_assert_str_eq(seen.body, "hello");
	}
	ck_assert_int_eq(upstream_connections(up), 3);
}
END_TEST

START_TEST(each_origin_keeps_its_connection)
{
	struct upstream *one = upstream_new(serve_ok, NULL, NULL), *two = upstream_new(serve_ok, NULL, NULL);
	struct http_call first = call_to("http", upstream_port(one)), second = call_to("http", upstream_port(two));
	struct http_outcome outcome;

	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(exchange(&first, &outcome), RC_OK);
		ck_assert_int_eq(exchange(&second, &outcome), RC_OK);
	}
	ck_assert_int_eq(upstream_connections(one), 1);
	ck_assert_int_eq(upstream_connections(two), 1);
}
END_TEST

static char request_seen[2 << 20];

static void serve_and_keep(struct upstream_conn *conn, const char *request, void *user)
{
	snprintf(request_seen, sizeof request_seen, "%s", request);
	serve_ok(conn, request, user);
}

START_TEST(each_url_keeps_its_connection)
{
	struct upstream *up = upstream_new(serve_and_keep, NULL, NULL);
	struct http_call first = call_to("http", upstream_port(up)), second = first;
	struct http_outcome outcome;

	second.url = arena_printf(arena, "http://127.0.0.1:%d/v1/other?a=b", upstream_port(up));
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(exchange(&first, &outcome), RC_OK);
		ck_assert_msg(strncmp(request_seen, "POST /v1/x HTTP", 15) == 0, "%s", request_seen);
		ck_assert_int_eq(exchange(&second, &outcome), RC_OK);
		ck_assert_msg(strncmp(request_seen, "POST /v1/other?a=b HTTP", 23) == 0, "%s", request_seen);
	}
	ck_assert_int_eq(upstream_connections(up), 2);
}
END_TEST

START_TEST(headers_and_body_go_out_as_given)
{
	struct upstream *up = upstream_new(serve_and_keep, NULL, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	const struct http_header headers[] = {{"Content-Type", "application/json"}, {"Authorization", "Bearer secret"}};
	struct http_outcome outcome;

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	call.headers = headers;
	call.header_count = 2;
	ck_assert_int_eq(exchange(&call, &outcome), RC_OK);
	ck_assert(str_starts(request_seen, "POST /v1/x HTTP/1.1\r\n"));
	ck_assert_ptr_nonnull(strstr(request_seen, "\r\nAuthorization: Bearer secret\r\n"));
	ck_assert_ptr_nonnull(strstr(request_seen, "\r\nContent-Type: application/json\r\n"));
	ck_assert_ptr_nonnull(strstr(request_seen, "\r\nUser-Agent: test/1\r\n"));
	ck_assert_ptr_null(strcasestr(request_seen, "\r\nExpect"));
	ck_assert_ptr_null(strcasestr(request_seen, "\r\nAccept-Encoding"));
	ck_assert_ptr_nonnull(strstr(request_seen, "\r\n\r\n{}"));
}
END_TEST

START_TEST(a_large_body_goes_out_whole)
{
	struct upstream *up = upstream_new(serve_and_keep, NULL, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;
	size_t n = 1500000;
	char *body = malloc(n + 1);

	memset(body, 'b', n);
	body[n] = '\0';
	call.body = body;
	call.body_len = n;
	ck_assert_int_eq(exchange(&call, &outcome), RC_OK);
	ck_assert_uint_eq(strlen(strstr(request_seen, "\r\n\r\n") + 4), n);
	free(body);
}
END_TEST

START_TEST(what_cannot_be_sent_is_not)
{
	struct upstream *up = upstream_new(serve_ok, NULL, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	const struct http_header forged[] = {{"X-Key", "a\r\nX-Other: b"}};
	static const char *const urls[] = {"ftp://127.0.0.1/x", "file:///etc/passwd", "http://", "nonsense://x"};
	struct http_outcome outcome;

	call.headers = forged;
	call.header_count = 1;
	ck_assert_int_eq(exchange(&call, &outcome), RC_INVALID);
	ck_assert(!outcome.sent);
	call.header_count = 0;
	for (size_t i = 0; i < COUNT_OF(urls); i++) {
		call.url = urls[i];
		ck_assert_msg(exchange(&call, &outcome) == RC_INVALID, "%s", urls[i]);
		ck_assert(!outcome.sent);
		ck_assert_int_eq(outcome.status, 0);
	}
	call.url = arena_printf(arena, "127.0.0.1:%d/v1/x", upstream_port(up)); /* to guess that http is meant would be to send a key in clear */
	ck_assert_int_eq(exchange(&call, &outcome), RC_INVALID);
	ck_assert_int_eq(upstream_requests(up), 0);
}
END_TEST

START_TEST(nobody_listening_is_unavailable_and_unsent)
{
	struct http_call call = call_to("http", upstream_dead_port());
	struct http_outcome outcome;

	ck_assert_int_eq(exchange(&call, &outcome), RC_UNAVAILABLE);
	ck_assert(!outcome.sent);
	ck_assert_int_eq(outcome.status, 0);
	ck_assert_ptr_nonnull(outcome.detail);
	call.url = "http://no-such-host.invalid/x";
	ck_assert_int_eq(exchange(&call, &outcome), RC_UNAVAILABLE);
	ck_assert(!outcome.sent);
}
END_TEST

START_TEST(connecting_has_its_own_time_out)
{
	struct http_call call = call_to("http", upstream_stuck_port());
	struct http_outcome outcome;
	int64_t started = clock_us();

	http_pool_free(pool);
	pool = new_pool(1, NULL, 150);
	ck_assert_int_eq(exchange(&call, &outcome), RC_UNAVAILABLE);
	ck_assert(!outcome.sent);
	ck_assert_int_lt(clock_us() - started, 1000000);
	call.deadline_us = clock_us() + 50000;
	ck_assert_int_eq(exchange(&call, &outcome), RC_TIMEOUT);
	ck_assert(!outcome.sent);
}
END_TEST

static void serve_silence(struct upstream_conn *conn, const char *request, void *user)
{
	(void)request;
	(void)user;
	upstream_wait_gone(conn);
}

START_TEST(the_deadline_holds)
{
	struct upstream *up = upstream_new(serve_silence, NULL, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;
	int64_t started = clock_us(), took;

	call.deadline_us = started + 120000;
	ck_assert_int_eq(exchange(&call, &outcome), RC_TIMEOUT);
	took = clock_us() - started;
	ck_assert(outcome.sent);
	ck_assert_str_eq(outcome.detail, "deadline");
	ck_assert_int_ge(took, 120000);
	ck_assert_int_lt(took, 400000);
	ck_assert(upstream_wait_closed(up, 1));
}
END_TEST

static void serve_two_and_stop(struct upstream_conn *conn, const char *request, void *user)
{
	(void)request;
	upstream_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
	for (int i = 0; i < *(int *)user; i++) {
		upstream_pause(60);
		upstream_text(conn, "x");
	}
	upstream_wait_gone(conn);
}

START_TEST(silence_ends_it_and_a_trickle_does_not)
{
	int pieces = 5;
	struct upstream *up = upstream_new(serve_two_and_stop, &pieces, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;
	int64_t started = clock_us(), took;

	call.idle_ms = 200;
	ck_assert_int_eq(exchange(&call, &outcome), RC_TIMEOUT);
	took = clock_us() - started;
	ck_assert_str_eq(outcome.detail, "silence");
	ck_assert_int_eq(outcome.status, 200);
	ck_assert_uint_eq(seen.total, 5);
	ck_assert_int_ge(took, 490000);
	ck_assert_int_lt(took, 1200000);
}
END_TEST

static void make_caller(int ends[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

START_TEST(a_caller_who_leaves_ends_it_and_the_pool_goes_on)
{
	int ends[2], pieces = 1;
	struct upstream *up = upstream_new(serve_two_and_stop, &pieces, NULL), *good = upstream_new(serve_ok, NULL, NULL);
	struct http_call call = call_to("http", upstream_port(up)), next = call_to("http", upstream_port(good));
	struct http_outcome outcome;

	for (int i = 1; i <= 3; i++) {
		make_caller(ends);
		seen.calls = 0;
		call.watch_fd = ends[0];
		seen.close_fd = ends[1];
		ck_assert_int_eq(exchange(&call, &outcome), RC_GONE);
		ck_assert_int_lt(clock_us() - seen.first_us, 200000);
		ck_assert(outcome.sent);
		ck_assert(upstream_wait_closed(up, i));
		ck_assert_int_eq(exchange(&next, &outcome), RC_OK);
		close(ends[0]);
	}
}
END_TEST

START_TEST(a_caller_who_has_left_before_costs_nothing)
{
	struct upstream *up = upstream_new(serve_ok, NULL, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;
	int ends[2];

	make_caller(ends);
	close(ends[1]);
	call.watch_fd = ends[0];
	ck_assert_int_eq(exchange(&call, &outcome), RC_GONE);
	ck_assert(!outcome.sent);
	call.watch_fd = -1;
	ck_assert_int_eq(exchange(&call, &outcome), RC_OK);
	ck_assert_int_eq(upstream_connections(up), 1);
	close(ends[0]);
}
END_TEST

static int64_t cpu_us(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

static void *close_later(void *user)
{
	upstream_pause(500);
	close(*(int *)user);
	return NULL;
}

START_TEST(a_caller_who_talks_does_not_keep_us_busy)
{
	struct upstream *up = upstream_new(serve_silence, NULL, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;
	int64_t started, used;
	pthread_t thread;
	int ends[2];

	make_caller(ends);
	ck_assert_int_eq(write(ends[1], "unexpected", 10), 10);
	call.watch_fd = ends[0];
	ck_assert_int_eq(pthread_create(&thread, NULL, close_later, &ends[1]), 0);
	started = clock_us();
	used = cpu_us();
	ck_assert_int_eq(exchange(&call, &outcome), RC_GONE);
	ck_assert_int_lt(cpu_us() - used, 100000);
	ck_assert_int_lt(clock_us() - started, 1000000);
	pthread_join(thread, NULL);
	close(ends[0]);
}
END_TEST

START_TEST(ticks_come_in_silence_and_can_end_it)
{
	struct upstream *up = upstream_new(serve_silence, NULL, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;

	call.tick_ms = 30;
	call.deadline_us = clock_us() + 400000;
	ck_assert_int_eq(exchange(&call, &outcome), RC_TIMEOUT);
	ck_assert_uint_ge(seen.ticks, 6);
	ck_assert_uint_le(seen.ticks, 13);
	seen.tick_rc = RC_GONE;
	call.deadline_us = clock_us() + 5000000;
	ck_assert_int_eq(exchange(&call, &outcome), RC_GONE);
}
END_TEST

START_TEST(a_callback_can_end_it)
{
	int pieces = 1;
	struct upstream *up = upstream_new(serve_two_and_stop, &pieces, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;

	seen.body_rc = RC_DENIED;
	ck_assert_int_eq(exchange(&call, &outcome), RC_DENIED);
	ck_assert_uint_eq(seen.calls, 1);
	ck_assert_int_eq(outcome.status, 200);
	ck_assert(upstream_wait_closed(up, 1));
}
END_TEST

static void serve_late_end(struct upstream_conn *conn, const char *request, void *user)
{
	(void)request;
	upstream_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
	upstream_pause(*(int *)user);
	upstream_text(conn, "cd");
}

START_TEST(enough_is_enough_and_keeps_the_connection)
{
	int ms = 10;
	struct upstream *up = upstream_new(serve_late_end, &ms, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;

	seen.body_rc = RC_DONE;
	ck_assert_int_eq(exchange(&call, &outcome), RC_OK);
	ck_assert_int_eq(exchange(&call, &outcome), RC_OK);
	ck_assert_uint_eq(seen.calls, 2);
	ck_assert_int_eq(upstream_connections(up), 1);
}
END_TEST

START_TEST(enough_does_not_wait_for_ever)
{
	int ms = 600;
	struct upstream *up = upstream_new(serve_late_end, &ms, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;
	int64_t started = clock_us();

	seen.body_rc = RC_DONE;
	ck_assert_int_eq(exchange(&call, &outcome), RC_OK);
	ck_assert_int_lt(clock_us() - started, 400000);
	ck_assert_int_eq(outcome.status, 200);
}
END_TEST

static void serve_text_and_close(struct upstream_conn *conn, const char *request, void *user)
{
	(void)request;
	upstream_text(conn, user);
	upstream_close(conn);
}

START_TEST(what_is_cut_or_garbage_is_told)
{
	static const char *const texts[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
		"HTTP/1.1 200 OK\r\nContent-Le",
		"complete nonsense\r\n\r\n",
		"",
	};

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct upstream *up = upstream_new(serve_text_and_close, (void *)(uintptr_t)texts[i], NULL);
		struct http_call call = call_to("http", upstream_port(up));
		struct http_outcome outcome;
		enum rc rc = exchange(&call, &outcome);

		ck_assert_msg(rc == RC_PROTOCOL, "%zu: %s (%s)", i, rc_name(rc), outcome.detail);
		ck_assert(outcome.sent);
		ck_assert_ptr_null(strstr(outcome.detail, "nonsense"));
	}
}
END_TEST

static void serve_reset(struct upstream_conn *conn, const char *request, void *user)
{
	(void)request;
	(void)user;
	upstream_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
	upstream_pause(30);
	upstream_reset(conn);
}

START_TEST(a_reset_is_a_cut)
{
	struct upstream *up = upstream_new(serve_reset, NULL, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;

	ck_assert_int_eq(exchange(&call, &outcome), RC_PROTOCOL);
	ck_assert(outcome.sent);
	ck_assert_str_eq(seen.body, "short");
}
END_TEST

static void serve_endless_headers(struct upstream_conn *conn, const char *request, void *user)
{
	(void)request;
	(void)user;
	upstream_text(conn, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 1000000 && upstream_printf(conn, "X-%d: some value that is long enough\r\n", i); i++)
		;
}

static void serve_endless_header(struct upstream_conn *conn, const char *request, void *user)
{
	(void)request;
	(void)user;
	upstream_text(conn, "HTTP/1.1 200 OK\r\nX-Endless: ");
	for (int i = 0; i < 1000000 && upstream_text(conn, "some value that is long enough, "); i++)
		;
}

/* 100 and 103 are words on the way: who breaks off or falls silent behind them has not answered. */
static void serve_interim(struct upstream_conn *conn, const char *request, void *user)
{
	const bool *closes = user;

	(void)request;
	upstream_text(conn, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
	if (*closes)
		upstream_close(conn);
	else
		upstream_wait_gone(conn);
}

START_TEST(an_interim_answer_is_none)
{
	for (int closes = 0; closes < 2; closes++) {
		bool user = closes;
		struct upstream *up = upstream_new(serve_interim, &user, NULL);
		struct http_call call = call_to("http", upstream_port(up));
		struct http_outcome outcome;

		call.idle_ms = 100;
		ck_assert_int_eq(exchange(&call, &outcome), closes ? RC_PROTOCOL : RC_TIMEOUT);
		ck_assert_int_eq(outcome.status, 0);
		ck_assert(outcome.sent);
		upstream_settle(up);
	}
}
END_TEST

START_TEST(headers_have_a_cap)
{
	upstream_serve *const endless[] = {serve_endless_headers, serve_endless_header};

	for (size_t i = 0; i < COUNT_OF(endless); i++) {
		struct upstream *up = upstream_new(endless[i], NULL, NULL);
		struct http_call call = call_to("http", upstream_port(up));
		struct http_outcome outcome;

		ck_assert_int_eq(exchange(&call, &outcome), RC_PROTOCOL);
		ck_assert_str_eq(outcome.detail, "headers without end");
	}
}
END_TEST

static void serve_status(struct upstream_conn *conn, const char *request, void *user)
{
	(void)request;
	upstream_answer(conn, 429, user, "slow down");
}

static int retry_after(const char *header)
{
	struct upstream *up = upstream_new(serve_status, (void *)(uintptr_t)header, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;

	ck_assert_int_eq(exchange(&call, &outcome), RC_OK);
	ck_assert_int_eq(outcome.status, 429);
	ck_assert_int_eq(seen.status, 429);
	return outcome.retry_after_s;
}

START_TEST(retry_after_is_read_and_bounded)
{
	char date[128];
	time_t later = time(NULL) + 90;
	struct tm utc;
	int s;

	ck_assert_int_eq(retry_after("Retry-After: 17\r\n"), 17);
	ck_assert_int_eq(retry_after("retry-after: 99999999999\r\n"), 86400);
	ck_assert_int_eq(retry_after("Retry-After: soon\r\n"), 0);
	ck_assert_int_eq(retry_after("Retry-After: -5\r\n"), 0);
	ck_assert_int_eq(retry_after("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n"), 0);
	ck_assert_int_eq(retry_after(""), 0);
	gmtime_r(&later, &utc);
	strftime(date, sizeof date, "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
	s = retry_after(date);
	ck_assert_msg(s >= 85 && s <= 90, "%d", s);
}
END_TEST

static void serve_redirect(struct upstream_conn *conn, const char *request, void *user)
{
	(void)request;
	(void)user;
	upstream_answer(conn, 302, "Location: /elsewhere\r\n", "");
}

START_TEST(redirects_are_not_followed)
{
	struct upstream *up = upstream_new(serve_redirect, NULL, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;

	ck_assert_int_eq(exchange(&call, &outcome), RC_OK);
	ck_assert_int_eq(outcome.status, 302);
	ck_assert_int_eq(outcome.first_byte_us, 0);
	ck_assert_int_eq(upstream_requests(up), 1);
}
END_TEST

static void serve_stream(struct upstream_conn *conn, const char *request, void *user)
{
	(void)request;
	(void)user;
	upstream_text(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 10; i++) {
		upstream_text(conn, "4\r\nabc \r\n");
		upstream_pause(20);
	}
	upstream_text(conn, "0\r\n\r\n");
}

START_TEST(pieces_are_passed_on_as_they_come)
{
	struct upstream *up = upstream_new(serve_stream, NULL, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	struct http_outcome outcome;

	ck_assert_int_eq(exchange(&call, &outcome), RC_OK);
	ck_assert_uint_eq(seen.calls, 10);
	ck_assert_uint_eq(seen.total, 40);
	ck_assert_int_lt(outcome.first_byte_us, 100000);
}
END_TEST

START_TEST(tls_is_verified_and_reused)
{
	struct upstream_tls tls = {.name = "IP:127.0.0.1", .ca_file = CA_FILE};
	struct upstream *up = upstream_new(serve_ok, NULL, &tls);
	struct http_call call = call_to("https", upstream_port(up));
	struct http_outcome outcome;

	http_pool_free(pool);
	pool = new_pool(4, CA_FILE, 2000);
	for (int i = 0; i < 3; i++) {
		enum rc rc = exchange(&call, &outcome);

		ck_assert_msg(rc == RC_OK, "%s: %s", rc_name(rc), outcome.detail);
	}
	ck_assert(outcome.sent);
	ck_assert_int_eq(upstream_connections(up), 1);
}
END_TEST

START_TEST(tls_sessions_are_shared_by_all_handles)
{
	struct upstream_tls tls = {.name = "IP:127.0.0.1", .ca_file = CA_FILE};
	struct upstream *up = upstream_new(serve_and_hang_up, NULL, &tls);
	struct http_call call = call_to("https", upstream_port(up));
	struct http_outcome outcome;

	http_pool_free(pool);
	pool = new_pool(0, CA_FILE, 2000); /* each call has a handle of its own */
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(exchange(&call, &outcome), RC_OK);
	ck_assert_int_eq(upstream_connections(up), 4);
	ck_assert_int_ge(upstream_resumed(up), 3);
}
END_TEST

static void expect_distrust(const struct upstream_tls *tls, const char *ca_file)
{
	struct upstream *up = upstream_new(serve_ok, NULL, tls);
	struct http_call call = call_to("https", upstream_port(up));
	struct http_outcome outcome;
	enum rc rc;

	http_pool_free(pool);
	pool = new_pool(4, ca_file, 2000);
	rc = exchange(&call, &outcome);
	ck_assert_msg(rc == RC_UNAVAILABLE, "%s: %s", rc_name(rc), outcome.detail);
	ck_assert(!outcome.sent);
	ck_assert_int_eq(upstream_requests(up), 0);
}

START_TEST(what_tls_cannot_trust_gets_nothing)
{
	struct upstream_tls other = {.name = "IP:127.0.0.1", .ca_file = OTHER_CA_FILE};
	struct upstream_tls good = {.name = "IP:127.0.0.1", .ca_file = CA_FILE};
	struct upstream_tls elsewhere = {.name = "DNS:elsewhere.test", .ca_file = CA_FILE};
	struct upstream_tls old = {.name = "IP:127.0.0.1", .ca_file = CA_FILE, .old = true};

	upstream_new(serve_ok, NULL, &other);
	expect_distrust(&good, OTHER_CA_FILE);
	expect_distrust(&good, NULL);
	expect_distrust(&elsewhere, CA_FILE);
	expect_distrust(&old, CA_FILE);
	expect_distrust(&good, "/nonexistent/ca.pem");
	expect_distrust(&good, "/dev/null");
}
END_TEST

START_TEST(tls_to_one_who_speaks_plainly_is_unavailable)
{
	struct upstream *up = upstream_new(serve_ok, NULL, NULL);
	struct http_call call = call_to("https", upstream_port(up));
	struct http_outcome outcome;

	call.deadline_us = clock_us() + 1000000;
	ck_assert_int_ne(exchange(&call, &outcome), RC_OK);
	ck_assert(!outcome.sent);
}
END_TEST

#define THREADS 64
#define CALLS 12

struct caller {
	struct upstream *up;
	const char *scheme;
	unsigned number, bad;
};

static enum rc count_body(void *user, int status, const char *bytes, size_t n)
{
	struct caller *caller = user;

	(void)bytes;
	caller->bad += status != 200;
	return n > 0 && caller->number % 8 == 7 ? RC_GONE : RC_OK; /* every eighth cancels */
}

static void *call_often(void *user)
{
	struct caller *caller = user;

	for (unsigned i = 0; i < CALLS; i++) {
		struct arena *own = arena_new(1 << 20);
		struct http_call call = {.body = "{}", .body_len = 2, .watch_fd = -1, .on_body = count_body, .user = caller};
		struct http_outcome outcome;
		enum rc rc;

		call.url = arena_printf(own, "%s://127.0.0.1:%d/", caller->scheme, upstream_port(caller->up));
		call.deadline_us = clock_us() + 20000000;
		rc = http_exchange(pool, own, &call, &outcome);
		caller->bad += rc != (caller->number % 8 == 7 ? RC_GONE : RC_OK);
		arena_free(own);
	}
	return NULL;
}

static void call_from_many_threads(const char *scheme, const struct upstream_tls *tls)
{
	struct upstream *up = upstream_new(serve_ok, NULL, tls);
	struct caller callers[THREADS];
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		callers[i] = (struct caller){.up = up, .scheme = scheme, .number = i};
		ck_assert_int_eq(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_uint_eq(callers[i].bad, 0);
	}
	ck_assert_int_eq(upstream_requests(up), THREADS * CALLS);
	ck_assert_int_lt(upstream_connections(up), THREADS * CALLS);
}

START_TEST(many_threads_share_the_pool)
{
	call_from_many_threads("http", NULL);
}
END_TEST

START_TEST(many_threads_share_the_pool_over_tls)
{
	struct upstream_tls tls = {.name = "IP:127.0.0.1", .ca_file = CA_FILE};

	http_pool_free(pool);
	pool = new_pool(16, CA_FILE, 10000);
	call_from_many_threads("https", &tls);
}
END_TEST

static unsigned open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

START_TEST(no_descriptor_is_left_behind)
{
	int pieces = 1;
	struct upstream *up = upstream_new(serve_two_and_stop, &pieces, NULL);
	struct http_call call = call_to("http", upstream_port(up)), dead = call_to("http", upstream_dead_port());
	struct http_outcome outcome;
	unsigned before;

	seen.body_rc = RC_DENIED;
	ck_assert_int_eq(exchange(&call, &outcome), RC_DENIED);
	ck_assert_int_eq(exchange(&dead, &outcome), RC_UNAVAILABLE);
	ck_assert(upstream_wait_closed(up, 1));
	before = open_files();
	for (int i = 2; i < 12; i++) {
		ck_assert_int_eq(exchange(&call, &outcome), RC_DENIED);
		ck_assert_int_eq(exchange(&dead, &outcome), RC_UNAVAILABLE);
		ck_assert(upstream_wait_closed(up, i));
	}
	ck_assert_uint_le(open_files(), before);
}
END_TEST

START_TEST(a_full_arena_is_an_error_like_another)
{
	struct upstream *up = upstream_new(serve_ok, NULL, NULL);
	struct http_call call = call_to("http", upstream_port(up));
	const struct http_header headers[] = {{"A", "b"}};
	struct http_outcome outcome;

	call.headers = headers;
	call.header_count = 1;
	for (size_t room = 8; room <= 64; room += 8) {
		struct arena *tight = arena_new(room);
		enum rc rc = http_exchange(pool, tight, &call, &outcome);

		ck_assert(rc == RC_NOMEM || rc == RC_OK);
		ck_assert(rc == RC_OK || !outcome.sent);
		arena_free(tight);
	}
	ck_assert_int_eq(exchange(&call, &outcome), RC_OK);
}
END_TEST

static TCase *basics(void)
{
	TCase *tcase = tcase_create("exchange");

	tcase_add_test(tcase, an_answer_comes_whole);
	tcase_add_test(tcase, the_next_call_uses_the_same_connection);
	tcase_add_test(tcase, a_connection_that_died_meanwhile_is_replaced);
	tcase_add_test(tcase, what_was_sent_is_not_sent_again);
	tcase_add_test(tcase, what_an_upstream_says_unasked_answers_nobody);
	tcase_add_test(tcase, each_origin_keeps_its_connection);
	tcase_add_test(tcase, each_url_keeps_its_connection);
	tcase_add_test(tcase, headers_and_body_go_out_as_given);
	tcase_add_test(tcase, a_large_body_goes_out_whole);
	tcase_add_test(tcase, what_cannot_be_sent_is_not);
	tcase_add_test(tcase, pieces_are_passed_on_as_they_come);
	tcase_add_test(tcase, retry_after_is_read_and_bounded);
	tcase_add_test(tcase, redirects_are_not_followed);
	tcase_add_test(tcase, a_callback_can_end_it);
	tcase_add_test(tcase, enough_is_enough_and_keeps_the_connection);
	tcase_add_test(tcase, enough_does_not_wait_for_ever);
	tcase_add_test(tcase, a_full_arena_is_an_error_like_another);
	return tcase;
}

static TCase *troubles(void)
{
	TCase *tcase = tcase_create("trouble");

	tcase_add_test(tcase, nobody_listening_is_unavailable_and_unsent);
	tcase_add_test(tcase, connecting_has_its_own_time_out);
	tcase_add_test(tcase, the_deadline_holds);
	tcase_add_test(tcase, silence_ends_it_and_a_trickle_does_not);
	tcase_add_test(tcase, a_caller_who_leaves_ends_it_and_the_pool_goes_on);
	tcase_add_test(tcase, a_caller_who_has_left_before_costs_nothing);
	tcase_add_test(tcase, a_caller_who_talks_does_not_keep_us_busy);
	tcase_add_test(tcase, ticks_come_in_silence_and_can_end_it);
	tcase_add_test(tcase, what_is_cut_or_garbage_is_told);
	tcase_add_test(tcase, a_reset_is_a_cut);
	tcase_add_test(tcase, an_interim_answer_is_none);
	tcase_add_test(tcase, headers_have_a_cap);
	tcase_add_test(tcase, no_descriptor_is_left_behind);
	return tcase;
}

static TCase *tls_and_threads(void)
{
	TCase *tcase = tcase_create("tls and threads");

	tcase_add_test(tcase, tls_is_verified_and_reused);
	tcase_add_test(tcase, tls_sessions_are_shared_by_all_handles);
	tcase_add_test(tcase, what_tls_cannot_trust_gets_nothing);
	tcase_add_test(tcase, tls_to_one_who_speaks_plainly_is_unavailable);
	tcase_add_test(tcase, many_threads_share_the_pool);
	tcase_add_test(tcase, many_threads_share_the_pool_over_tls);
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
	Suite *suite = suite_create("http");
	int status;

	add(suite, basics());
	add(suite, troubles());
	add(suite, tls_and_threads());
	status = unit_run(suite);
	unlink(CA_FILE);
	unlink(OTHER_CA_FILE);
	return status;
}
