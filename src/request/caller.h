/*
 * caller.h - whose keys this process saw of late, so that telling who calls takes no round trip.
 *
 * Admission asks the database again, in the call it makes anyway: a revoked key is refused there at once, whatever is remembered here.
 */
#ifndef REQUEST_CALLER_H
#define REQUEST_CALLER_H

#include <stdbool.h>
#include <stdint.h>

#include "port/token.h"

struct callers;

struct caller {
	char supplier[TOKEN_UUID_SIZE];     /* "": the key is nobody's */
	char key[TOKEN_UUID_SIZE];          /* the key's id */
	char organization[TOKEN_UUID_SIZE]; /* "": none */
};

/* A known key is remembered for `keep_ms`; that one is nobody's, which a new key may change, for no longer than `nobody_ms`. The owner frees it with
 * callers_free. */
enum rc callers_new(int64_t keep_ms, int64_t nobody_ms, struct callers **out) MUST_CHECK;
void callers_free(struct callers *callers);

/* Whether the key's hash is remembered; fills in the caller then. Any thread. */
bool callers_find(struct callers *callers, const char *key_hash, struct caller *caller);
void callers_remember(struct callers *callers, const char *key_hash, const struct caller *caller);

#endif
