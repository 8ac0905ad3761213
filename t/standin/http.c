/*
 * http.c - the connections.
 */
#include "http.h"

#include <arpa/inet.h>
#include <err.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "counts.h"
#include "text.h"

#define HEAD_MAX (64 * 1024)
#define BODY_MAX (32 * 1024 * 1024)

enum state { HEAD, BODY, BUSY };

struct http_conn {
	struct bufferevent *bev;
	bool tls, keep, chunked;
	bool handling; /* inside the handler: it must not be freed under its feet */
	bool closing;  /* goes as soon as its output is out */
	enum state state;
	char *head; /* what the request's strings point into */
	struct http_request request;
	size_t split;
	void (*gone)(void *arg);
	void *gone_arg;
};

static http_handler *handle;
static SSL_CTX *tls_context;
static struct text scratch;

static void drop_request(struct http_conn *conn)
{
	free(conn->head);
	free(conn->request.body);
	conn->head = NULL;
	conn->request = (struct http_request){0};
	conn->gone = NULL;
	conn->state = HEAD;
}

static void release(struct http_conn *conn)
{
	counts_add(CONNECTIONS_OPEN, -1);
	drop_request(conn);
	bufferevent_free(conn->bev);
	free(conn);
}

static size_t pending(struct http_conn *conn)
{
	return evbuffer_get_length(bufferevent_get_output(conn->bev));
}

static void close_when_out(struct http_conn *conn)
{
	conn->gone = NULL;
	conn->closing = true;
	if (pending(conn) == 0 && !conn->handling)
		release(conn);
}

/* Straight to the socket while nothing waits before it. What fails there fails again in the bufferevent, which reports it. */
static void put(struct http_conn *conn, const char *bytes, size_t n)
{
	if (!conn->tls && pending(conn) == 0) {
		ssize_t sent = send(bufferevent_getfd(conn->bev), bytes, n, MSG_NOSIGNAL);

		if (sent > 0) {
			bytes += sent;
			n -= (size_t)sent;
		}
	}
	if (n > 0)
		bufferevent_write(conn->bev, bytes, n);
}

