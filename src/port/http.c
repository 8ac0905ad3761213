/*
 * http.c - exchanges over libcurl.
 */
#include "port/http.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/peer.h"
#include "port/http_pair.h"

#define HEADER_MAX (64u * 1024u)     /* all headers of an answer */
#define RETRY_AFTER_MAX (24 * 3600)  /* seconds */
#define FINAL_LEAST 200              /* what is less is no answer yet (RFC 9110 §15.2) */
#define DRAIN_US 50000               /* for the end of a body that nobody wants any more */
#define GLANCE_MS 100                /* between two looks at a caller who sent what he should not */

/* One call under way. */
struct exchange {
	const struct http_call *call;
	struct http_outcome *outcome;
	struct pair *pair;
	int64_t started_us, heard_us, ticked_us, drain_us; /* drain_us: when to give up on the end of a body; 0 while it is wanted */
	size_t header_bytes;
	bool headed;     /* the empty line after the headers came; each answer's on the way (1xx) begins them anew */
	bool fed;        /* on_body was called since the last on_rest */
	bool peer_talks; /* the caller's socket has unread bytes: poll would return at once, for ever */
	enum rc rc;      /* of a callback that ended it */
};

/* 0 tells libcurl to break off. */
size_t http_take_body(char *bytes, size_t size, size_t count, void *user)
{
	struct exchange *ex = user;
	long status = 0;

	ex->heard_us = clock_us();
	if (ex->drain_us != 0)
		return size * count;
	if (ex->outcome->first_byte_us == 0)
		ex->outcome->first_byte_us = ex->heard_us - ex->started_us;
	curl_easy_getinfo(ex->pair->easy, CURLINFO_RESPONSE_CODE, &status);
	ex->fed = true;
	ex->rc = ex->call->on_body(ex->call->user, (int)status, bytes, size * count);
	if (ex->rc == RC_DONE) {
		ex->rc = RC_OK;
		ex->drain_us = ex->heard_us + DRAIN_US;
	}
	return ex->rc == RC_OK ? size * count : 0;
}

size_t http_take_header(char *bytes, size_t size, size_t count, void *user)
{
	struct exchange *ex = user;

	ex->heard_us = clock_us();
	if (size * count > 5 && memcmp(bytes, "HTTP/", 5) == 0)
		ex->headed = false;
	ex->headed = ex->headed || *bytes == '\r' || *bytes == '\n';
	ex->header_bytes += size * count;
	return ex->header_bytes <= HEADER_MAX ? size * count : 0;
}

/* libcurl sends a call once more over a new connection where a kept one dies before it answers. What was sent may have been worked on, and is paid for: it is not
 * sent twice. */
curl_socket_t http_open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct exchange *ex = user;
	long sent = 0;

	(void)purpose;
	curl_easy_getinfo(ex->pair->easy, CURLINFO_REQUEST_SIZE, &sent);
	return sent > 0 ? CURL_SOCKET_BAD : socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* libcurl only reads the list (CURLOPT_HTTPHEADER), so it is made in the arena and needs no freeing. The last one added comes first. */
static enum rc add_header(struct arena *arena, struct curl_slist **list, const char *name, const char *value)
{
	struct curl_slist *head = arena_alloc(arena, sizeof *head);
	struct buf line;

	buf_init(&line, arena, HEADER_MAX);
	buf_puts(&line, name);
	buf_puts(&line, *value == '\0' ? ":" : ": ");
	if (head == NULL || buf_puts(&line, value) != RC_OK)
		return RC_NOMEM;
	if (strpbrk(line.data, "\r\n") != NULL)
		return RC_INVALID;
	*head = (struct curl_slist){.data = line.data, .next = *list};
	*list = head;
	return RC_OK;
}

/* `Expect` is emptied: an upstream that does not answer 100 would cost a second. */
static enum rc list_headers(struct arena *arena, const struct http_call *call, struct curl_slist **list)
{
	enum rc rc = RC_OK;

