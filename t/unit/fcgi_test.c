/*
 * fcgi_test.c - the FastCGI port against a client that behaves, and against several that do not.
 *
 * The client writes records by hand, so that it can break off, stay silent, send garbage or ask for a kept connection. Server and client are one
 * process; what blocks on one side is run by a thread.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "port/fcgi.h"
#include "unit.h"

enum { BEGIN_REQUEST = 1, ABORT_REQUEST = 2, END_REQUEST = 3, PARAMS = 4, INPUT = 5, OUTPUT = 6 };

static char directory[] = "/tmp/fcgi_test-XXXXXX";
static char path[64];
static int listen_fd = -1;
static struct fcgi *fcgi;
static struct arena *arena;

/* The client. */

static int connect_unix(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static void send_bytes(int fd, const void *bytes, size_t n)
{
	ck_assert_int_eq(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

static void send_record(int fd, int type, const void *content, size_t n)
{
	unsigned char head[8] = {1, (unsigned char)type, 0, 1, (unsigned char)(n >> 8), (unsigned char)n, 0, 0};

	send_bytes(fd, head, sizeof head);
	if (n > 0)
		send_bytes(fd, content, n);
}

static void send_begin(int fd, int flags)
{
	unsigned char begin[8] = {0, 1, (unsigned char)flags};

	send_record(fd, BEGIN_REQUEST, begin, sizeof begin);
}

static const char params[] = "\x0b\x02REQUEST_URI/x" "\x0e\x04REQUEST_METHODPOST" "\x05\0EMPTY";

static void send_head(int fd, int flags)
{
	send_begin(fd, flags);
	send_record(fd, PARAMS, params, sizeof params - 1);
	send_record(fd, PARAMS, NULL, 0);
}

static void send_request(int fd, const char *body, size_t n)
{
	send_head(fd, 0);
	for (size_t piece; n > 0; body += piece, n -= piece) {
		piece = n > 60000 ? 60000 : n;
		send_record(fd, INPUT, body, piece);
	}
	send_record(fd, INPUT, NULL, 0);
}

/* What came on standard output until the server closed; *ended whether END_REQUEST came. */
static size_t read_answer(int fd, char *text, size_t size, bool *ended)
{
	static unsigned char bytes[1 << 20];
	size_t n = 0, len = 0;

	*ended = false;
	for (ssize_t got; (got = recv(fd, bytes + n, sizeof bytes - n, 0)) > 0;)
		n += (size_t)got;
	for (size_t at = 0; at + 8 <= n;) {
		size_t content = (size_t)bytes[at + 4] << 8 | bytes[at + 5];

		if (bytes[at + 1] == OUTPUT && len + content < size) {
			memcpy(text + len, bytes + at + 8, content);
			len += content;
		}
		*ended = *ended || bytes[at + 1] == END_REQUEST;
		at += 8 + content + bytes[at + 6];
	}
	text[len] = '\0';
	close(fd);
	return len;
}

/* The server. */

static void begin_server(void)
{
	sigset_t wake;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/s", directory);
	sigemptyset(&wake);
	sigaddset(&wake, FCGI_WAKE);
	pthread_sigmask(SIG_BLOCK, &wake, NULL);
	ck_assert_int_eq(fcgi_init(), RC_OK);
	ck_assert_int_eq(fcgi_listen(path, 64, &listen_fd), RC_OK);
	ck_assert_int_eq(fcgi_new(listen_fd, &fcgi), RC_OK);
	arena = arena_new(8 << 20);
	ck_assert_ptr_nonnull(arena);
}

static void end_server(void)
{
	fcgi_free(fcgi);
	arena_free(arena);
	if (listen_fd >= 0)
		close(listen_fd);
	unlink(path);
	rmdir(directory);
}

/* A server's whole turn: takes a request, reads its body, answers "ok". */
static enum rc serve_body(size_t max, const char **body, size_t *len)
{
	enum rc rc;

	ck_assert_int_eq(fcgi_accept(fcgi), RC_OK);
	rc = fcgi_body(fcgi, arena, max, body, len);
	ck_assert_int_eq(fcgi_write(fcgi, "ok", 2), RC_OK);
	return rc;
}

static void expect_ok(int fd)
{
	char text[64];
	bool ended;

	read_answer(fd, text, sizeof text, &ended);
	ck_assert_str_eq(text, "ok");
	ck_assert(ended);
}

static void serve_next(void)
{
	const char *body;
	size_t len;
	int fd = connect_unix();

	send_request(fd, "", 0);
	ck_assert_int_eq(serve_body(10, &body, &len), RC_OK);
	ck_assert_int_eq(fcgi_finish(fcgi), RC_OK);
	expect_ok(fd);
}

START_TEST(round_trip)
{
	const char *body;
	size_t len;
	int fd = connect_unix();

	ck_assert_int_eq(fcgi_fd(fcgi), -1);
	ck_assert_ptr_null(fcgi_param(fcgi, "REQUEST_URI"));
	ck_assert_int_eq(fcgi_write(fcgi, "x", 1), RC_GONE);
	ck_assert_int_eq(fcgi_flush(fcgi), RC_GONE);
	ck_assert_int_eq(fcgi_finish(fcgi), RC_GONE);
	ck_assert(fcgi_gone(fcgi));
	send_request(fd, "hello", 5);
	ck_assert_int_eq(serve_body(5, &body, &len), RC_OK);
	ck_assert_mem_eq(body, "hello", 6);
	ck_assert_uint_eq(len, 5);
	ck_assert_str_eq(fcgi_param(fcgi, "REQUEST_URI"), "/x");
	ck_assert_str_eq(fcgi_param(fcgi, "EMPTY"), "");
	ck_assert_ptr_null(fcgi_param(fcgi, "NONE"));
	ck_assert_int_ge(fcgi_fd(fcgi), 0);
	ck_assert(fcntl(fcgi_fd(fcgi), F_GETFD) & FD_CLOEXEC);
	ck_assert(!fcgi_gone(fcgi));
	ck_assert_int_eq(fcgi_flush(fcgi), RC_OK);
	ck_assert_int_eq(fcgi_finish(fcgi), RC_OK);
	ck_assert_int_eq(fcgi_fd(fcgi), -1);
	expect_ok(fd);
}
END_TEST

START_TEST(body_in_pieces)
{
	static char big[200000];
	const char *body;
	size_t len;
	int fd = connect_unix();
	int room = 1 << 20;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)(i * 7 % 251);
	send_request(fd, big, sizeof big);
	ck_assert_int_eq(serve_body(sizeof big, &body, &len), RC_OK);
	ck_assert_uint_eq(len, sizeof big);
	ck_assert_mem_eq(body, big, sizeof big);
	fcgi_finish(fcgi);
	expect_ok(fd);
}
END_TEST

START_TEST(body_too_big_is_drained)
{
	const char *body;
	size_t len;
	int fd = connect_unix();

	send_request(fd, "hello", 5);
	ck_assert_int_eq(serve_body(4, &body, &len), RC_TOOBIG);
	ck_assert_int_eq(fcgi_body(fcgi, arena, 4, &body, &len), RC_OK); /* again: nothing is left */
	ck_assert_int_eq(fcgi_finish(fcgi), RC_OK);
	expect_ok(fd);
}
END_TEST

START_TEST(body_nobody_asks_for)
{
	int fd = connect_unix();

	send_request(fd, "hello", 5);
	ck_assert_int_eq(fcgi_accept(fcgi), RC_OK);
	ck_assert_int_eq(fcgi_write(fcgi, "ok", 2), RC_OK);
	ck_assert_int_eq(fcgi_finish(fcgi), RC_OK);
	expect_ok(fd);
}
END_TEST

START_TEST(body_breaks_off)
{
	const char *body;
	size_t len;
	int fd = connect_unix();

	send_head(fd, 0);
	send_bytes(fd, "\x01\x05\0\x01\0\x09\0\0hel", 11);
	shutdown(fd, SHUT_WR);
	ck_assert_int_eq(serve_body(100, &body, &len), RC_PROTOCOL);
	ck_assert_int_eq(fcgi_finish(fcgi), RC_OK); /* the answer could be written all the same */
	close(fd);
	fd = connect_unix();
	send_head(fd, 0);
	shutdown(fd, SHUT_WR);
	ck_assert_int_eq(fcgi_accept(fcgi), RC_OK); /* drops what was begun */
	ck_assert_int_eq(fcgi_finish(fcgi), RC_GONE);
	close(fd);
	serve_next();
}
END_TEST

START_TEST(kept_connection_is_closed)
{
	char text[64];
	bool ended;
	int fd = connect_unix();

	send_head(fd, 1);
	send_record(fd, INPUT, NULL, 0);
	ck_assert_int_eq(fcgi_accept(fcgi), RC_OK);
	ck_assert_int_eq(fcgi_finish(fcgi), RC_OK);
	ck_assert_uint_eq(read_answer(fd, text, sizeof text, &ended), 0); /* and it came to the connection's end */
	ck_assert(ended);
}
END_TEST

START_TEST(accept_drops_what_was_not_finished)
{
	int first = connect_unix(), second = connect_unix();
	char text[64];
	bool ended;

	send_request(first, "", 0);
	send_request(second, "", 0);
	ck_assert_int_eq(fcgi_accept(fcgi), RC_OK);
	ck_assert_int_eq(fcgi_accept(fcgi), RC_OK);
	read_answer(first, text, sizeof text, &ended);
	close(second);
}
END_TEST

static void write_until_gone(void)
{
	static const char bytes[16384];
	enum rc rc = RC_OK;

	for (int i = 0; i < 10000 && rc == RC_OK; i++)
		rc = fcgi_write(fcgi, bytes, sizeof bytes);
	ck_assert_int_eq(rc, RC_GONE);
	ck_assert_int_eq(fcgi_write(fcgi, "x", 1), RC_GONE);
	ck_assert_int_eq(fcgi_flush(fcgi), RC_GONE);
	ck_assert(fcgi_gone(fcgi));
	ck_assert_int_eq(fcgi_finish(fcgi), RC_GONE);
}

START_TEST(caller_leaves)
{
	const char *body;
	size_t len;
	int fd = connect_unix();

	send_request(fd, "", 0);
	ck_assert_int_eq(serve_body(10, &body, &len), RC_OK);
	ck_assert(!fcgi_gone(fcgi));
	close(fd);
	ck_assert(fcgi_gone(fcgi));
	ck_assert_int_eq(fcgi_flush(fcgi), RC_GONE);
	ck_assert_int_eq(fcgi_finish(fcgi), RC_GONE);
	fd = connect_unix();
	send_request(fd, "", 0);
	ck_assert_int_eq(fcgi_accept(fcgi), RC_OK);
	close(fd);
	write_until_gone();
	serve_next();
}
END_TEST

START_TEST(caller_aborts)
{
	const char *body;
	size_t len;
	int fd = connect_unix();

	send_request(fd, "", 0);
	ck_assert_int_eq(serve_body(10, &body, &len), RC_OK);
	send_record(fd, ABORT_REQUEST, NULL, 0);
	ck_assert(fcgi_gone(fcgi));
	close(fd);
}
END_TEST

START_TEST(caller_reads_nothing)
{
	int64_t start = clock_us();
	int fd = connect_unix();

	fcgi_send_timeout(fcgi, 5000);
	send_request(fd, "", 0);
	ck_assert_int_eq(fcgi_accept(fcgi), RC_OK);
	fcgi_send_timeout(fcgi, 100);
	write_until_gone();
	ck_assert_int_lt(clock_us() - start, 4000000);
	close(fd);
}
END_TEST

START_TEST(bad_connections)
{
	static const struct {
		const char *bytes;
		size_t n;
	} bad[] = {{"", 0}, {"GET / HTTP/1.0\r\n\r\n", 18}, {"\x01\x04\0\x01\0\0\0\0", 8}, {"\x01\x01\0\0\0\x08\0\0\0\x01\0\0\0\0\0\0", 16}, {"\x01", 1}};
	int fd;

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		fd = connect_unix();
		if (bad[i].n > 0)
			send_bytes(fd, bad[i].bytes, bad[i].n);
		close(fd);
		ck_assert_int_eq(fcgi_accept(fcgi), RC_PROTOCOL);
		ck_assert_int_eq(fcgi_fd(fcgi), -1);
	}
	fd = connect_unix();
	send_begin(fd, 0);
	close(fd);
	ck_assert_int_eq(fcgi_accept(fcgi), RC_PROTOCOL);
	serve_next();
}
END_TEST

START_TEST(no_listening_socket)
{
	struct fcgi *other;

	ck_assert_int_eq(fcgi_new(-1, &other), RC_OK);
	ck_assert_int_eq(fcgi_accept(other), RC_SYS);
	fcgi_free(other);
	fcgi_free(NULL);
}
END_TEST

/* Many descriptors are open under load: nothing may depend on select's 1,024. */
START_TEST(high_descriptor)
{
	struct rlimit files;
	int last = 0;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	if (files.rlim_cur < 1200)
		return;
	while (last < 1100)
		last = dup(listen_fd);
	serve_next();
	for (int i = 0; i < 3; i++)
		serve_next();
}
END_TEST

/* Threads. */

#define THREADS 8

struct taker {
	pthread_t id;
	struct fcgi *fcgi;
	atomic_bool back;
	enum rc rc;
};

static void *take(void *p)
{
	struct taker *taker = p;

	taker->rc = fcgi_accept(taker->fcgi);
	atomic_store(&taker->back, true);
	return NULL;
}

static void start_taker(struct taker *taker)
{
	ck_assert_int_eq(fcgi_new(listen_fd, &taker->fcgi), RC_OK);
	ck_assert_int_eq(pthread_create(&taker->id, NULL, take, taker), 0);
}

static void wake_until_back(struct taker *taker)
{
	while (!atomic_load(&taker->back)) {
		pthread_kill(taker->id, FCGI_WAKE);
		poll(NULL, 0, 1);
	}
	pthread_join(taker->id, NULL);
}

START_TEST(shutdown_wakes_all)
{
	struct taker takers[THREADS] = {0};

	for (int i = 0; i < THREADS; i++)
		start_taker(&takers[i]);
	poll(NULL, 0, 20);
	for (int i = 0; i < THREADS; i++) /* without fcgi_shutdown a signal means nothing */
		pthread_kill(takers[i].id, FCGI_WAKE);
	poll(NULL, 0, 20);
	for (int i = 0; i < THREADS; i++)
		ck_assert(!atomic_load(&takers[i].back));
	fcgi_shutdown();
	for (int i = 0; i < THREADS; i++) {
		wake_until_back(&takers[i]);
		ck_assert_int_eq(takers[i].rc, RC_DONE);
		fcgi_free(takers[i].fcgi);
	}
	ck_assert_int_eq(fcgi_accept(fcgi), RC_DONE);
}
END_TEST

START_TEST(wake_cuts_no_request)
{
	struct taker taker = {0};
	int fd;

	start_taker(&taker);
	fd = connect_unix();
	send_begin(fd, 0);
	send_bytes(fd, "\x01", 1); /* of the next record's head */
	poll(NULL, 0, 20);
	fcgi_shutdown();
	for (int i = 0; i < 20; i++) {
		pthread_kill(taker.id, FCGI_WAKE);
		poll(NULL, 0, 1);
	}
	ck_assert(!atomic_load(&taker.back));
	send_bytes(fd, "\x04\0\x01\0\0\0\0", 7);
	send_record(fd, INPUT, NULL, 0);
	pthread_join(taker.id, NULL);
	ck_assert_int_eq(taker.rc, RC_OK);
	ck_assert_int_eq(fcgi_write(taker.fcgi, "ok", 2), RC_OK);
	fcgi_finish(taker.fcgi);
	expect_ok(fd);
	ck_assert_int_eq(fcgi_accept(taker.fcgi), RC_DONE);
	fcgi_free(taker.fcgi);
}
END_TEST

START_TEST(silent_connection_ends_with_shutdown)
{
	struct taker taker = {0};
	int fd;

	start_taker(&taker);
	fd = connect_unix();
	poll(NULL, 0, 20);
	fcgi_shutdown();
	pthread_join(taker.id, NULL);
	ck_assert_int_eq(taker.rc, RC_PROTOCOL);
	fcgi_free(taker.fcgi);
	close(fd);
}
END_TEST

/* Listening. */

START_TEST(socket_file)
{
	struct stat file;
	char other[200];
	int fd;

	ck_assert_int_eq(stat(path, &file), 0);
	ck_assert_uint_eq(file.st_mode & 0777, 0600);
	ck_assert(fcntl(listen_fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(fcgi_listen(path, 4, &fd), RC_UNAVAILABLE);
	ck_assert_int_eq(stat(path, &file), 0);
	close(listen_fd); /* the file stays, and is stale now */
	listen_fd = -1;
	ck_assert_int_eq(fcgi_listen(path, 4, &fd), RC_OK);
	close(fd);
	snprintf(other, sizeof other, "%s/f", directory);
	fd = open(other, O_WRONLY | O_CREAT, 0600);
	close(fd);
	ck_assert_int_eq(fcgi_listen(other, 4, &fd), RC_INVALID);
	ck_assert_int_eq(access(other, F_OK), 0);
	unlink(other);
	ck_assert_int_eq(fcgi_listen("/no/such/directory/s", 4, &fd), RC_SYS);
	ck_assert_int_eq(errno, ENOENT);
	memset(other, 'x', sizeof other - 1);
	other[0] = '/';
	other[sizeof other - 1] = '\0';
	ck_assert_int_eq(fcgi_listen(other, 4, &fd), RC_INVALID);
}
END_TEST

START_TEST(bad_addresses)
{
	static const char *const bad[] = {"", "9000", "host", "host:", ":", ":x", ":99999", ":-1", "::1:9000", ":90 ", "[::1:9000"};
	int fd;

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		ck_assert_msg(fcgi_listen(bad[i], 4, &fd) == RC_INVALID, "%s", bad[i]);
	ck_assert_int_eq(fcgi_listen("no-such-host.invalid:9000", 4, &fd), RC_NOTFOUND);
}
END_TEST

static int port_of(int fd, struct sockaddr_in *address)
{
	socklen_t size = sizeof *address;

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)address, &size), 0);
	return ntohs(address->sin_port);
}

