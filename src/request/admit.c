/*
 * admit.c - limits, reservation and cache look-up, all in one call to the database; in two where a call that seemed to have nothing in its way has.
 *
 * What cannot be afforded is refused here, before anything is spent; what is admitted has a durable row in the ledger from here on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "provider/usage.h"
#include "request/answers.h"
#include "request/caller.h"
#include "request/ledger.h"
#include "request/ready.h"
#include "request/request.h"
#include "request/settlement.h"
#include "request/ticket.h"

/* A message's frame costs a few tokens of its own in every provider's count, and so does a reply's start. */
#define MESSAGE_FRAME_TOKENS 16
#define JSON_WORDS 256 /* bytes of what asks for JSON besides the schema, and a frame around it */

#define CALL_MAX 16384u

/* Between two questions whether an answer is there that another process makes; one that is made in this process is told at once. */
#define WAIT_LEAST_MS 10
#define WAIT_MOST_MS 250

/* What nobody's call is called: whoever has waited for that waits for no other. */
#define NOBODY "00000000-0000-0000-0000-000000000000"

static const char *scope_name(enum cache_scope scope)
{
	static const char *const names[] = {
		[CACHE_OFF] = "off", [CACHE_SHARED] = "shared", [CACHE_ORGANIZATION] = "organization", [CACHE_SUPPLIER] = "supplier"};

	return names[scope];
}

/* A digest over all that shapes the answer: the endpoint's version (its file holds schema and settings), the model and the messages. */
static enum rc content_hash(const struct request *rq, char digest[TOKEN_DIGEST_SIZE])
{
	size_t count = 4 + 2 * rq->messages.count;
	struct token_piece *pieces = arena_array(rq->arena, count, sizeof *pieces);
	const char *ceiling = arena_printf(rq->arena, "%d", rq->max_tokens);
	size_t n = 0;

	if (pieces == NULL || ceiling == NULL)
		return RC_NOMEM;
	pieces[n++] = (struct token_piece){rq->endpoint->version, strlen(rq->endpoint->version)};
	pieces[n++] = (struct token_piece){rq->access->provider->name, strlen(rq->access->provider->name)};
	pieces[n++] = (struct token_piece){rq->model, strlen(rq->model)};
	pieces[n++] = (struct token_piece){ceiling, strlen(ceiling)};
	for (size_t i = 0; i < rq->messages.count; i++) {
		const struct message *m = &rq->messages.items[i];

		pieces[n++] = (struct token_piece){message_role_name(m->role), strlen(message_role_name(m->role))};
		pieces[n++] = (struct token_piece){m->text, m->len};
	}
	return token_sha256_pieces(pieces, count, digest);
}

/* The endpoint's model, then what it falls back on. */
static const char *model_name(const struct request *rq, unsigned i)
{
	const struct endpoint *endpoint = rq->endpoint;

	if (i == 0)
		return endpoint->model != NULL ? endpoint->model : rq->service->settings->default_model;
	return i <= endpoint->fallback_count ? endpoint->fallback[i - 1] : NULL;
}

unsigned admit_models_left(const struct request *rq)
{
	unsigned count = 0;
	const char *name, *model;

	for (unsigned i = rq->models_tried; (name = model_name(rq, i)) != NULL; i++)
		count += service_provider(rq->service, name, &model) != NULL;
	return count;
}

/* The first of those left whose provider is configured. */
static enum rc choose_model(struct request *rq)
{
	const struct settings *settings = rq->service->settings;
	const char *name;

	rq->access = NULL;
	while (rq->access == NULL && (name = model_name(rq, rq->models_tried)) != NULL) {
		rq->access = service_provider(rq->service, name, &rq->model);
		rq->models_tried++;
	}
	if (rq->access == NULL)
		return request_fail(rq, PROBLEM_MODEL_UNAVAILABLE, "its provider is not configured");
	rq->max_tokens = rq->endpoint->max_tokens;
	if (rq->max_tokens > settings->max_output_tokens)
		rq->max_tokens = (int)settings->max_output_tokens;
	return RC_OK;
}

/* The most tokens that a call's prompt can be: a token has a byte at least. The messages, and where JSON is wanted the words that ask for it and the schema. */
static int64_t prompt_tokens_max(const struct request *rq)
{
	size_t bytes = rq->messages.bytes + MESSAGE_FRAME_TOKENS * (rq->messages.count + 1);
	struct buf schema;

	if (rq->endpoint->format != OUTPUT_JSON)
		return (int64_t)bytes;
	buf_init(&schema, rq->arena, 1u << 20);
	if (rq->endpoint->output != NULL)
		value_write(&schema, schema_json(rq->endpoint->output), 0);
	return (int64_t)(bytes + JSON_WORDS + 2 * schema.len);
}

