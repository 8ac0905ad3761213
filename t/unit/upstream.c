/*
 * upstream.c - an HTTP server inside a test. Nothing of it outlives the test: the sanitizers look.
 */
#include "upstream.h"

#include <arpa/inet.h>
#include <check.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT_FIRST 22000
#define PORT_COUNT 1000

#ifdef __SANITIZE_THREAD__
/* libcrypto counts its references with atomics of its own, which the sanitizer does not see: it takes the last owner's freeing of a certificate
 * chain for a race with an earlier owner's copying of it. */
const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
	return "race:OPENSSL_sk_free\n";
}
#endif

struct upstream {
	struct upstream *older;
	struct upstream_conn *newest; /* written by the accepting thread, read when that has ended */
	pthread_t thread;
	upstream_serve *serve;
	void *user;
	SSL_CTX *ssl_ctx;
	int fd, port;
	atomic_int connections, closed, requests, served, resumed;
};

struct upstream_conn {
	struct upstream_conn *older;
	struct upstream *up;
	pthread_t thread;
	int fd;
	SSL *ssl;
	bool open;
};

static struct upstream *all;

static int try_listen(int port, int backlog)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, backlog) == 0)
		return fd;
	close(fd);
	return -1;
}

static int listen_somewhere(int backlog, int *port)
{
	for (int i = 0; i < PORT_COUNT; i++) {
		int fd;

		*port = PORT_FIRST + (getpid() * 7 + i) % PORT_COUNT;
		fd = try_listen(*port, backlog);
		if (fd >= 0)
			return fd;
	}
	ck_abort_msg("no free port");
}

int upstream_dead_port(void)
{
	int port, fd = listen_somewhere(1, &port);

	close(fd);
	return port;
}

int upstream_stuck_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int port;

	listen_somewhere(0, &port);
	address.sin_port = htons((uint16_t)port);
	for (int i = 0; i < 4; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), -1);
	}
	upstream_pause(50);
	return port;
}

static ssize_t receive(struct upstream_conn *conn, char *bytes, size_t n)
{
	return conn->ssl != NULL ? SSL_read(conn->ssl, bytes, (int)n) : recv(conn->fd, bytes, n, 0);
}

bool upstream_send(struct upstream_conn *conn, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t sent = conn->ssl != NULL ? SSL_write(conn->ssl, bytes, (int)n) : send(conn->fd, bytes, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		bytes += sent;
		n -= (size_t)sent;
	}
	return true;
}

bool upstream_text(struct upstream_conn *conn, const char *text)
{
	return upstream_send(conn, text, strlen(text));
}

bool upstream_printf(struct upstream_conn *conn, const char *format, ...)
{
	char *text;
	va_list ap;
	bool ok;
	int n;

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	ok = n >= 0 && upstream_send(conn, text, (size_t)n);
	free(text);
	return ok;
}

bool upstream_answer(struct upstream_conn *conn, int status, const char *headers, const char *body)
{
	return upstream_printf(conn, "HTTP/1.1 %d Some Words\r\nContent-Length: %zu\r\n%s\r\n%s", status, strlen(body), headers, body);
}

void upstream_close(struct upstream_conn *conn)
{
	if (conn->open)
		shutdown(conn->fd, SHUT_RDWR);
	conn->open = false;
}

void upstream_reset(struct upstream_conn *conn)
{
	struct linger linger = {.l_onoff = 1};

	setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	conn->open = false;
}

