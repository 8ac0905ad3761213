/*
 * http_pair.h - what http.c and http_pool.c share: a curl handle with the multi that runs it.
 *
 * Both stay together for life as a pair that talks to one URL, which is taken apart once: the live connection belongs to the multi.
 */
#ifndef PORT_HTTP_PAIR_H
#define PORT_HTTP_PAIR_H

#include <curl/curl.h>

#include "port/http.h"
#include "port/tls.h"

struct pair {
	CURLM *multi;
	CURL *easy;
	char *url;
	CURLU *parsed; /* the same */
	curl_socket_t fd; /* of the live connection, while parked */
	int64_t parked_us;
};

/* A pair for the URL: one whose connection is alive, else a new one. The caller's until pair_park. RC_INVALID for no URL that can be read, RC_NOMEM. */
enum rc pair_take(struct http_pool *pool, const char *url, struct pair **out) MUST_CHECK;
void pair_park(struct http_pool *pool, struct pair *pair);

/* The certificates that all pairs of the pool verify with, read by now: RC_OK. */
enum rc pair_certificates(struct http_pool *pool) MUST_CHECK;

/* What libcurl calls, as CURLOPT_WRITEFUNCTION, CURLOPT_HEADERFUNCTION and CURLOPT_OPENSOCKETFUNCTION say; `user` is the exchange. */
size_t http_take_body(char *bytes, size_t size, size_t count, void *user);
size_t http_take_header(char *bytes, size_t size, size_t count, void *user);
curl_socket_t http_open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address);

#endif
