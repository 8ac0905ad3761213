/*
 * settlement.h - settlements that wait for a database that is away.
 *
 * A generation that is over must be booked even when PostgreSQL went away meanwhile: the figures wait here, and are written when it is back. What a killed
 * process takes with it is ended by fpm.sweep, by the stated estimate.
 */
#ifndef REQUEST_SETTLEMENT_H
#define REQUEST_SETTLEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "port/db.h"

struct settle_queue;

/* One call of fpm.settle. */
struct settlement {
	const char *ticket;
	const char *state; /* "settled", "failed", "aborted", "void" */
	int64_t prompt, cached, completion;
	bool estimated;
	int64_t duration_ms;
	const char *error;   /* a code of the catalogue, or NULL */
	const char *content; /* to cache, or NULL */
	int64_t lock_key;
};

/* The owner frees it with settle_queue_free; what still waits then is lost to sweep. */
enum rc settle_queue_new(struct settle_queue **out) MUST_CHECK;
void settle_queue_free(struct settle_queue *queue);

/* Books it now. RC_OK once it is durable (also where it had been booked before); RC_DENIED while somebody holds its supplier's row; else as db_call. */
enum rc settlement_book(struct db *db, struct arena *arena, const struct settlement *settlement) MUST_CHECK;

/* Books it later; everything is copied, the content to cache is dropped. Logged where it cannot even be kept. */
void settlement_later(struct settle_queue *queue, const struct settlement *settlement);

/* Makes void later whatever reservation a request id may have, because its admission's fate is unknown and nothing was sent. */
void settlement_void_later(struct settle_queue *queue, const char *request_id, const char *supplier, const char *feature);

/* Gives an idempotency key up: now where nothing of this queue goes before it, else later. */
void settlement_release(struct settle_queue *queue, struct db *db, struct arena *arena, const char *supplier, const char *digest, const char *request_id);
void settlement_release_later(struct settle_queue *queue, const char *supplier, const char *digest, const char *request_id);

/* Tries what waits, each once, until the database fails. RC_OK when all was booked; RC_DENIED where some of it must wait on. */
enum rc settle_queue_run(struct settle_queue *queue, struct db *db);

/* How many wait. */
unsigned settle_queue_length(struct settle_queue *queue);

#endif
