/*
 * load_client.c - the callers: HTTP/1.1 over plain TCP, answers of known length, chunked, or ended by the connection's end.
 */
#include "load_client.h"

#include <err.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define HEAD_MAX 8192
#define TAIL_MAX 2048 /* of a body, for what is expected near its end and for stamps across reads */

enum part { HEAD, SIZE, DATA, DATA_END, TRAILER, TO_CLOSE, WHOLE };

struct caller {
	struct bufferevent *bev; /* NULL between connections */
	bool busy, used;         /* used: an answer came on this connection, so it may have been closed idle */
	enum part part;
	char line[HEAD_MAX];     /* the head, or a chunk's size line */
	size_t line_len;
	int status;
	bool chunked, keep;
	int64_t left;            /* of the body, or of the chunk */
	int64_t sent_at;
	long body_seen, cut_at;
	char tail[TAIL_MAX + 1];
	size_t tail_len, tail_read; /* tail_read: stamps before it are counted */
	char *request;              /* kept for a second try on a new connection */
	size_t request_len;
};

static struct event_base *base;
static const struct load_plan *plan;
static struct load_tally *tally;
static long callers_left;

static void next_request(struct caller *caller);

static void append(char **out, size_t *len, const char *bytes, size_t n)
{
	*out = realloc(*out, *len + n + 1);
	if (*out == NULL)
		err(1, "memory");
	memcpy(*out + *len, bytes, n);
	*len += n;
	(*out)[*len] = '\0';
}

/* The body with each %n replaced. */
static void fill_body(const char *body, int64_t number, char **out, size_t *len)
{
	char digits[32];
	size_t digits_len = (size_t)snprintf(digits, sizeof digits, "%" PRId64, number);

	for (const char *at; (at = strstr(body, "%n")) != NULL; body = at + 2) {
		append(out, len, body, (size_t)(at - body));
		append(out, len, digits, digits_len);
	}
	append(out, len, body, strlen(body));
}

static void write_request(struct caller *caller)
{
	char head[2048], *body = NULL;
	size_t body_len = 0;
	long turn = tally->begun;
	int n;

	fill_body(plan->bodies[turn % plan->body_count], plan->first_number + turn, &body, &body_len);
	n = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n", plan->path, plan->host,
	             body_len);
	if (plan->key_count > 0)
		n += snprintf(head + n, sizeof head - (size_t)n, "Authorization: Bearer %s\r\n", plan->keys[turn % plan->key_count]);
	for (long i = 0; i < plan->header_count && n < (int)sizeof head; i++)
		n += snprintf(head + n, sizeof head - (size_t)n, "%s\r\n", plan->headers[i]);
	if (n + 3 > (int)sizeof head)
		errx(2, "the headers are too long");
	memcpy(head + n, "\r\n", 2);
	caller->request_len = 0;
	append(&caller->request, &caller->request_len, head, (size_t)n + 2);
	append(&caller->request, &caller->request_len, body, body_len);
	free(body);
}

static void disconnect(struct caller *caller)
{
	if (caller->bev != NULL)
		bufferevent_free(caller->bev);
	caller->bev = NULL;
	caller->used = false;
}

static void retire(struct caller *caller)
{
	disconnect(caller);
	free(caller->request);
	free(caller);
	if (--callers_left == 0)
		event_base_loopbreak(base);
}

static bool is_expected(struct caller *caller)
{
	return plan->expect == NULL || strstr(caller->tail, plan->expect) != NULL;
}

static void count_answer(struct caller *caller, int64_t now)
{
	if (caller->status > 0 && caller->status < LOAD_STATUS_MAX)
		tally->by_status[caller->status]++;
	if (caller->cut_at > 0 && caller->body_seen >= caller->cut_at) {
		tally->left++;
	} else if (caller->part == HEAD) {
		tally->unconnected++;
	} else if (caller->status < 200 || caller->status > 299) {
		tally->refused++;
	} else if (caller->part != WHOLE || !is_expected(caller)) {
		tally->incomplete++;
	} else {
		tally->good++;
		stats_add(&tally->latency, now - caller->sent_at);
	}
}

