/*
 * http.c - exchanges over libcurl.
 *
 * A handle and the multi that runs it stay together for life as a pair that talks to one URL, which is taken apart once: the live connection belongs to the multi.
 * Pairs that are not in use lie on a stack, so that the last one used, whose connection is the likeliest to live, is the first to be used again.
 */
#include "port/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/peer.h"
#include "port/tls.h"

#define RECEIVE_BUFFER 4096L         /* a thousand streams hold one each */
#define HEADER_MAX (64u * 1024u)     /* all headers of an answer */
#define RETRY_AFTER_MAX (24 * 3600)  /* seconds */
#define FINAL_LEAST 200              /* what is less is no answer yet (RFC 9110 §15.2) */
#define DRAIN_US 50000               /* for the end of a body that nobody wants any more */
#define COLD_US (120 * INT64_C(1000000)) /* a pair unused for so long is given up: its connection is dead by then */
#define GLANCE_MS 100                /* between two looks at a caller who sent what he should not */

struct pair {
	CURLM *multi;
	CURL *easy;
	char *url;
	CURLU *parsed; /* the same */
	curl_socket_t fd; /* of the live connection, while parked */
	int64_t parked_us;
};

struct http_pool {
	pthread_mutex_t mutex; /* of the stack */
	struct pair **idle;    /* the coldest first */
	unsigned idle_count, keep;
	CURLSH *share;         /* TLS sessions and host names */
	pthread_mutex_t share_mutex[CURL_LOCK_DATA_LAST];
	struct tls_store *certificates;
	char *user_agent;
	int connect_timeout_ms;
};

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

static void lock_share(CURL *easy, curl_lock_data data, curl_lock_access access, void *user)
{
	struct http_pool *pool = user;

	(void)easy;
	(void)access;
	pthread_mutex_lock(&pool->share_mutex[data]);
}

static void unlock_share(CURL *easy, curl_lock_data data, void *user)
{
	struct http_pool *pool = user;

	(void)easy;
	pthread_mutex_unlock(&pool->share_mutex[data]);
}

static bool open_share(struct http_pool *pool)
{
	pool->share = curl_share_init();
	return pool->share != NULL && curl_share_setopt(pool->share, CURLSHOPT_LOCKFUNC, lock_share) == CURLSHE_OK &&
	       curl_share_setopt(pool->share, CURLSHOPT_UNLOCKFUNC, unlock_share) == CURLSHE_OK &&
	       curl_share_setopt(pool->share, CURLSHOPT_USERDATA, pool) == CURLSHE_OK &&
	       curl_share_setopt(pool->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK &&
	       curl_share_setopt(pool->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) == CURLSHE_OK;
}

enum rc http_pool_new(const struct http_settings *settings, struct http_pool **out)
{
	struct http_pool *pool;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return RC_NOMEM;
	pool = calloc(1, sizeof *pool);
	if (pool == NULL) {
		curl_global_cleanup();
		return RC_NOMEM;
	}
	pthread_mutex_init(&pool->mutex, NULL);
	for (size_t i = 0; i < COUNT_OF(pool->share_mutex); i++)
		pthread_mutex_init(&pool->share_mutex[i], NULL);
	pool->keep = settings->keep;
	pool->connect_timeout_ms = settings->connect_timeout_ms;
	pool->idle = calloc(settings->keep + 1, sizeof(struct pair *));
	pool->certificates = tls_store_new(settings->ca_file);
	pool->user_agent = strdup(settings->user_agent == NULL ? "prompt-fpm" : settings->user_agent);
	if (!open_share(pool) || pool->idle == NULL || pool->user_agent == NULL || pool->certificates == NULL) {
		http_pool_free(pool);
		return RC_NOMEM;
	}
	*out = pool;
	return RC_OK;
}

static void free_pair(struct pair *pair)
{
	if (pair == NULL)
		return;
	curl_easy_cleanup(pair->easy);
	curl_multi_cleanup(pair->multi);
	curl_url_cleanup(pair->parsed);
	free(pair->url);
	free(pair);
}

void http_pool_free(struct http_pool *pool)
{
	if (pool == NULL)
		return;
	while (pool->idle_count > 0)
		free_pair(pool->idle[--pool->idle_count]);
	curl_share_cleanup(pool->share);
	tls_store_free(pool->certificates);
	for (size_t i = 0; i < COUNT_OF(pool->share_mutex); i++)
		pthread_mutex_destroy(&pool->share_mutex[i]);
	pthread_mutex_destroy(&pool->mutex);
	free(pool->idle);
	free(pool->user_agent);
	free(pool);
	curl_global_cleanup();
}

static CURLcode use_certificates(CURL *easy, void *ssl_ctx, void *certificates)
{
	(void)easy;
	tls_store_use(certificates, ssl_ctx);
	return CURLE_OK;
}

/* 0 tells libcurl to break off. */
static size_t take_body(char *bytes, size_t size, size_t count, void *user)
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

static size_t take_header(char *bytes, size_t size, size_t count, void *user)
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
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct exchange *ex = user;
	long sent = 0;

	(void)purpose;
	curl_easy_getinfo(ex->pair->easy, CURLINFO_REQUEST_SIZE, &sent);
	return sent > 0 ? CURL_SOCKET_BAD : socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool set_numbers(CURL *easy)
{
	static const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{CURLOPT_NOSIGNAL, 1},
		{CURLOPT_NOPROGRESS, 1},
		{CURLOPT_BUFFERSIZE, RECEIVE_BUFFER},
		{CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
		{CURLOPT_FOLLOWLOCATION, 0},
		{CURLOPT_TCP_NODELAY, 1},
		{CURLOPT_TCP_KEEPALIVE, 1},
		{CURLOPT_TCP_KEEPIDLE, 30},
		{CURLOPT_TCP_KEEPINTVL, 15},
		{CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
		{CURLOPT_SSL_VERIFYPEER, 1},
		{CURLOPT_SSL_VERIFYHOST, 2},
		{CURLOPT_CA_CACHE_TIMEOUT, 0}, /* the store is ours; libcurl's cache of it would be one for each pair */
		{CURLOPT_QUICK_EXIT, 1},       /* a call that is given up does not wait for the resolver's thread */
	};
	bool ok = true;

	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		ok = curl_easy_setopt(easy, numbers[i].option, numbers[i].value) == CURLE_OK && ok;
	return ok;
}

/* What is the same for all calls. No certificates of its own: they come through use_certificates. An empty proxy keeps the environment's out, and with no host to be
 * proxied libcurl does not look there at each call. */
static bool set_up(struct http_pool *pool, CURL *easy)
{
	return set_numbers(easy) && curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)pool->connect_timeout_ms) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_SHARE, pool->share) == CURLE_OK && curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) == CURLE_OK && curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, use_certificates) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, pool->certificates) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_USERAGENT, pool->user_agent) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK;
}

