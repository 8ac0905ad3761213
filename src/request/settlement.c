/*
 * settlement.c - booking, now or later.
 */
#include "request/settlement.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "port/token.h"
#include "request/ledger.h"
#include "request/ticket.h"

#define WAITING_MAX 20000u
#define CALL_MAX (8u << 20) /* an answer of PROVIDER_TEXT_MAX bytes and all else */

struct waiting {
	struct waiting *next;
	struct settlement settlement; /* its strings are the three below */
	char ticket[160], error[40], state[16];
	char request_id[48], supplier[40], feature[128]; /* set: void whatever the request has */
	char digest[TOKEN_DIGEST_SIZE];                  /* set too: give its idempotency key up instead */
};

struct settle_queue {
	pthread_mutex_t lock;
	struct waiting *first, **end;
	unsigned count;
};

enum rc settle_queue_new(struct settle_queue **out)
{
	struct settle_queue *queue = calloc(1, sizeof *queue);

	if (queue == NULL)
		return RC_NOMEM;
	pthread_mutex_init(&queue->lock, NULL);
	queue->end = &queue->first;
	*out = queue;
	return RC_OK;
}

void settle_queue_free(struct settle_queue *queue)
{
	if (queue == NULL)
		return;
	for (struct waiting *w = queue->first, *next; w != NULL; w = next) {
		next = w->next;
		free(w);
	}
	pthread_mutex_destroy(&queue->lock);
	free(queue);
}

enum rc settlement_book(struct db *db, struct arena *arena, const struct settlement *s)
{
	struct db_row row;
	struct buf call;
	enum rc rc;

	buf_init(&call, arena, CALL_MAX);
	db_item_begin(&call);
	ledger_ticket(&call, s->ticket);
	db_item_text(&call, s->state);
	db_item_int8(&call, s->prompt);
	db_item_int8(&call, s->cached);
	db_item_int8(&call, s->completion);
	db_item_bool(&call, s->estimated);
	db_item_int8(&call, s->duration_ms);
	db_item_text(&call, s->error);
	db_item_text(&call, s->content);
	rc = ledger_run(db, arena, LEDGER_SETTLE, &call, s->lock_key, &row);
	if (rc == RC_OK && (row.values[LEDGER_DONE] == NULL || str_eq(row.values[LEDGER_STATE], "reserved")))
		return RC_DENIED; /* its supplier's row is locked, by one who deletes it perhaps */
	if (rc == RC_OK && row.values[LEDGER_DONE][0] != 't')
		log_msg(LOG_WARN_, "settle", "ticket %s was already %s", s->ticket, row.values[LEDGER_STATE] == NULL ? "unknown" : row.values[LEDGER_STATE]);
	return rc;
}

static void append(struct settle_queue *queue, struct waiting *w)
{
	pthread_mutex_lock(&queue->lock);
	if (queue->count >= WAITING_MAX) {
		log_msg(LOG_ERROR_, "settle", "too many settlements wait for the database: %s is left to the sweep", w->ticket);
		free(w);
	} else {
		*queue->end = w;
		queue->end = &w->next;
		queue->count++;
	}
	pthread_mutex_unlock(&queue->lock);
}

static struct waiting *new_waiting(const char *what)
{
	struct waiting *w = calloc(1, sizeof *w);

	if (w == NULL)
		log_msg(LOG_ERROR_, "settle", "out of memory: %s is left to the sweep", what);
	return w;
}

void settlement_later(struct settle_queue *queue, const struct settlement *settlement)
{
	struct waiting *w = new_waiting(settlement->ticket);

	if (w == NULL)
		return;
	w->settlement = *settlement;
	snprintf(w->ticket, sizeof w->ticket, "%s", settlement->ticket);
	snprintf(w->state, sizeof w->state, "%s", settlement->state);
	snprintf(w->error, sizeof w->error, "%s", settlement->error == NULL ? "" : settlement->error);
	w->settlement.ticket = w->ticket;
	w->settlement.state = w->state;
	w->settlement.error = settlement->error == NULL ? NULL : w->error;
	w->settlement.content = NULL;
	append(queue, w);
}

