/*
 * fcgi.c - FastCGI, through libfcgi.
 *
 * libfcgi reads and writes the records; connections are accepted and closed here. Its own accept would let one signal cut a request that is just
 * being read, knows only IPv4 peers, and lets a peer that connects and stays silent keep the thread. Its close waits for the peer; after a
 * drained request there is nothing to wait for. What a request no longer needs (its input buffer, once the body is read) is given back at once: a
 * thousand streams wait here for their providers.
 */
#include "port/fcgi.h"

#include <errno.h>
#include <fcgiapp.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"

#define SEND_TIMEOUT_MS 30000
#define RECEIVE_TIMEOUT_MS 30000           /* between two pieces of a request */
#define BODY_US (60 * (int64_t)1000000)    /* the whole of a body */
#define SILENCE_US (10 * (int64_t)1000000) /* from a connection to its first byte */
#define SILENCE_LAST_US (int64_t)1000000   /* the same when the process is shutting down */
#define SILENCE_STEP_MS 250
#define ABORT_REQUEST 2 /* FCGI_ABORT_REQUEST, FastCGI 1.0 §8 */

struct fcgi {
	FCGX_Request request;
	int listen_fd;
	int waiting_fd; /* the connection between fcgi_wait and fcgi_begin, else -1 */
	int fd;         /* the connection, -1 outside a request */
	int send_timeout_ms;
	int64_t sending_us;
	bool measures; /* that */
	bool tcp;     /* the connection is no Unix socket */
	bool drained; /* the body was read to its end, or never will be */
	bool broken;  /* nothing more can be sent */
};

static atomic_bool shutting;
static struct in6_addr allowed[ADDRESS_LIST_MAX]; /* IPv4 as mapped addresses */
static unsigned allowed_count;

static void woken(int signal_number)
{
	(void)signal_number;
}

enum rc fcgi_init(void)
{
	struct sigaction wake = {.sa_handler = woken}, ignore = {.sa_handler = SIG_IGN}, standard = {.sa_handler = SIG_DFL};

	if (FCGX_Init() != 0)
		return RC_SYS;
	if (sigaction(FCGI_WAKE, &wake, NULL) != 0 || sigaction(SIGPIPE, &ignore, NULL) != 0 || sigaction(SIGTERM, &standard, NULL) != 0 ||
	    sigaction(SIGUSR1, &standard, NULL) != 0)
		return RC_SYS;
	return RC_OK;
}

bool fcgi_inherited(void)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof peer;
	int listening = 0;
	socklen_t listening_size = sizeof listening;

	if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &listening, &listening_size) != 0 || !listening)
		return false;
	return getpeername(STDIN_FILENO, (struct sockaddr *)&peer, &size) != 0 && errno == ENOTCONN;
}

enum rc fcgi_allow(const char *addresses)
{
	return address_list(addresses, allowed, &allowed_count);
}

static bool is_loopback(const struct in6_addr *address)
{
	return IN6_IS_ADDR_LOOPBACK(address) || (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
}

static bool is_allowed(const struct sockaddr_storage *peer)
{
	struct in6_addr address;

	if (peer->ss_family == AF_INET)
		address_map_ipv4(((const struct sockaddr_in *)peer)->sin_addr, &address);
	else if (peer->ss_family == AF_INET6)
		address = ((const struct sockaddr_in6 *)peer)->sin6_addr;
	else
		return true;
	if (allowed_count == 0)
		return is_loopback(&address);
	for (unsigned i = 0; i < allowed_count; i++)
		if (IN6_ARE_ADDR_EQUAL(&allowed[i], &address))
			return true;
	return false;
}

enum rc fcgi_new(int listen_fd, struct fcgi **out)
{
	struct fcgi *fcgi = calloc(1, sizeof *fcgi);

	if (fcgi == NULL)
		return RC_NOMEM;
	/* No listening socket for libfcgi: where a connection fails it would go on to the next one, and has to come back to us instead. */
	if (FCGX_InitRequest(&fcgi->request, -1, 0) != 0) {
		free(fcgi);
		return RC_SYS;
	}
	fcgi->listen_fd = listen_fd;
	fcgi->fd = fcgi->waiting_fd = -1;
	fcgi->send_timeout_ms = SEND_TIMEOUT_MS;
	*out = fcgi;
	return RC_OK;
}

void fcgi_free(struct fcgi *fcgi)
{
	if (fcgi == NULL)
		return;
	if (fcgi->fd >= 0)
		fcgi_finish(fcgi);
	if (fcgi->waiting_fd >= 0)
		close(fcgi->waiting_fd);
	free(fcgi);
}

void fcgi_shutdown(void)
{
	atomic_store(&shutting, true);
}

/* accept, with FCGI_WAKE let in meanwhile and at no other time. */
static int accept_awake(int listen_fd, struct sockaddr_storage *peer)
{
	socklen_t size = sizeof *peer;
	sigset_t wake;
	int fd, error;

	sigemptyset(&wake);
	sigaddset(&wake, FCGI_WAKE);
	peer->ss_family = AF_UNSPEC;
	pthread_sigmask(SIG_UNBLOCK, &wake, NULL);
	errno = EINTR;
	fd = atomic_load(&shutting) ? -1 : accept4(listen_fd, (struct sockaddr *)peer, &size, SOCK_CLOEXEC);
	error = errno;
	pthread_sigmask(SIG_BLOCK, &wake, NULL);
	errno = error;
	return fd;
}

/* What accept reports of a connection that went wrong before it was taken (accept(2) on Linux), as opposed to a lack of ours. */
static bool is_peers_fault(int error)
{
	return error == ECONNABORTED || error == EPROTO || error == ECONNRESET || error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH ||
	       error == ENETDOWN || error == EPERM;
}

static enum rc take_connection(struct fcgi *fcgi)
{
	struct sockaddr_storage peer;
	int fd;

	do {
		fd = accept_awake(fcgi->listen_fd, &peer);
	} while (fd < 0 && errno == EINTR && !atomic_load(&shutting));
	if (fd < 0)
		return atomic_load(&shutting) ? RC_DONE : is_peers_fault(errno) ? RC_PROTOCOL : RC_SYS;
	if (!is_allowed(&peer)) {
		close(fd);
		return RC_DENIED;
	}
	fcgi->waiting_fd = fd;
	fcgi->tcp = peer.ss_family == AF_INET || peer.ss_family == AF_INET6;
	return RC_OK;
}

static void set_time(int fd, int option, int milliseconds)
{
	struct timeval time = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};

	setsockopt(fd, SOL_SOCKET, option, &time, sizeof time);
}

