/*
 * lobby.c - a stack of idle threads.
 */
#include "daemon/lobby.h"

#include <errno.h>
#include <stddef.h>

enum rc lobby_open(struct lobby *lobby)
{
	*lobby = (struct lobby){.top = NULL};
	return pthread_mutex_init(&lobby->lock, NULL) == 0 ? RC_OK : RC_SYS;
}

enum rc lobby_seat_open(struct lobby_seat *seat)
{
	return sem_init(&seat->call, 0, 0) == 0 ? RC_OK : RC_SYS;
}

void lobby_free(struct lobby *lobby)
{
	pthread_mutex_destroy(&lobby->lock);
}

void lobby_seat_free(struct lobby_seat *seat)
{
	sem_destroy(&seat->call);
}

/* Whoever calls has counted the thread as waiting, or has closed the lobby. */
static bool sit(struct lobby *lobby, struct lobby_seat *seat)
{
	bool closed;

	while (sem_wait(&seat->call) != 0 && errno == EINTR)
		;
	pthread_mutex_lock(&lobby->lock);
	closed = lobby->closed;
	pthread_mutex_unlock(&lobby->lock);
	return !closed;
}

bool lobby_enter(struct lobby *lobby, struct lobby_seat *seat)
{
	bool sits, closed;

	pthread_mutex_lock(&lobby->lock);
	closed = lobby->closed;
	sits = !closed && lobby->waiting >= LOBBY_MOST;
	if (sits) {
		seat->below = lobby->top;
		lobby->top = seat;
	} else {
		lobby->waiting++;
	}
	pthread_mutex_unlock(&lobby->lock);
	return sits ? sit(lobby, seat) : !closed;
}

static struct lobby_seat *call(struct lobby *lobby)
{
	struct lobby_seat *seat = lobby->top;

	if (seat == NULL)
		return NULL;
	lobby->top = seat->below;
	lobby->waiting++;
	return seat;
}

void lobby_leave(struct lobby *lobby)
{
	struct lobby_seat *called = NULL;

	pthread_mutex_lock(&lobby->lock);
	lobby->waiting--;
	if (lobby->waiting < LOBBY_LEAST)
		called = call(lobby);
	pthread_mutex_unlock(&lobby->lock);
	if (called != NULL)
		sem_post(&called->call);
}

void lobby_close(struct lobby *lobby)
{
	struct lobby_seat *seat;

	pthread_mutex_lock(&lobby->lock);
	lobby->closed = true;
	while ((seat = call(lobby)) != NULL)
		sem_post(&seat->call);
	pthread_mutex_unlock(&lobby->lock);
}
