/*
 * watch.h - what changed in a set of directories, as the kernel tells it (inotify).
 *
 * Asking costs one read that finds nothing, however many files there are. Where the kernel cannot tell (another machine's file system, no watches
 * left), a directory stays unwatched, and its files have to be looked at.
 */
#ifndef PROMPT_WATCH_H
#define PROMPT_WATCH_H

#include "base/rc.h"

/* A descriptor to ask, or -1 where there is none to be had: all directories are unwatched then. */
int watch_open(void);
void watch_close(int fd);

/* An id for the directory (not below it), or -1. The same directory under two names has one id. */
int watch_add(int fd, const char *directory);
void watch_remove(int fd, int id);

enum watch_kind {
	WATCH_FILE,    /* `name` in the directory came, went, or was written */
	WATCH_LOST,    /* the directory went away: the id is no longer */
	WATCH_OVERRUN, /* something changed somewhere */
};

/* Tells every change since the last call. */
void watch_read(int fd, void (*changed)(void *user, enum watch_kind kind, int id, const char *name), void *user);

#endif