/* Takes a TCP connection through a new listener; what fcgi_accept said. */
static enum rc take_over_tcp(void)
{
	struct sockaddr_in address;
	struct fcgi *tcp;
	int fd, client, nodelay = 0;
	socklen_t size = sizeof nodelay;
	enum rc rc;

	ck_assert_int_eq(fcgi_listen(":0", 4, &fd), RC_OK);
	port_of(fd, &address);
	ck_assert_uint_eq(ntohl(address.sin_addr.s_addr), INADDR_LOOPBACK);
	client = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	send_request(client, "", 0);
	ck_assert_int_eq(fcgi_new(fd, &tcp), RC_OK);
	rc = fcgi_accept(tcp);
	if (rc == RC_OK) {
		ck_assert_int_eq(getsockopt(fcgi_fd(tcp), IPPROTO_TCP, TCP_NODELAY, &nodelay, &size), 0);
		ck_assert_int_ne(nodelay, 0);
	}
	fcgi_free(tcp);
	close(client);
	close(fd);
	return rc;
}

START_TEST(tcp)
{
	char address[32];
	struct sockaddr_in bound;
	int fd, other;

	ck_assert_int_eq(take_over_tcp(), RC_OK);
	ck_assert_int_eq(fcgi_listen("127.0.0.1:0", 4, &fd), RC_OK);
	snprintf(address, sizeof address, "127.0.0.1:%d", port_of(fd, &bound));
	ck_assert_int_eq(fcgi_listen(address, 4, &other), RC_UNAVAILABLE);
	close(fd);
	if (fcgi_listen("[::1]:0", 4, &fd) == RC_OK)
		close(fd);
}
END_TEST