/* The request is over, well or not. The connection stays where the server keeps it. */
static void finish(struct caller *caller)
{
	int64_t now = stats_now();

	count_answer(caller, now);
	if (tally->ended++ == 0)
		tally->first_end = now;
	tally->last_end = now;
	caller->busy = false;
	caller->used = true;
	if (!caller->keep || caller->part != WHOLE || plan->one_each)
		disconnect(caller);
	if (plan->one_each)
		retire(caller);
	else
		next_request(caller);
}

/* Counts the stamps in the tail that are whole by now. */
static void read_stamps(struct caller *caller, int64_t now)
{
	const char *at = caller->tail + caller->tail_read;

	while ((at = strstr(at, "<t=")) != NULL) {
		char *end;
		int64_t stamp = strtoll(at + 3, &end, 10);

		if (*end == '\0')
			break;
		if (*end == '>') {
			tally->pieces++;
			stats_add(&tally->lag, now - stamp);
		}
		at = end;
		caller->tail_read = (size_t)(end - caller->tail);
	}
}

/* Keeps the last bytes; what is dropped from the front has been read for stamps. */
static void keep_tail(struct caller *caller, const char *bytes, size_t n)
{
	size_t excess;

	if (caller->tail_len + n > TAIL_MAX) {
		excess = caller->tail_len + n - TAIL_MAX;
		memmove(caller->tail, caller->tail + excess, caller->tail_len - excess);
		caller->tail_len -= excess;
		caller->tail_read = caller->tail_read > excess ? caller->tail_read - excess : 0;
	}
	memcpy(caller->tail + caller->tail_len, bytes, n);
	caller->tail_len += n;
	caller->tail[caller->tail_len] = '\0';
}

static void take_body(struct caller *caller, const char *bytes, size_t n)
{
	int64_t now = stats_now();

	if (caller->body_seen == 0 && n > 0)
		stats_add(&tally->first, now - caller->sent_at);
	caller->body_seen += (long)n;
	tally->bytes += (long long)n;
	while (n > 0) {
		size_t part = n < TAIL_MAX / 2 ? n : TAIL_MAX / 2;

		keep_tail(caller, bytes, part);
		read_stamps(caller, now);
		bytes += part;
		n -= part;
	}
}

static const char *find_header(const char *head, const char *name)
{
	size_t n = strlen(name);

	for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
		line += 2;
		if (strncasecmp(line, name, n) == 0 && line[n] == ':')
			return line + n + 1 + strspn(line + n + 1, " ");
	}
	return NULL;
}

static void read_head(struct caller *caller)
{
	const char *length = find_header(caller->line, "Content-Length"), *coding = find_header(caller->line, "Transfer-Encoding");
	const char *connection = find_header(caller->line, "Connection");

	caller->status = caller->line_len > 12 ? atoi(caller->line + 9) : 0;
	caller->keep = strncmp(caller->line, "HTTP/1.1", 8) == 0 && (connection == NULL || strncasecmp(connection, "close", 5) != 0);
	caller->chunked = coding != NULL && strncasecmp(coding, "chunked", 7) == 0;
	caller->left = length != NULL ? strtoll(length, NULL, 10) : -1;
	caller->line_len = 0;
	if (caller->chunked)
		caller->part = SIZE;
	else if (length != NULL)
		caller->part = caller->left > 0 ? DATA : WHOLE;
	else
		caller->part = TO_CLOSE;
}

static void read_line(struct caller *caller)
{
	switch (caller->part) {
	case SIZE:
		caller->left = strtoll(caller->line, NULL, 16);
		caller->part = caller->left > 0 ? DATA : TRAILER;
		break;
	case DATA_END:
		caller->part = SIZE;
		break;
	default:
		caller->part = caller->line_len == 2 ? WHOLE : TRAILER;
		break;
	}
	caller->line_len = 0;
}

/* Takes one byte of the head or of a line between chunks. False where it does not fit. */
static bool take_byte(struct caller *caller, char c)
{
	if (caller->line_len + 1 >= sizeof caller->line)
		return false;
	caller->line[caller->line_len++] = c;
	caller->line[caller->line_len] = '\0';
	if (c != '\n')
		return true;
	if (caller->part != HEAD)
		read_line(caller);
	else if (caller->line_len >= 4 && memcmp(caller->line + caller->line_len - 4, "\r\n\r\n", 4) == 0)
		read_head(caller);
	return true;
}