/* An output in JSON may take a second call (repair.c), with the first one's messages and two more: the reservation is the upper bound of both. */
static void add_ceilings(struct request *rq, struct buf *call)
{
	int64_t prompt = prompt_tokens_max(rq), completion = rq->max_tokens;
	size_t repair = repair_bytes_max(rq);

	if (repair > 0) {
		prompt += prompt + (int64_t)repair + 2 * MESSAGE_FRAME_TOKENS;
		completion *= 2;
	}
	db_item_int8(call, prompt);
	db_item_int8(call, usage_estimate(rq->messages.bytes));
	db_item_int8(call, completion);
}

static const char *provider_name(const struct request *rq)
{
	const char *name = rq->access->provider->name;

	return str_eq(name, "sample") ? "local" : name;
}

/* A request takes one place of its rate, whatever it takes to answer it. */
static int rate_count(const struct request *rq)
{
	return rq->admission.settled ? 0 : rq->endpoint->rate.count;
}

static int64_t left_ms(const struct request *rq)
{
	return (rq->deadline_us - clock_us()) / 1000;
}

/* The fields of fpm.admit_call, in its order. */
static void compose(struct request *rq, struct buf *call, const char *waited_for)
{
	const struct endpoint *endpoint = rq->endpoint;
	bool cached = rq->admission.digest[0] != '\0';

	db_item_begin(call);
	db_item_text(call, rq->key_hash);
	db_item_text(call, rq->id);
	db_item_text(call, endpoint->feature);
	db_item_text(call, endpoint->name);
	db_item_text(call, provider_name(rq));
	db_item_text(call, rq->model);
	db_item_int4(call, rate_count(rq));
	db_item_int4(call, endpoint->rate.period_s);
	db_item_int4(call, endpoint->rate.burst);
	add_ceilings(rq, call);
	db_item_text(call, cached ? rq->admission.digest : NULL);
	db_item_text(call, cached ? scope_name(endpoint->cache.scope) : NULL);
	db_item_int4(call, endpoint->cache.ttl_s);
	db_item_int8(call, left_ms(rq));
	db_item_int8(call, service_grace_ms(rq->service));
	db_item_text(call, rq->service->worker);
	db_item_bool(call, rq->mode != ANSWER_JSON);
	db_item_uuid(call, waited_for);
}

/* Where the call's fate is unknown, a reservation may stand that nothing will be sent for: it is made void as soon as the database answers. */
static enum rc database_failed(struct request *rq, enum rc rc)
{
	if (rc == RC_GONE || rc == RC_TIMEOUT)
		settlement_void_later(rq->service->settles, rq->id, rq->supplier, rq->endpoint->feature);
	return request_fail(rq, PROBLEM_DATABASE, rc == RC_TIMEOUT ? "admission timed out" : "admission failed");
}

static enum rc refused(struct request *rq, const struct db_row *row)
{
	enum problem_code code = problem_of_verdict(row->values[LEDGER_VERDICT]);

	ready_forget(rq->service->ready, ticket_lock_key(rq->supplier, rq->endpoint->feature));
	if (rq->admission.settled || (code == PROBLEM_MODEL_UNAVAILABLE && admit_models_left(rq) > 0))
		return request_fail(rq, code, problem_get(code)->name);
	if (row->values[LEDGER_RETRY_AFTER] != NULL)
		rq->retry_after_s = atoi(row->values[LEDGER_RETRY_AFTER]);
	return request_refuse(rq, code);
}

/* Where the ticket does not fit into memory the call cannot be made, nor its row be ended by it. */
static enum rc take_ticket(struct request *rq, const char *ticket)
{
	if (ticket == NULL)
		return database_failed(rq, RC_GONE);
	rq->admission.ticket = ticket;
	rq->admission.settled = false;
	return RC_OK;
}

static enum rc take_verdict(struct request *rq, const struct db_row *row)
{
	struct admission *admission = &rq->admission;
	enum rc rc;