static void prepare(const struct fcgi *fcgi, int fd)
{
	int yes = 1;

	if (fcgi->tcp)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	set_time(fd, SO_RCVTIMEO, RECEIVE_TIMEOUT_MS);
	set_time(fd, SO_SNDTIMEO, fcgi->send_timeout_ms);
}

/* A peer that connects and says nothing must not keep the thread; one that had just connected when the process shuts down still gets a moment. */
static enum rc await_bytes(int fd)
{
	int64_t start = clock_us();

	for (;;) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};

		if (poll(&wait, 1, SILENCE_STEP_MS) > 0)
			return RC_OK;
		if (clock_us() - start >= (atomic_load(&shutting) ? SILENCE_LAST_US : SILENCE_US))
			return RC_PROTOCOL;
	}
}

static void release(struct fcgi *fcgi, int fd)
{
	FCGX_Free(&fcgi->request, 0);
	fcgi->request.ipcFd = -1;
	close(fd);
}

/* Reads the parameters. libfcgi closes the connection itself where that fails. */
static enum rc read_params(struct fcgi *fcgi, int fd)
{
	FCGX_Request *request = &fcgi->request;

	request->ipcFd = fd;
	request->keepConnection = 1; /* else FCGX_Accept_r would begin by closing it */
	if (FCGX_Accept_r(request) != 0)
		return RC_PROTOCOL;
	request->keepConnection = 0; /* a kept connection would pin this thread and starve other front ends */
	if (FCGX_GetError(request->in) != 0) { /* parameters that broke off pass for complete ones */
		release(fcgi, fd);
		return RC_PROTOCOL;
	}
	FCGX_FClose(request->err);   /* writes nothing: nothing was written to it */
	FCGX_FreeStream(&request->err);
	fcgi->fd = fd;
	fcgi->drained = fcgi->broken = false;
	fcgi->sending_us = 0;
	return RC_OK;
}

enum rc fcgi_wait(struct fcgi *fcgi)
{
	if (fcgi->fd >= 0)
		fcgi_finish(fcgi);
	if (fcgi->waiting_fd >= 0)
		close(fcgi->waiting_fd);
	fcgi->waiting_fd = -1;
	return take_connection(fcgi);
}

enum rc fcgi_begin(struct fcgi *fcgi)
{
	int fd = fcgi->waiting_fd;

	if (fd < 0)
		return RC_PROTOCOL;
	fcgi->waiting_fd = -1;
	prepare(fcgi, fd);
	if (await_bytes(fd) != RC_OK) {
		close(fd);
		return RC_PROTOCOL;
	}
	return read_params(fcgi, fd);
}

enum rc fcgi_accept(struct fcgi *fcgi)
{
	enum rc rc = fcgi_wait(fcgi);

	return rc == RC_OK ? fcgi_begin(fcgi) : rc;
}

const char *fcgi_param(const struct fcgi *fcgi, const char *name)
{
	return fcgi->fd < 0 ? NULL : FCGX_GetParam(name, fcgi->request.envp);
}

const char *fcgi_uri(const struct fcgi *fcgi)
{
	const char *uri = fcgi_param(fcgi, "REQUEST_URI"), *scheme_end = uri == NULL || *uri == '/' ? NULL : strstr(uri, "://");

	return scheme_end == NULL ? uri : scheme_end + 3 + strcspn(scheme_end + 3, "/?");
}

