/*
 * control.c - the paths under /_.
 */
#include "control.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "call.h"
#include "counts.h"
#include "record.h"
#include "text.h"
#include "tries.h"

#define WAIT_MS 10000 /* where timeout_ms is not given */

struct waiter {
	struct http_conn *conn;
	enum count kind;
	long value;
	struct event *timer;
	TAILQ_ENTRY(waiter) link;
};

static TAILQ_HEAD(, waiter) waiters = TAILQ_HEAD_INITIALIZER(waiters);
static struct event *check_event;
static struct event_base *base;
static struct text last, scratch;

/* The number that `name` is given in the query, or `standard`. */
static long query_number(const char *query, const char *name, long standard)
{
	size_t n = strlen(name);

	for (const char *at = query; at != NULL && *at != '\0'; at = strchr(at, '&')) {
		at += *at == '&';
		if (strncmp(at, name, n) == 0 && at[n] == '=')
			return strtol(at + n + 1, NULL, 10);
	}
	return standard;
}

static void answer_counts(struct http_conn *conn, int status)
{
	text_clear(&scratch);
	counts_print(&scratch);
	text_puts(&scratch, "\n");
	http_answer(conn, status, "", "application/json", scratch.data, scratch.len);
}

static void answer_text(struct http_conn *conn, int status, const char *body)
{
	http_answer(conn, status, "", "application/json", body, strlen(body));
}

static void answer_calls(struct http_conn *conn)
{
	text_clear(&scratch);
	record_print(&scratch);
	http_answer(conn, 200, "", "text/tab-separated-values", scratch.data, scratch.len);
}

static void drop_waiter(struct waiter *waiter)
{
	TAILQ_REMOVE(&waiters, waiter, link);
	event_free(waiter->timer);
	free(waiter);
}

static void end_wait(struct waiter *waiter, int status)
{
	struct http_conn *conn = waiter->conn;

	drop_waiter(waiter);
	answer_counts(conn, status);
}

static void on_waiter_gone(void *arg)
{
	drop_waiter(arg);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	end_wait(arg, 408);
}

static void check_waiters(evutil_socket_t fd, short what, void *arg)
{
	struct waiter *next;

	(void)fd, (void)what, (void)arg;
	for (struct waiter *waiter = TAILQ_FIRST(&waiters); waiter != NULL; waiter = next) {
		next = TAILQ_NEXT(waiter, link);
		if (counts_value(waiter->kind) >= waiter->value)
			end_wait(waiter, 200);
	}
}

static void on_change(void)
{
	if (!TAILQ_EMPTY(&waiters))
		event_active(check_event, EV_TIMEOUT, 0);
}

static void start_wait(struct http_conn *conn, const struct http_request *request)
{
	enum count kind = counts_find(request->query, strcspn(request->query, "="));
	long ms = query_number(request->query, "timeout_ms", WAIT_MS);
	struct timeval pause = {ms / 1000, ms % 1000 * 1000};
	struct waiter *waiter;

	if (kind == COUNT_KINDS) {
		answer_text(conn, 400, "{\"error\": \"no counter of that name\"}\n");
		return;
	}
	waiter = take(sizeof *waiter);
	*waiter = (struct waiter){.conn = conn, .kind = kind, .value = strtol(strchr(request->query, '=') + 1, NULL, 10)};
	waiter->timer = evtimer_new(base, on_timeout, waiter);
	evtimer_add(waiter->timer, &pause);
	TAILQ_INSERT_TAIL(&waiters, waiter, link);
	http_on_gone(conn, on_waiter_gone, waiter);
	on_change();
}

static void print_header(struct text *out, const struct http_header *header, const char *separator)
{
	bool secret = strcasecmp(header->name, "Authorization") == 0 || strcasecmp(header->name, "x-api-key") == 0;
	const char *value = secret ? "given" : header->value;

	text_puts(out, separator);
	for (const char *c = header->name; *c != '\0'; c++) {
		char lower = *c >= 'A' && *c <= 'Z' ? (char)(*c + ('a' - 'A')) : *c;

		text_add(out, &lower, 1);
	}
	text_puts(out, "\": ");
	text_json(out, value, strlen(value));
}

void control_remember(const struct http_request *request)
{
	text_clear(&last);
	text_printf(&last, "{\"method\": \"%s\", \"path\": \"%s\", \"headers\": {", request->method, request->path);
	for (size_t i = 0; i < request->header_count; i++)
		print_header(&last, &request->headers[i], i > 0 ? ", \"" : "\"");
	text_puts(&last, "}, \"body\": ");
	text_json(&last, request->body, request->body_len);
	text_puts(&last, "}\n");
}

static void answer_get(struct http_conn *conn, const struct http_request *request)
{
	if (strcmp(request->path, "/_counts") == 0)
		answer_counts(conn, 200);
	else if (strcmp(request->path, "/_wait") == 0)
		start_wait(conn, request);
	else if (strcmp(request->path, "/_last") == 0)
		answer_text(conn, 200, last.data != NULL ? last.data : "null\n");
	else if (strcmp(request->path, "/_calls") == 0)
		answer_calls(conn);
	else
		answer_text(conn, 404, "{\"error\": \"no such path\"}\n");
}

static void answer_post(struct http_conn *conn, const struct http_request *request)
{
	bool known = true;

	if (strcmp(request->path, "/_release") == 0) {
		call_release_all();
	} else if (strcmp(request->path, "/_reset") == 0) {
		counts_reset();
		record_reset();
		tries_reset();
		call_next(0, "");
	} else if (strcmp(request->path, "/_next") == 0) {
		known = call_next(query_number(request->query, "calls", 1), request->body);
	} else {
		known = false;
	}
	if (known)
		answer_counts(conn, 200);
	else
		answer_text(conn, 400, "{\"error\": \"no such path, or words that mean nothing\"}\n");
}

void control_answer(struct http_conn *conn, const struct http_request *request)
{
	if (strcmp(request->method, "GET") == 0)
		answer_get(conn, request);
	else
		answer_post(conn, request);
}

void control_setup(struct event_base *event_base)
{
	base = event_base;
	check_event = event_new(base, -1, EV_PERSIST, check_waiters, NULL);
	counts_watch(on_change);
}
