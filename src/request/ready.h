/*
 * ready.h - which calls are likely to have nothing in their way, so that the database is asked for them in one look (sql/functions/admit_ready.sql).
 *
 * What is remembered here is a guess: a wrong one costs a second question to the database, and nothing else. Any thread may ask.
 */
#ifndef REQUEST_READY_H
#define REQUEST_READY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"

struct ready;

/* The caller owns it: ready_free. RC_NOMEM. */
enum rc ready_new(struct ready **out) MUST_CHECK;
void ready_free(struct ready *ready);

/* A supplier's feature that was let through last time, by what ticket_lock_key makes of both: the ledger's lock key, which only the database can work out. One that was
 * refused is forgotten: it is refused without a lock where it is not asked for here. */
void ready_remember(struct ready *ready, int64_t name, int64_t lock_key);
void ready_forget(struct ready *ready, int64_t name);
bool ready_lock_key(struct ready *ready, int64_t name, int64_t *lock_key);

/* Whether this process asks for an answer for the first time, as far as it remembers: then it is not in the cache, and nobody here is making it. `cache_hash` is the answer's
 * key in the cache, of 16 hex digits at least. Of several threads that ask at once, one is told yes. */
bool ready_is_new(struct ready *ready, const char *cache_hash);

#endif
