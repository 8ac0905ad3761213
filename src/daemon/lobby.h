/*
 * lobby.h - which of the idle threads wait in accept: a few, and always those that worked last.
 *
 * The kernel wakes threads that wait in accept in turn, so that each of them comes to hold a used stack and freed memory of its own, however few are
 * busy at once. Here a few wait, the others sit behind them as a stack: a thread that is not needed is never touched.
 */
#ifndef DAEMON_LOBBY_H
#define DAEMON_LOBBY_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

#include "base/rc.h"

#define LOBBY_MOST 16 /* threads in accept at once */
#define LOBBY_LEAST 4 /* fewer, and one that sits is called */

struct lobby_seat {
	sem_t call;
	struct lobby_seat *below;
};

struct lobby {
	pthread_mutex_t lock;
	struct lobby_seat *top; /* the thread that sat down last */
	unsigned waiting;       /* threads between lobby_enter and lobby_leave */
	bool closed;
};

/* Before any thread. RC_SYS. */
enum rc lobby_open(struct lobby *lobby) MUST_CHECK;
enum rc lobby_seat_open(struct lobby_seat *seat) MUST_CHECK;

/* Once no thread uses them. */
void lobby_free(struct lobby *lobby);
void lobby_seat_free(struct lobby_seat *seat);

/* Returns when it is this thread's turn to wait for a connection; false when the lobby is closed. Each `true` is followed by one lobby_leave. */
bool lobby_enter(struct lobby *lobby, struct lobby_seat *seat) MUST_CHECK;

/* The thread has a connection, or has failed to get one: somebody else may have to wait in its place. */
void lobby_leave(struct lobby *lobby);

/* Nobody enters any more, and who sits gets up. Who waits for a connection is the caller's to wake. */
void lobby_close(struct lobby *lobby);

#endif