void settlement_void_later(struct settle_queue *queue, const char *request_id, const char *supplier, const char *feature)
{
	struct waiting *w = new_waiting(request_id);

	if (w == NULL)
		return;
	snprintf(w->request_id, sizeof w->request_id, "%s", request_id);
	snprintf(w->supplier, sizeof w->supplier, "%s", supplier);
	snprintf(w->feature, sizeof w->feature, "%s", feature);
	w->settlement.lock_key = ticket_lock_key(supplier, feature);
	append(queue, w);
}

static enum rc release(struct db *db, struct arena *arena, const char *supplier, const char *digest, const char *request_id)
{
	const char *const params[] = {supplier, digest, request_id};
	const struct db_call call = {.sql = "select fpm.idempotency_release($1, $2, $3)", .params = params, .param_count = COUNT_OF(params)};
	struct db_row row;

	return db_call(db, arena, &call, &row);
}

void settlement_release_later(struct settle_queue *queue, const char *supplier, const char *digest, const char *request_id)
{
	struct waiting *w = new_waiting(request_id);

	if (w == NULL)
		return;
	snprintf(w->request_id, sizeof w->request_id, "%s", request_id);
	snprintf(w->supplier, sizeof w->supplier, "%s", supplier);
	snprintf(w->digest, sizeof w->digest, "%s", digest);
	append(queue, w);
}

/* Whether anything was spent is in the ledger only when what waits here is. */
void settlement_release(struct settle_queue *queue, struct db *db, struct arena *arena, const char *supplier, const char *digest, const char *request_id)
{
	enum rc rc = settle_queue_length(queue) > 0 ? RC_UNAVAILABLE : release(db, arena, supplier, digest, request_id);

	if (rc == RC_UNAVAILABLE || rc == RC_GONE || rc == RC_TIMEOUT)
		settlement_release_later(queue, supplier, digest, request_id);
}

static enum rc book_waiting(struct db *db, struct arena *arena, const struct waiting *w)
{
	const char *const params[] = {w->request_id, w->supplier, w->feature};
	const struct db_call call = {.sql = "select fpm.void_request($1, $2, $3)",
				     .params = params,
				     .param_count = COUNT_OF(params),
				     .commits = true,
				     .lock_key = w->settlement.lock_key};
	struct db_row row;

	if (w->digest[0] != '\0')
		return release(db, arena, w->supplier, w->digest, w->request_id);
	return w->request_id[0] != '\0' ? db_call(db, arena, &call, &row) : settlement_book(db, arena, &w->settlement);
}

static struct waiting *peek(struct settle_queue *queue)
{
	struct waiting *w;

	pthread_mutex_lock(&queue->lock);
	w = queue->first;
	pthread_mutex_unlock(&queue->lock);
	return w;
}

static struct waiting *take_first(struct settle_queue *queue)
{
	struct waiting *w;

	pthread_mutex_lock(&queue->lock);
	w = queue->first;
	queue->first = w->next;
	if (queue->first == NULL)
		queue->end = &queue->first;
	queue->count--;
	pthread_mutex_unlock(&queue->lock);
	w->next = NULL;
	return w;
}

/* Only one thread (housekeeping) takes from the front. A call that the server refuses as wrong would be refused for ever: it is dropped, loudly. One whose supplier is
 * locked goes to the end, and each is tried once. */
enum rc settle_queue_run(struct settle_queue *queue, struct db *db)
{
	enum rc worst = RC_OK;

	for (unsigned left = settle_queue_length(queue); left > 0; left--) {
		struct waiting *w = peek(queue);
		struct arena *arena = arena_new(1u << 20);
		enum rc rc = arena == NULL ? RC_NOMEM : book_waiting(db, arena, w);

		arena_free(arena);
		if (rc == RC_INVALID)
			log_msg(LOG_ERROR_, "settle", "the database refused to settle %s: left to the sweep", w->ticket[0] ? w->ticket : w->request_id);
		else if (rc != RC_OK && rc != RC_DONE && rc != RC_DENIED)
			return rc;
		w = take_first(queue);
		if (rc != RC_DENIED) {
			free(w);
			continue;
		}
		worst = rc;
		append(queue, w);
	}
	return worst;
}

unsigned settle_queue_length(struct settle_queue *queue)
{
	unsigned count;

	pthread_mutex_lock(&queue->lock);
	count = queue->count;
	pthread_mutex_unlock(&queue->lock);
	return count;
}