void upstream_pause(int ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

bool upstream_wait_gone(struct upstream_conn *conn)
{
	struct pollfd p = {.fd = conn->fd, .events = POLLRDHUP};

	return poll(&p, 1, 2000) > 0;
}

static size_t body_length(const char *head)
{
	const char *line = strcasestr(head, "\r\ncontent-length:");

	return line == NULL ? 0 : strtoul(line + 17, NULL, 10);
}

/* One request, its head and body; NULL at the connection's end. */
static char *read_request(struct upstream_conn *conn)
{
	size_t room = 4096, len = 0, want = 0;
	char *text = calloc(1, room), *end;

	while (want == 0 || len < want) {
		ssize_t n;

		if (room - len < 2)
			text = realloc(text, room *= 2);
		n = receive(conn, text + len, room - len - 1);
		if (n <= 0) {
			free(text);
			return NULL;
		}
		len += (size_t)n;
		text[len] = '\0';
		end = strstr(text, "\r\n\r\n");
		if (want == 0 && end != NULL)
			want = (size_t)(end - text) + 4 + body_length(text);
	}
	return text;
}

static bool shake_hands(struct upstream_conn *conn)
{
	if (conn->up->ssl_ctx == NULL)
		return true;
	conn->ssl = SSL_new(conn->up->ssl_ctx);
	SSL_set_fd(conn->ssl, conn->fd);
	if (SSL_accept(conn->ssl) != 1)
		return false;
	if (SSL_session_reused(conn->ssl))
		conn->up->resumed++;
	return true;
}

static void *serve_connection(void *user)
{
	struct upstream_conn *conn = user;
	struct upstream *up = conn->up;
	char *request;

	if (shake_hands(conn)) {
		while (conn->open && (request = read_request(conn)) != NULL) {
			up->requests++;
			up->serve(conn, request, up->user);
			up->served++;
			free(request);
		}
	}
	SSL_free(conn->ssl);
	close(conn->fd);
	up->closed++;
	return NULL;
}

static void *accept_all(void *user)
{
	struct upstream *up = user;
	int fd;

	while ((fd = accept(up->fd, NULL, NULL)) >= 0) {
		struct upstream_conn *conn = calloc(1, sizeof *conn);

		*conn = (struct upstream_conn){.up = up, .fd = fd, .open = true, .older = up->newest};
		up->newest = conn;
		up->connections++;
		if (pthread_create(&conn->thread, NULL, serve_connection, conn) != 0)
			abort();
	}
	return NULL;
}

void upstream_stop_all(void)
{
	for (struct upstream *up = all, *older; up != NULL; up = older) {
		shutdown(up->fd, SHUT_RDWR);
		pthread_join(up->thread, NULL);
		for (struct upstream_conn *conn = up->newest, *next; conn != NULL; conn = next) {
			pthread_join(conn->thread, NULL);
			next = conn->older;
			free(conn);
		}
		SSL_CTX_free(up->ssl_ctx);
		close(up->fd);
		older = up->older;
		free(up);
	}
	all = NULL;
}

static X509 *make_certificate(EVP_PKEY *key, const char *subject, const char *san, X509 *issuer, EVP_PKEY *issuer_key)
{
	X509 *cert = X509_new();
	X509_EXTENSION *extension;
	X509V3_CTX context;

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), issuer == NULL ? 1 : 2);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)subject, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer == NULL ? cert : issuer));
	X509_set_pubkey(cert, key);
	X509V3_set_ctx(&context, issuer == NULL ? cert : issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, san == NULL ? NID_basic_constraints : NID_subject_alt_name, san == NULL ? "critical,CA:TRUE" : san);
	X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
	ck_assert_int_gt(X509_sign(cert, issuer_key, EVP_sha256()), 0);
	return cert;
}

static SSL_CTX *make_tls(const struct upstream_tls *tls)
{
	EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
	X509 *ca = make_certificate(ca_key, "test authority", NULL, NULL, ca_key);
	X509 *cert = make_certificate(key, "upstream", tls->name, ca, ca_key);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	FILE *file = fopen(tls->ca_file, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(PEM_write_X509(file, ca), 1);
	fclose(file);
	ck_assert_int_eq(SSL_CTX_use_certificate(ctx, cert), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(ctx, key), 1);
	if (tls->old) {
		SSL_CTX_set_security_level(ctx, 0);
		SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
	}
	X509_free(ca);
	X509_free(cert);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	return ctx;
}

struct upstream *upstream_new(upstream_serve *serve, void *user, const struct upstream_tls *tls)
{
	struct upstream *up = calloc(1, sizeof *up);

	signal(SIGPIPE, SIG_IGN);
	up->serve = serve;
	up->user = user;
	up->ssl_ctx = tls == NULL ? NULL : make_tls(tls);
	up->fd = listen_somewhere(1024, &up->port);
	up->older = all;
	all = up;
	ck_assert_int_eq(pthread_create(&up->thread, NULL, accept_all, up), 0);
	return up;
}

int upstream_port(const struct upstream *up)
{
	return up->port;
}

int upstream_connections(const struct upstream *up)
{
	return up->connections;
}

int upstream_requests(const struct upstream *up)
{
	return up->requests;
}

int upstream_resumed(const struct upstream *up)
{
	return up->resumed;
}

void upstream_settle(struct upstream *up)
{
	for (int i = 0; i < 2000 && up->served < up->requests; i++)
		upstream_pause(1);
}

bool upstream_wait_closed(struct upstream *up, int count)
{
	for (int i = 0; i < 400 && up->closed < count; i++)
		upstream_pause(5);
	return up->closed >= count;
}