static void complete(struct http_conn *conn)
{
	if (!conn->keep) {
		close_when_out(conn);
		return;
	}
	drop_request(conn);
	if (!conn->handling && evbuffer_get_length(bufferevent_get_input(conn->bev)) > 0)
		bufferevent_trigger(conn->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

static const char *reason_of(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 401:
		return "Unauthorized";
	case 429:
		return "Too Many Requests";
	case 500:
		return "Internal Server Error";
	default:
		return "Status";
	}
}

static void print_head(struct http_conn *conn, int status, const char *headers, const char *type, size_t length)
{
	text_clear(&scratch);
	text_printf(&scratch, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s%s\r\n", status, reason_of(status), type, length, headers,
	            conn->keep ? "" : "Connection: close\r\n");
}

void http_answer(struct http_conn *conn, int status, const char *headers, const char *type, const void *body, size_t n)
{
	print_head(conn, status, headers, type, n);
	text_add(&scratch, body, n);
	put(conn, scratch.data, scratch.len);
	complete(conn);
}

void http_answer_cut(struct http_conn *conn, const char *type, size_t promised, const void *body, size_t n)
{
	print_head(conn, 200, "", type, promised);
	text_add(&scratch, body, n);
	put(conn, scratch.data, scratch.len);
	close_when_out(conn);
}

void http_stream_open(struct http_conn *conn, const char *type, size_t split)
{
	conn->split = split;
	if (!conn->chunked)
		conn->keep = false;
	text_clear(&scratch);
	text_printf(&scratch, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nCache-Control: no-cache\r\n%s%s\r\n", type,
	            conn->chunked ? "Transfer-Encoding: chunked\r\n" : "", conn->keep ? "" : "Connection: close\r\n");
	put(conn, scratch.data, scratch.len);
}

void http_stream_write(struct http_conn *conn, const void *bytes, size_t n)
{
	size_t most = conn->split > 0 ? conn->split : n;

	if (n == 0)
		return;
	if (!conn->chunked) {
		put(conn, bytes, n);
		return;
	}
	text_clear(&scratch);
	for (size_t at = 0; at < n; at += most) {
		size_t part = n - at < most ? n - at : most;

		text_printf(&scratch, "%zx\r\n", part);
		text_add(&scratch, (const char *)bytes + at, part);
		text_puts(&scratch, "\r\n");
	}
	put(conn, scratch.data, scratch.len);
}

void http_stream_close(struct http_conn *conn)
{
	if (conn->chunked)
		put(conn, "0\r\n\r\n", 5);
	complete(conn);
}

void http_cut(struct http_conn *conn, bool reset)
{
	struct linger none = {.l_onoff = 1};

	if (reset) {
		setsockopt(bufferevent_getfd(conn->bev), SOL_SOCKET, SO_LINGER, &none, sizeof none);
		evbuffer_drain(bufferevent_get_output(conn->bev), pending(conn));
	}
	close_when_out(conn);
}

void http_on_gone(struct http_conn *conn, void (*gone)(void *arg), void *arg)
{
	conn->gone = gone;
	conn->gone_arg = arg;
}

const char *http_header(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (strcasecmp(request->headers[i].name, name) == 0)
			return request->headers[i].value;
	return NULL;
}

/* Cuts the line at *rest off and returns it. */
static char *cut_line(char **rest)
{
	char *line = *rest, *end = strstr(line, "\r\n");

	if (end == NULL) {
		*rest = line + strlen(line);
		return line;
	}
	*end = '\0';
	*rest = end + 2;
	return line;
}

static void parse_headers(struct http_request *request, char *rest)
{
	while (*rest != '\0' && request->header_count < HTTP_HEADERS_MAX) {
		char *line = cut_line(&rest), *colon = strchr(line, ':');

		if (colon == NULL)
			continue;
		*colon = '\0';
		request->headers[request->header_count++] = (struct http_header){line, colon + 1 + strspn(colon + 1, " \t")};
	}
}

static bool parse_head(struct http_conn *conn)
{
	struct http_request *request = &conn->request;
	char *rest = conn->head, *line = cut_line(&rest), *save, *query;
	const char *path, *version, *connection, *length;

	request->method = strtok_r(line, " ", &save);
	path = strtok_r(NULL, " ", &save);
	version = strtok_r(NULL, " ", &save);
	if (version == NULL)
		return false;
	query = strchr(path, '?');
	request->path = path;
	request->query = query != NULL ? query + 1 : "";
	if (query != NULL)
		*query = '\0';
	parse_headers(request, rest);
	connection = http_header(request, "Connection");
	length = http_header(request, "Content-Length");
	conn->chunked = strcmp(version, "HTTP/1.1") == 0;
	conn->keep = conn->chunked ? connection == NULL || strcasecmp(connection, "close") != 0
	                           : connection != NULL && strcasecmp(connection, "keep-alive") == 0;
	request->body_len = length != NULL ? strtoul(length, NULL, 10) : 0;
	return request->body_len <= BODY_MAX && http_header(request, "Transfer-Encoding") == NULL;
}

/* True once a head was there; an unusable one ends the connection. */
static bool read_head(struct http_conn *conn)
{
	struct evbuffer *in = bufferevent_get_input(conn->bev);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	const char *expect;

	if (end.pos < 0) {
		conn->closing = evbuffer_get_length(in) > HEAD_MAX;
		return false;
	}
	conn->head = take((size_t)end.pos + 5);
	evbuffer_remove(in, conn->head, (size_t)end.pos + 4);
	conn->head[end.pos] = '\0';
	if (!parse_head(conn)) {
		conn->closing = true;
		return false;
	}
	expect = http_header(&conn->request, "Expect");
	if (expect != NULL && strcasecmp(expect, "100-continue") == 0)
		put(conn, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	conn->state = BODY;
	return true;
}

static bool read_body(struct http_conn *conn)
{
	struct evbuffer *in = bufferevent_get_input(conn->bev);

	if (evbuffer_get_length(in) < conn->request.body_len)
		return false;
	conn->request.body = take(conn->request.body_len + 1);
	evbuffer_remove(in, conn->request.body, conn->request.body_len);
	conn->state = BUSY;
	handle(conn, &conn->request);
	return true;
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct http_conn *conn = arg;
	bool more = true;

	(void)bev;
	conn->handling = true;
	while (more && conn->state != BUSY && !conn->closing)
		more = conn->state == HEAD ? read_head(conn) : read_body(conn);
	conn->handling = false;
	if (conn->closing && pending(conn) == 0)
		release(conn);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct http_conn *conn = arg;

	(void)bev;
	if (conn->closing && !conn->handling && pending(conn) == 0)
		release(conn);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct http_conn *conn = arg;

	(void)bev;
	if (what & BEV_EVENT_CONNECTED)
		return;
	if (conn->gone != NULL)
		conn->gone(conn->gone_arg);
	release(conn);
}

static struct bufferevent *open_bufferevent(struct event_base *base, evutil_socket_t fd)
{
	SSL *ssl;

	if (tls_context == NULL)
		return bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	ssl = SSL_new(tls_context);
	return ssl == NULL ? NULL
	                   : bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int len, void *arg)
{
	struct http_conn *conn = take(sizeof *conn);
	int on = 1;

	(void)from, (void)len, (void)arg;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	conn->tls = tls_context != NULL;
	conn->bev = open_bufferevent(evconnlistener_get_base(listener), fd);
	if (conn->bev == NULL)
		errx(1, "no memory for a connection");
	counts_add(CONNECTIONS, 1);
	counts_add(CONNECTIONS_OPEN, 1);
	bufferevent_setcb(conn->bev, on_read, on_written, on_event, conn);
	bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
}

static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	(void)listener, (void)arg;
	warn("accept");
}

static void open_tls(const char *cert_file, const char *key_file)
{
	tls_context = SSL_CTX_new(TLS_server_method());
	if (tls_context == NULL || SSL_CTX_use_certificate_chain_file(tls_context, cert_file) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls_context, key_file, SSL_FILETYPE_PEM) != 1)
		errx(1, "%s, %s: not a certificate and its key", cert_file, key_file);
}

int http_listen(struct event_base *base, int port, const char *cert_file, const char *key_file, http_handler *handler)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof at;
	struct evconnlistener *listener;

	handle = handler;
	if (cert_file != NULL && key_file != NULL)
		open_tls(cert_file, key_file);
	listener = evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, 4096,
	                                   (struct sockaddr *)&at, sizeof at);
	if (listener == NULL)
		err(1, "127.0.0.1:%d", port);
	evconnlistener_set_error_cb(listener, on_accept_error);
	getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&at, &len);
	return ntohs(at.sin_port);
}
