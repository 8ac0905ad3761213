/*
 * caller.c - a table of fixed size, one place per hash: a newer key in the same place displaces the older.
 */
#include "request/caller.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define PLACES 4096u

struct place {
	char key_hash[TOKEN_DIGEST_SIZE];
	struct caller caller;
	int64_t until_us;
};

struct callers {
	pthread_mutex_t lock;
	int64_t keep_us, nobody_us;
	struct place places[PLACES];
};

enum rc callers_new(int64_t keep_ms, int64_t nobody_ms, struct callers **out)
{
	struct callers *callers = calloc(1, sizeof *callers);

	if (callers == NULL)
		return RC_NOMEM;
	pthread_mutex_init(&callers->lock, NULL);
	callers->keep_us = keep_ms * 1000;
	callers->nobody_us = (nobody_ms < keep_ms ? nobody_ms : keep_ms) * 1000;
	*out = callers;
	return RC_OK;
}

void callers_free(struct callers *callers)
{
	if (callers == NULL)
		return;
	pthread_mutex_destroy(&callers->lock);
	free(callers);
}

/* The hash is SHA-256 in hex: its first digits are as good as random. */
static struct place *place_of(struct callers *callers, const char *key_hash)
{
	char digits[9];

	memcpy(digits, key_hash, 8);
	digits[8] = '\0';
	return &callers->places[strtoul(digits, NULL, 16) % PLACES];
}

bool callers_find(struct callers *callers, const char *key_hash, struct caller *caller)
{
	struct place *place = place_of(callers, key_hash);
	bool found;

	pthread_mutex_lock(&callers->lock);
	found = strcmp(place->key_hash, key_hash) == 0 && clock_us() < place->until_us;
	if (found)
		*caller = place->caller;
	pthread_mutex_unlock(&callers->lock);
	return found;
}

void callers_remember(struct callers *callers, const char *key_hash, const struct caller *caller)
{
	struct place *place = place_of(callers, key_hash);

	pthread_mutex_lock(&callers->lock);
	memcpy(place->key_hash, key_hash, TOKEN_DIGEST_SIZE);
	place->caller = *caller;
	place->until_us = clock_us() + (caller->supplier[0] == '\0' ? callers->nobody_us : callers->keep_us);
	pthread_mutex_unlock(&callers->lock);
}