/* A URL that names no scheme is none: libcurl would take it for http, and the key would go out in clear. */
static enum rc set_url(struct pair *pair)
{
	CURLUcode code = curl_url_set(pair->parsed, CURLUPART_URL, pair->url, CURLU_NON_SUPPORT_SCHEME);

	if (code != CURLUE_OK)
		return code == CURLUE_OUT_OF_MEMORY ? RC_NOMEM : RC_INVALID;
	return curl_easy_setopt(pair->easy, CURLOPT_CURLU, pair->parsed) == CURLE_OK ? RC_OK : RC_NOMEM;
}

/* libcurl would take "http:///v1" for a host called v1. */
bool http_url_valid(const char *url)
{
	const char *behind = strstr(url, "://");
	CURLU *parsed = curl_url();
	char *scheme = NULL;
	bool valid = parsed != NULL && behind != NULL && behind[3] != '/' && curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
	             curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK && (strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0);

	curl_free(scheme);
	curl_url_cleanup(parsed);
	return valid;
}

static enum rc new_pair(struct http_pool *pool, const char *url, struct pair **out)
{
	struct pair *pair = calloc(1, sizeof *pair);
	enum rc rc = RC_NOMEM;

	if (pair == NULL)
		return RC_NOMEM;
	pair->multi = curl_multi_init();
	pair->easy = curl_easy_init();
	pair->parsed = curl_url();
	pair->url = strdup(url);
	if (pair->multi != NULL && pair->easy != NULL && pair->parsed != NULL && pair->url != NULL && set_up(pool, pair->easy))
		rc = set_url(pair);
	if (rc != RC_OK) {
		free_pair(pair);
		return rc;
	}
	*out = pair;
	return RC_OK;
}

static struct pair *unpark(struct http_pool *pool, const char *url)
{
	struct pair *pair = NULL;

	pthread_mutex_lock(&pool->mutex);
	for (unsigned i = pool->idle_count; i-- > 0 && pair == NULL;) {
		if (strcmp(pool->idle[i]->url, url) != 0)
			continue;
		pair = pool->idle[i];
		memmove(pool->idle + i, pool->idle + i + 1, (--pool->idle_count - i) * sizeof *pool->idle);
	}
	pthread_mutex_unlock(&pool->mutex);
	return pair;
}

/* A server that hung up meanwhile is of no use; one that said something unasked is worse: libcurl would take it for the next call's answer. */
static enum rc take(struct http_pool *pool, const char *url, struct pair **out)
{
	while ((*out = unpark(pool, url)) != NULL && peer_look((*out)->fd) != PEER_SILENT)
		free_pair(*out);
	return *out != NULL ? RC_OK : new_pair(pool, url, out);
}

static void park(struct http_pool *pool, struct pair *pair)
{
	struct pair *cold = NULL;

	pair->parked_us = clock_us();
	pthread_mutex_lock(&pool->mutex);
	if (pool->idle_count > 0 && (pool->idle_count >= pool->keep || pair->parked_us - pool->idle[0]->parked_us > COLD_US)) {
		cold = pool->idle[0];
		memmove(pool->idle, pool->idle + 1, --pool->idle_count * sizeof *pool->idle);
	}
	if (pool->idle_count < pool->keep) {
		pool->idle[pool->idle_count++] = pair;
		pair = NULL;
	}
	pthread_mutex_unlock(&pool->mutex);
	free_pair(cold);
	free_pair(pair);
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
		return end_with(ex, RC_PROTOCOL, code == CURLE_COULDNT_CONNECT ? "connection lost before the answer" : detail); /* by open_socket */
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
	if (strncasecmp(call->url, "https:", 6) == 0 && tls_store_read(pool->certificates) != RC_OK)
		return end_with(&ex, RC_UNAVAILABLE, "certificates cannot be read");
	rc = take(pool, call->url, &ex.pair);
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
	park(pool, ex.pair);
	return rc;
}
