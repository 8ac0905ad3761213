/*
 * http_pool.c - the pairs of a process, and how each is set up.
 *
 * Pairs that are not in use lie on a stack, so that the last one used, whose connection is the likeliest to live, is the first to be used again.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/peer.h"
#include "port/http_pair.h"

#define RECEIVE_BUFFER 4096L         /* a thousand streams hold one each */
#define COLD_US (120 * INT64_C(1000000)) /* a pair unused for so long is given up: its connection is dead by then */

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

enum rc pair_certificates(struct http_pool *pool)
{
	return tls_store_read(pool->certificates);
}

static CURLcode use_certificates(CURL *easy, void *ssl_ctx, void *certificates)
{
	(void)easy;
	tls_store_use(certificates, ssl_ctx);
	return CURLE_OK;
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
	       curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, http_open_socket) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_take_body) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, http_take_header) == CURLE_OK;
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
enum rc pair_take(struct http_pool *pool, const char *url, struct pair **out)
{
	while ((*out = unpark(pool, url)) != NULL && peer_look((*out)->fd) != PEER_SILENT)
		free_pair(*out);
	return *out != NULL ? RC_OK : new_pair(pool, url, out);
}

void pair_park(struct http_pool *pool, struct pair *pair)
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