	for (size_t i = call->header_count; rc == RC_OK && i-- > 0;)
		rc = add_header(arena, list, call->headers[i].name, call->headers[i].value);
	return rc == RC_OK ? add_header(arena, list, "Expect", "") : rc;
}

static enum rc prepare(struct arena *arena, struct exchange *ex)
{
	const struct http_call *call = ex->call;
	CURL *easy = ex->pair->easy;
	struct curl_slist *list = NULL;
	enum rc rc = list_headers(arena, call, &list);

	if (rc != RC_OK)
		return rc;
	if (curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body == NULL ? "" : call->body) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list) != CURLE_OK || curl_easy_setopt(easy, CURLOPT_WRITEDATA, ex) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, ex) != CURLE_OK || curl_easy_setopt(easy, CURLOPT_HEADERDATA, ex) != CURLE_OK)
		return RC_NOMEM;
	return RC_OK;
}

static enum rc end_with(struct exchange *ex, enum rc rc, const char *detail)
{
	ex->outcome->detail = detail;
	return rc;
}

static bool may_have_sent(CURL *easy)
{
	curl_off_t ready_us = 0;
	long bytes = 0;

	curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
	curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &bytes);
	return ready_us > 0 || bytes > 0;
}

static void note_outcome(struct exchange *ex)
{
	curl_off_t retry_after = 0;
	long status = 0;

	curl_easy_getinfo(ex->pair->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(ex->pair->easy, CURLINFO_RETRY_AFTER, &retry_after);
	ex->outcome->status = status < FINAL_LEAST ? 0 : (int)status;
	ex->outcome->sent = may_have_sent(ex->pair->easy);
	ex->outcome->retry_after_s = retry_after < 0 ? 0 : retry_after > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : (int)retry_after;
}

static enum rc translate(struct exchange *ex, CURLcode code)
{
	const char *detail = curl_easy_strerror(code);

	note_outcome(ex);
	curl_easy_getinfo(ex->pair->easy, CURLINFO_ACTIVESOCKET, &ex->pair->fd);
	if (code == CURLE_OK && !ex->headed) /* which libcurl lets pass */
		return end_with(ex, RC_PROTOCOL, "headers cut");
	if (code == CURLE_OK || ex->drain_us != 0)
		return RC_OK;
	if (ex->rc != RC_OK)
		return end_with(ex, ex->rc, "ended by us");
	if (code == CURLE_WRITE_ERROR || (code == CURLE_OUT_OF_MEMORY && ex->outcome->status != 0 && !ex->headed)) /* as libcurl calls a line past its own cap */
		return end_with(ex, RC_PROTOCOL, "headers without end");
	if (code == CURLE_OUT_OF_MEMORY)
		return end_with(ex, RC_NOMEM, detail);
	if (ex->outcome->sent)
		return end_with(ex, RC_PROTOCOL, code == CURLE_COULDNT_CONNECT ? "connection lost before the answer" : detail); /* by http_open_socket */
	return end_with(ex, code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ? RC_INVALID : RC_UNAVAILABLE, detail);
}

static CURLcode result_of(struct exchange *ex)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(ex->pair->multi, &left)) != NULL)
		if (message->msg == CURLMSG_DONE)
			return message->data.result;
	return CURLE_OUT_OF_MEMORY;
}

/* RC_DONE: a body that nobody wants any more did not end in time. */
static enum rc check_clock(struct exchange *ex)
{
	const struct http_call *call = ex->call;
	int64_t now = clock_us();

	if (ex->drain_us != 0)
		return now < ex->drain_us ? RC_OK : RC_DONE;
	if (now >= call->deadline_us)
		return end_with(ex, RC_TIMEOUT, "deadline");
	if (call->idle_ms > 0 && now - ex->heard_us >= call->idle_ms * INT64_C(1000))
		return end_with(ex, RC_TIMEOUT, "silence");
	if (call->tick_ms > 0 && now - ex->ticked_us >= call->tick_ms * INT64_C(1000)) {
		ex->ticked_us = now;
		return call->on_tick(call->user);
	}
	return RC_OK;
}

