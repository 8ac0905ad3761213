/*
 * answers.h - who waits for an answer that another request is making just now.
 *
 * Identical cacheable requests make one call to the provider. Those that find it made already, in this process or another, ask the database again now and then; where it is made in
 * this process they are told at once.
 */
#ifndef REQUEST_ANSWERS_H
#define REQUEST_ANSWERS_H

#include "base/rc.h"

struct answers;

/* The owner frees it, with nobody waiting. */
enum rc answers_new(struct answers **out) MUST_CHECK;
void answers_free(struct answers *answers);

/* Waits until a request for the same content (its digest, in hex) has ended in this process, or for `ms`. May return earlier. */
void answers_wait(struct answers *answers, const char *digest, int ms);

/* Such a request has ended: wakes who waits. */
void answers_ended(struct answers *answers, const char *digest);

#endif
