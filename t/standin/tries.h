/*
 * tries.h - how many calls a request of the caller's has made, by the id that it gives with each.
 */
#ifndef STANDIN_TRIES_H
#define STANDIN_TRIES_H

/* One more call of this request: which it is, from 1. */
long tries_add(const char *id);

void tries_reset(void);

#endif