	if (rate_count(rq) > 0) {
		admission->rate_limit = row->values[LEDGER_RATE_LIMIT];
		admission->rate_remaining = row->values[LEDGER_RATE_REMAINING];
		admission->rate_reset = row->values[LEDGER_RATE_RESET];
	}
	if (!str_eq(row->values[LEDGER_VERDICT], "admitted") && !str_eq(row->values[LEDGER_VERDICT], "cached"))
		return refused(rq, row);
	rc = take_ticket(rq, arena_printf(rq->arena, "%s.%s.%s", row->values[LEDGER_ID], row->values[LEDGER_CREATED_US], row->values[LEDGER_LOCK_KEY]));
	if (rc != RC_OK)
		return rc;
	admission->cached = str_eq(row->values[LEDGER_VERDICT], "cached");
	ready_remember(rq->service->ready, ticket_lock_key(rq->supplier, rq->endpoint->feature), ledger_lock_key(admission->ticket));
	admission->model = row->values[LEDGER_MODEL];
	admission->price_input = row->values[LEDGER_PRICE_INPUT];
	admission->price_cached = row->values[LEDGER_PRICE_CACHED];
	admission->price_output = row->values[LEDGER_PRICE_OUTPUT];
	if (admission->cached && row->values[LEDGER_ANSWER] != NULL)
		buf_puts(&rq->text, row->values[LEDGER_ANSWER]);
	return rq->text.rc == RC_OK ? RC_OK : request_fail(rq, PROBLEM_INTERNAL, "the cached answer does not fit");
}

/* Of which cache an answer is a part: its scope and whose it is (fpm.cache_key has the same). NULL for nobody's. */
static const char *cache_owner(const struct request *rq, const char **scope)
{
	const char *organization = rq->caller->organization;
	bool organized = organization[0] != '\0';

	*scope = scope_name(rq->endpoint->cache.scope);
	switch (rq->endpoint->cache.scope) {
	case CACHE_ORGANIZATION:
		*scope = scope_name(organized ? CACHE_ORGANIZATION : CACHE_SUPPLIER);
		return organized ? organization : rq->supplier;
	case CACHE_SUPPLIER: return rq->supplier;
	default: return NULL;
	}
}

/* The answer's key in the cache; NULL where it is not to be kept, or out of memory. */
static const char *cache_hash(const struct request *rq)
{
	char *hash = arena_alloc(rq->arena, TOKEN_DIGEST_SIZE);
	const char *scope, *owner = cache_owner(rq, &scope);
	const char *text = arena_printf(rq->arena, "%s:%s:%s", scope, owner == NULL ? "" : owner, rq->admission.digest);

	if (rq->admission.digest[0] == '\0' || hash == NULL || text == NULL || token_sha256(text, strlen(text), hash) != RC_OK)
		return NULL;
	return hash;
}

/* The fields of fpm.ready_call, in its order. */
static void compose_ready(struct request *rq, struct buf *call, const char *id, int64_t lock_key, const char *hash)
{
	const struct endpoint *endpoint = rq->endpoint;
	const char *scope, *owner = cache_owner(rq, &scope);

	db_item_begin(call);
	db_item_uuid(call, id);
	db_item_int8(call, lock_key);
	db_item_uuid(call, rq->caller->key);
	db_item_text(call, rq->id);
	db_item_text(call, endpoint->feature);
	db_item_text(call, endpoint->name);
	db_item_text(call, provider_name(rq));
	db_item_text(call, rq->model);
	add_ceilings(rq, call);
	db_item_char(call, hash);
	db_item_text(call, hash == NULL ? NULL : scope);
	db_item_uuid(call, hash == NULL ? NULL : owner);
	db_item_int4(call, endpoint->cache.ttl_s);
	db_item_int8(call, left_ms(rq) + service_grace_ms(rq->service));
	db_item_text(call, rq->service->worker);
	db_item_bool(call, rq->mode != ANSWER_JSON);
}

/* Takes what the database says to a call that nothing stood in the way of. */
static enum rc take_ready(struct request *rq, const struct db_row *row, const char *id, int64_t lock_key)
{
	struct admission *admission = &rq->admission;
	enum rc rc = take_ticket(rq, arena_printf(rq->arena, "%s.%s.%lld", id, row->values[LEDGER_READY_CREATED_US], (long long)lock_key));

	if (rc != RC_OK)
		return rc;
	admission->model = rq->model;
	admission->price_input = row->values[LEDGER_READY_PRICE_INPUT];
	admission->price_cached = row->values[LEDGER_READY_PRICE_CACHED];
	admission->price_output = row->values[LEDGER_READY_PRICE_OUTPUT];
	return RC_OK;
}

/* Most calls have nothing in their way: no rate, room within all limits, an answer that is new. RC_DONE where this one may have, and is to be decided. */
static enum rc admit_ready(struct request *rq)
{
	const char *hash = rq->endpoint->cache.scope == CACHE_OFF ? NULL : cache_hash(rq);
	bool is_new = rq->endpoint->cache.scope == CACHE_OFF || (hash != NULL && ready_is_new(rq->service->ready, hash));
	char id[TOKEN_UUID_SIZE];
	int64_t lock_key;
	struct db_row row;
	struct buf call;
	enum rc rc;

