/*
 * peer.h - whether somebody is still there at the other end of a socket, without reading from it.
 */
#ifndef BASE_PEER_H
#define BASE_PEER_H

#include "base/rc.h"

enum peer {
	PEER_SILENT, /* there, or fd is -1 */
	PEER_TALKS,  /* there, and has sent what nobody has read: the socket stays readable */
	PEER_GONE,
};

/* Does not block and takes no byte. */
enum peer peer_look(int fd);

/* Waits for `ms` milliseconds, or until the peer behind fd (-1 for none) has gone: RC_GONE then, else RC_OK. */
enum rc peer_pause(int fd, int ms) MUST_CHECK;

#endif