static int next_wake_ms(const struct exchange *ex)
{
	const struct http_call *call = ex->call;
	int ms = clock_left_ms(ex->drain_us != 0 ? ex->drain_us : call->deadline_us, INT_MAX);

	if (ex->drain_us != 0)
		return ms;
	if (call->idle_ms > 0)
		ms = clock_left_ms(ex->heard_us + call->idle_ms * INT64_C(1000), ms);
	if (call->tick_ms > 0)
		ms = clock_left_ms(ex->ticked_us + call->tick_ms * INT64_C(1000), ms);
	return ex->peer_talks && ms > GLANCE_MS ? GLANCE_MS : ms;
}

static enum rc wait_for_something(struct exchange *ex)
{
	struct curl_waitfd watch = {.fd = ex->call->watch_fd, .events = CURL_WAIT_POLLIN};
	bool watching = watch.fd >= 0 && !ex->peer_talks && ex->drain_us == 0;
	enum peer peer;

	errno = 0;
	if (curl_multi_poll(ex->pair->multi, &watch, watching ? 1 : 0, next_wake_ms(ex), NULL) != CURLM_OK && errno != EINTR)
		return end_with(ex, RC_NOMEM, "poll");
	if (ex->drain_us != 0 || (watching && watch.revents == 0))
		return RC_OK;
	peer = peer_look(watch.fd);
	ex->peer_talks = peer == PEER_TALKS;
	return peer == PEER_GONE ? end_with(ex, RC_GONE, "caller left") : RC_OK;
}

static enum rc rest(struct exchange *ex)
{
	enum rc rc = ex->fed && ex->call->on_rest != NULL ? ex->call->on_rest(ex->call->user) : RC_OK;

	ex->fed = false;
	return rc == RC_OK ? RC_OK : end_with(ex, rc, "ended by us");
}

static enum rc run(struct exchange *ex)
{
	enum rc rc = RC_OK, said;
	int running;

	if (peer_look(ex->call->watch_fd) == PEER_GONE)
		return end_with(ex, RC_GONE, "caller left before");
	while (rc == RC_OK) {
		if (curl_multi_perform(ex->pair->multi, &running) != CURLM_OK)
			return end_with(ex, RC_NOMEM, "perform");
		said = rest(ex);
		if (running == 0) {
			rc = translate(ex, result_of(ex));
			return said == RC_OK ? rc : said;
		}
		rc = said == RC_OK ? check_clock(ex) : said;
		if (rc == RC_OK)
			rc = wait_for_something(ex);
	}
	note_outcome(ex);
	return rc == RC_DONE && ex->drain_us != 0 ? RC_OK : rc;
}

/* A transfer that is under way ends with its handle's leaving: libcurl closes its connection and keeps it out of the cache. */
static void detach(struct exchange *ex)
{
	CURL *easy = ex->pair->easy;

	curl_multi_remove_handle(ex->pair->multi, easy);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
}

enum rc http_exchange(struct http_pool *pool, struct arena *arena, const struct http_call *call, struct http_outcome *outcome)
{
	struct exchange ex = {.call = call, .outcome = outcome, .started_us = clock_us()};
	enum rc rc;

	*outcome = (struct http_outcome){.detail = "none"};
	ex.heard_us = ex.ticked_us = ex.started_us;
	if (strncasecmp(call->url, "https:", 6) == 0 && pair_certificates(pool) != RC_OK)
		return end_with(&ex, RC_UNAVAILABLE, "certificates cannot be read");
	rc = pair_take(pool, call->url, &ex.pair);
	if (rc != RC_OK)
		return end_with(&ex, rc, rc == RC_INVALID ? "no URL that can be read" : "out of memory");
	ex.pair->fd = CURL_SOCKET_BAD;
	rc = prepare(arena, &ex);
	if (rc != RC_OK) {
		end_with(&ex, rc, "call cannot be made");
	} else if (curl_multi_add_handle(ex.pair->multi, ex.pair->easy) != CURLM_OK) {
		rc = end_with(&ex, RC_NOMEM, "out of memory");
	} else {
		rc = run(&ex);
	}
	detach(&ex);
	pair_park(pool, ex.pair);
	return rc;
}
