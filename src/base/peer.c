/*
 * peer.c - whether somebody is still there.
 */
#include "base/peer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"

enum peer peer_look(int fd)
{
	struct pollfd hangup = {.fd = fd, .events = POLLRDHUP};
	char byte;
	ssize_t n;

	if (fd < 0)
		return PEER_SILENT;
	n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? PEER_SILENT : PEER_GONE;
	return n == 0 || poll(&hangup, 1, 0) > 0 ? PEER_GONE : PEER_TALKS;
}

/* A peer that talks keeps its socket readable: from then on only its hanging up is waited for. */
enum rc peer_pause(int fd, int ms)
{
	struct pollfd watch = {.fd = fd, .events = POLLIN | POLLRDHUP};
	int64_t until_us = clock_us() + ms * INT64_C(1000);
	enum peer peer = peer_look(fd);

	for (int left = ms; left > 0 && peer != PEER_GONE; left = clock_left_ms(until_us, INT_MAX)) {
		if (peer == PEER_TALKS)
			watch.events = POLLRDHUP;
		if (poll(&watch, 1, left) > 0)
			peer = peer_look(fd);
	}
	return peer == PEER_GONE ? RC_GONE : RC_OK;
}