/* Hands each piece of the body to `buf` (NULL: to nobody), straight from libfcgi's buffer. */
static enum rc drain(FCGX_Stream *in, struct buf *buf)
{
	int64_t deadline = clock_us() + BODY_US;
	enum rc rc = RC_OK;

	while (FCGX_GetChar(in) != EOF) {
		unsigned char *piece = in->rdNext - 1;

		if (buf != NULL && rc == RC_OK)
			rc = buf_add(buf, piece, (size_t)(in->stop - piece));
		in->rdNext = in->stop;
		if (clock_us() > deadline)
			return RC_PROTOCOL;
	}
	return FCGX_GetError(in) != 0 ? RC_PROTOCOL : rc;
}

static enum rc drain_once(struct fcgi *fcgi, struct buf *buf)
{
	enum rc rc;

	if (fcgi->drained)
		return RC_OK;
	rc = drain(fcgi->request.in, buf);
	fcgi->drained = true;
	FCGX_FreeStream(&fcgi->request.in);
	return rc;
}

enum rc fcgi_body(struct fcgi *fcgi, struct arena *arena, size_t max, const char **body, size_t *len)
{
	struct buf buf;
	enum rc rc;

	buf_init(&buf, arena, max);
	rc = drain_once(fcgi, &buf);
	if (rc != RC_OK)
		return rc;
	*body = buf_text(&buf);
	*len = buf.len;
	return RC_OK;
}

/* FCGX_FFlush and FCGX_PutStr may report success after an earlier failure; the stream's own error tells. */
static enum rc check(struct fcgi *fcgi)
{
	if (FCGX_GetError(fcgi->request.out) != 0)
		fcgi->broken = true;
	return fcgi->broken ? RC_GONE : RC_OK;
}

static int64_t begin_sending(const struct fcgi *fcgi)
{
	return fcgi->measures ? clock_us() : 0;
}

static void end_sending(struct fcgi *fcgi, int64_t since_us)
{
	if (fcgi->measures)
		fcgi->sending_us += clock_us() - since_us;
}

enum rc fcgi_write(struct fcgi *fcgi, const void *bytes, size_t n)
{
	const char *next = bytes;

	if (fcgi->fd < 0 || fcgi->broken)
		return RC_GONE;
	while (n > 0) {
		int piece = n > INT_MAX ? INT_MAX : (int)n;
		int64_t since_us = begin_sending(fcgi);

		if (FCGX_PutStr(next, piece, fcgi->request.out) != piece)
			fcgi->broken = true;
		end_sending(fcgi, since_us);
		if (check(fcgi) != RC_OK)
			return RC_GONE;
		next += piece;
		n -= (size_t)piece;
	}
	return RC_OK;
}

enum rc fcgi_flush(struct fcgi *fcgi)
{
	int64_t since_us;

	if (fcgi->fd < 0 || fcgi->broken)
		return RC_GONE;
	since_us = begin_sending(fcgi);
	if (FCGX_FFlush(fcgi->request.out) != 0)
		fcgi->broken = true;
	end_sending(fcgi, since_us);
	return check(fcgi);
}

void fcgi_send_timeout(struct fcgi *fcgi, int milliseconds)
{
	fcgi->send_timeout_ms = milliseconds;
	if (fcgi->fd >= 0)
		set_time(fcgi->fd, SO_SNDTIMEO, milliseconds);
}

void fcgi_measure_sending(struct fcgi *fcgi, bool measure)
{
	fcgi->measures = measure;
}

int64_t fcgi_sending_us(const struct fcgi *fcgi)
{
	return fcgi->sending_us;
}

int fcgi_fd(const struct fcgi *fcgi)
{
	return fcgi->fd;
}

bool fcgi_gone(const struct fcgi *fcgi)
{
	struct pollfd state = {.fd = fcgi->fd, .events = POLLIN | POLLRDHUP};
	unsigned char head[2];
	ssize_t n;

	if (fcgi->fd < 0 || fcgi->broken)
		return true;
	if (poll(&state, 1, 0) <= 0)
		return false;
	if (state.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL))
		return true;
	n = recv(fcgi->fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT);
	return n == 0 || (n == 2 && fcgi->drained && head[1] == ABORT_REQUEST);
}

enum rc fcgi_finish(struct fcgi *fcgi)
{
	int64_t since_us;
	bool delivered;

	if (fcgi->fd < 0)
		return RC_GONE;
	if (drain_once(fcgi, NULL) == RC_PROTOCOL)
		fcgi->broken = true;
	since_us = begin_sending(fcgi);
	delivered = !fcgi->broken && FCGX_FClose(fcgi->request.out) == 0 && FCGX_GetError(fcgi->request.out) == 0;
	end_sending(fcgi, since_us);
	release(fcgi, fcgi->fd);
	fcgi->fd = -1;
	return delivered ? RC_OK : RC_GONE;
}