START_TEST(peers)
{
	char many[65 * 10 + 1] = "";

	ck_assert_int_eq(fcgi_allow("192.0.2.1, ::1"), RC_OK);
	ck_assert_int_eq(take_over_tcp(), RC_DENIED);
	ck_assert_int_eq(fcgi_allow("192.0.2.1,127.0.0.1"), RC_OK);
	ck_assert_int_eq(take_over_tcp(), RC_OK);
	ck_assert_int_eq(fcgi_allow(""), RC_OK);
	ck_assert_int_eq(take_over_tcp(), RC_OK);
	ck_assert_int_eq(fcgi_allow("localhost"), RC_INVALID);
	for (int i = 0; i < 65; i++)
		strcat(many, "127.0.0.1 ");
	ck_assert_int_eq(fcgi_allow(many), RC_TOOBIG);
	ck_assert_int_eq(fcgi_allow("192.0.2.1"), RC_OK);
	serve_next(); /* who may open the socket file is for its mode to say */
}
END_TEST

START_TEST(inherited)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	dup2(ends[0], STDIN_FILENO);
	ck_assert(!fcgi_inherited());
	close(STDIN_FILENO);
	ck_assert(!fcgi_inherited());
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	dup2(ends[0], STDIN_FILENO);
	ck_assert(!fcgi_inherited());
	dup2(listen_fd, STDIN_FILENO);
	ck_assert(fcgi_inherited());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fcgi");
	TCase *tests = tcase_create("fcgi");

	tcase_add_checked_fixture(tests, begin_server, end_server);
	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, round_trip);
	tcase_add_test(tests, body_in_pieces);
	tcase_add_test(tests, body_too_big_is_drained);
	tcase_add_test(tests, body_nobody_asks_for);
	tcase_add_test(tests, body_breaks_off);
	tcase_add_test(tests, kept_connection_is_closed);
	tcase_add_test(tests, accept_drops_what_was_not_finished);
	tcase_add_test(tests, caller_leaves);
	tcase_add_test(tests, caller_aborts);
	tcase_add_test(tests, caller_reads_nothing);
	tcase_add_test(tests, bad_connections);
	tcase_add_test(tests, no_listening_socket);
	tcase_add_test(tests, high_descriptor);
	tcase_add_test(tests, shutdown_wakes_all);
	tcase_add_test(tests, wake_cuts_no_request);
	tcase_add_test(tests, silent_connection_ends_with_shutdown);
	tcase_add_test(tests, socket_file);
	tcase_add_test(tests, bad_addresses);
	tcase_add_test(tests, tcp);
	tcase_add_test(tests, peers);
	tcase_add_test(tests, inherited);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