	if (!is_new || rate_count(rq) > 0 || token_uuid_rising(id) != RC_OK ||
	    !ready_lock_key(rq->service->ready, ticket_lock_key(rq->supplier, rq->endpoint->feature), &lock_key))
		return RC_DONE;
	buf_init(&call, rq->arena, CALL_MAX);
	compose_ready(rq, &call, id, lock_key, hash);
	rc = ledger_run(rq->service->db, rq->arena, LEDGER_READY, &call, lock_key, &row);
	if (rc == RC_DONE)
		return rc;
	return rc == RC_OK ? take_ready(rq, &row, id, lock_key) : database_failed(rq, rc);
}

/* Asks once. RC_OK with the row of a verdict. */
static enum rc ask(struct request *rq, const char *waited_for, struct db_row *row)
{
	struct buf call;
	enum rc rc;

	buf_init(&call, rq->arena, CALL_MAX);
	compose(rq, &call, waited_for);
	rc = ledger_run(rq->service->db, rq->arena, LEDGER_ADMIT, &call, ticket_lock_key(rq->supplier, rq->endpoint->feature), row);
	return rc != RC_OK || row->values[LEDGER_VERDICT] == NULL ? database_failed(rq, rc) : RC_OK;
}

/* Waits for the answer that another request makes, a little longer each time. Whether it is worth asking again. A caller of events hears from us meanwhile: a web server that
 * hears nothing gives up, and Apache tells only who writes that he has left. */
static enum rc wait_for_answer(struct request *rq, int *ms)
{
	int left_ms = clock_left_ms(rq->deadline_us, WAIT_MOST_MS);
	int64_t since_us = clock_us();

	if (rq->mode != ANSWER_JSON && fcgi_gone(rq->fcgi)) {
		rq->caller_gone = true;
		return RC_GONE;
	}
	if (left_ms <= 0)
		return request_fail(rq, PROBLEM_UPSTREAM_TIMEOUT, "the same answer was being made for another request, and did not come");
	left_ms = respond_company_ms(rq, left_ms);
	answers_wait(rq->service->answers, rq->admission.digest, *ms < left_ms ? *ms : left_ms);
	rq->wait.same_answer_us += clock_us() - since_us;
	*ms = *ms * 2 < WAIT_MOST_MS ? *ms * 2 : WAIT_MOST_MS;
	return respond_company(rq);
}

/* A set's call may have to be asked for again: behind a larger one that did not fit (`again`), or because another request is making the same answer. Who has waited in vain
 * for one maker, whose call failed, waits for no other; nor does who has waited for half of his time, because the maker may be a machine that is gone. */
static enum rc ask_until_decided(struct request *rq, struct db_row *row)
{
	int64_t patience_us = (clock_us() + rq->deadline_us) / 2;
	const char *waited_for = NULL;
	int ms = WAIT_LEAST_MS;

	for (;;) {
		enum rc rc = ask(rq, waited_for, row);
		const char *verdict = rc == RC_OK ? row->values[LEDGER_VERDICT] : NULL;

		if (rc != RC_OK || (!str_eq(verdict, "in_flight") && !str_eq(verdict, "again")))
			return rc;
		if (waited_for == NULL)
			waited_for = row->values[LEDGER_MAKER];
		rc = wait_for_answer(rq, &ms);
		if (clock_us() >= patience_us)
			waited_for = NOBODY;
		if (rc != RC_OK)
			return rc;
	}
}

static enum rc admit(struct request *rq)
{
	struct db_row row;
	enum rc rc = choose_model(rq);

	if (rc != RC_OK)
		return rc;
	rq->admission.digest[0] = '\0';
	if (rq->endpoint->cache.scope != CACHE_OFF && content_hash(rq, rq->admission.digest) != RC_OK)
		return request_fail(rq, PROBLEM_INTERNAL, "out of memory");
	rc = admit_ready(rq);
	if (rc != RC_DONE)
		return rc;
	rc = ask_until_decided(rq, &row);
	return rc == RC_OK ? take_verdict(rq, &row) : rc;
}

enum rc admit_next(struct request *rq)
{
	enum rc rc;

	do {
		rq->problem = NULL;
		rc = admit(rq);
	} while (rc != RC_OK && rq->problem != NULL && rq->problem->code == PROBLEM_MODEL_UNAVAILABLE && admit_models_left(rq) > 0);
	return rc;
}

enum rc step_admit(struct request *rq)
{
	return admit_next(rq);
}
