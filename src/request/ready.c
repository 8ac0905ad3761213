/*
 * ready.c - two tables of fixed size, one place per hash, without locks: a newer entry in the same place displaces the older.
 */
#include "request/ready.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define FEATURES 8192u
#define ANSWERS 32768u

/* A name that belongs to another key, read while both are being written, is found out by the database. */
struct feature {
	_Atomic int64_t name; /* 0: none */
	_Atomic int64_t lock_key;
};

struct ready {
	struct feature features[FEATURES];
	_Atomic uint64_t answers[ANSWERS];
};

enum rc ready_new(struct ready **out)
{
	*out = calloc(1, sizeof **out);
	return *out == NULL ? RC_NOMEM : RC_OK;
}

void ready_free(struct ready *ready)
{
	free(ready);
}

static struct feature *place_of(struct ready *ready, int64_t name)
{
	return &ready->features[(uint64_t)name % FEATURES];
}

void ready_remember(struct ready *ready, int64_t name, int64_t lock_key)
{
	struct feature *feature = place_of(ready, name);

	atomic_store(&feature->name, 0);
	atomic_store(&feature->lock_key, lock_key);
	atomic_store(&feature->name, name);
}

void ready_forget(struct ready *ready, int64_t name)
{
	atomic_compare_exchange_strong(&place_of(ready, name)->name, &name, 0);
}

bool ready_lock_key(struct ready *ready, int64_t name, int64_t *lock_key)
{
	struct feature *feature = place_of(ready, name);

	if (atomic_load(&feature->name) != name)
		return false;
	*lock_key = atomic_load(&feature->lock_key);
	return true;
}

bool ready_is_new(struct ready *ready, const char *cache_hash)
{
	char digits[17];
	uint64_t answer;

	memcpy(digits, cache_hash, 16);
	digits[16] = '\0';
	answer = strtoull(digits, NULL, 16);
	return atomic_exchange(&ready->answers[answer % ANSWERS], answer) != answer;
}