static void take_data(struct caller *caller, const char *bytes, size_t n)
{
	take_body(caller, bytes, n);
	if (caller->part == TO_CLOSE)
		return;
	caller->left -= (int64_t)n;
	if (caller->left == 0)
		caller->part = caller->chunked ? DATA_END : WHOLE;
}

static bool must_leave(const struct caller *caller)
{
	return caller->cut_at > 0 && caller->body_seen >= caller->cut_at;
}

/* True once the request is over. */
static bool take(struct caller *caller, const char *bytes, size_t n)
{
	while (n > 0 && caller->part != WHOLE && !must_leave(caller)) {
		size_t part = 1;

		if (caller->part == DATA || caller->part == TO_CLOSE) {
			part = caller->part == DATA && (int64_t)n > caller->left ? (size_t)caller->left : n;
			take_data(caller, bytes, part);
		} else if (!take_byte(caller, *bytes)) {
			return true;
		}
		bytes += part;
		n -= part;
	}
	return caller->part == WHOLE || must_leave(caller);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	static char bytes[65536];
	struct caller *caller = arg;
	size_t n;

	while ((n = bufferevent_read(bev, bytes, sizeof bytes)) > 0) {
		if (caller->busy && take(caller, bytes, n)) {
			finish(caller);
			return;
		}
	}
}

static void connect_caller(struct caller *caller);

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct caller *caller = arg;

	(void)bev;
	if (what & BEV_EVENT_CONNECTED)
		return;
	if (!caller->busy) {
		disconnect(caller);
	} else if (caller->used && caller->part == HEAD && caller->line_len == 0) {
		disconnect(caller); /* the server closed an idle connection while we wrote: that is nobody's failure */
		tally->retried++;
		connect_caller(caller);
		bufferevent_write(caller->bev, caller->request, caller->request_len);
	} else {
		if (caller->part == TO_CLOSE && (what & BEV_EVENT_EOF))
			caller->part = WHOLE;
		finish(caller);
	}
}

static void connect_caller(struct caller *caller)
{
	int on = 1;

	caller->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (caller->bev == NULL)
		errx(1, "no memory for a connection");
	bufferevent_setcb(caller->bev, on_read, NULL, on_event, caller);
	bufferevent_enable(caller->bev, EV_READ | EV_WRITE);
	if (bufferevent_socket_connect(caller->bev, (const struct sockaddr *)&plan->to, sizeof plan->to) != 0)
		err(1, "connect");
	setsockopt(bufferevent_getfd(caller->bev), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Straight to the socket where it is connected: one turn of the event loop less in what is measured. */
static void send_request(struct caller *caller)
{
	size_t sent = 0;

	if (caller->bev == NULL) {
		connect_caller(caller);
	} else {
		ssize_t n = send(bufferevent_getfd(caller->bev), caller->request, caller->request_len, MSG_NOSIGNAL);

		sent = n > 0 ? (size_t)n : 0;
	}
	if (sent < caller->request_len)
		bufferevent_write(caller->bev, caller->request + sent, caller->request_len - sent);
}

static void next_request(struct caller *caller)
{
	if ((plan->requests > 0 && tally->begun >= plan->requests) || stats_now() >= plan->stop_at) {
		retire(caller);
		return;
	}
	write_request(caller);
	tally->begun++;
	caller->busy = true;
	caller->part = HEAD;
	caller->line_len = caller->tail_len = caller->tail_read = 0;
	caller->tail[0] = '\0';
	caller->status = 0;
	caller->keep = false;
	caller->body_seen = 0;
	caller->cut_at = plan->cut_max > 0 ? 1 + random() % plan->cut_max : 0;
	caller->sent_at = stats_now();
	send_request(caller);
}

void load_start(struct event_base *event_base, const struct load_plan *the_plan, struct load_tally *the_tally)
{
	base = event_base;
	plan = the_plan;
	tally = the_tally;
	callers_left = plan->callers;
	for (long i = plan->callers; i > 0; i--) {
		struct caller *caller = calloc(1, sizeof *caller);

		if (caller == NULL)
			err(1, "memory");
		next_request(caller);
	}
}
