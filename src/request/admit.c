/*
 * admit.c - limits, reservation and cache look-up, all in one call to the database.
 *
 * What cannot be afforded is refused here, before anything is spent; what is admitted has a durable row in the ledger from here on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "provider/usage.h"
#include "request/ledger.h"
#include "request/refusal.h"
#include "request/request.h"
#include "request/settlement.h"
#include "request/ticket.h"

/* A message's frame costs a few tokens of its own in every provider's count, and so does a reply's start. */
#define MESSAGE_FRAME_TOKENS 16
#define JSON_WORDS 256 /* bytes of what asks for JSON besides the schema, and a frame around it */

#define CALL_MAX 16384u

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

static enum rc choose_model(struct request *rq)
{
	const struct settings *settings = rq->service->settings;
	const char *name = rq->endpoint->model != NULL ? rq->endpoint->model : settings->default_model;

	rq->access = service_provider(rq->service, name, &rq->model);
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
	ledger_int(call, "prompt_tokens_max", prompt);
	ledger_int(call, "prompt_tokens_estimate", usage_estimate(rq->messages.bytes));
	ledger_int(call, "max_tokens", completion);
}

static void add_limits(struct request *rq, struct buf *call)
{
	const struct endpoint *endpoint = rq->endpoint;

	ledger_int(call, "rate_count", endpoint->rate.count);
	ledger_int(call, "rate_period_s", endpoint->rate.period_s);
	ledger_int(call, "rate_burst", endpoint->rate.burst);
	add_ceilings(rq, call);
	ledger_int(call, "timeout_ms", (rq->deadline_us - clock_us()) / 1000);
	ledger_int(call, "grace_ms", service_grace_ms(rq->service));
}

static void add_cache(struct request *rq, struct buf *call, const char *digest)
{
	if (rq->endpoint->cache.scope == CACHE_OFF)
		return;
	ledger_text(call, "content_hash", digest);
	ledger_text(call, "cache_scope", scope_name(rq->endpoint->cache.scope));
	ledger_int(call, "cache_ttl_s", rq->endpoint->cache.ttl_s);
}

static void compose(struct request *rq, struct buf *call, const char *digest)
{
	const char *provider = rq->access->provider->name;

	ledger_begin(call, "admit");
	ledger_text(call, "key_hash", rq->key_hash);
	ledger_text(call, "request_id", rq->id);
	ledger_text(call, "feature", rq->endpoint->feature);
	ledger_text(call, "endpoint", rq->endpoint->name);
	ledger_text(call, "provider", str_eq(provider, "sample") ? "local" : provider);
	ledger_text(call, "model", rq->model);
	ledger_text(call, "worker", rq->service->worker);
	ledger_bool(call, "stream", rq->mode != ANSWER_JSON);
	add_limits(rq, call);
	add_cache(rq, call, digest);
	ledger_end(call);
}

/* Where the call's fate is unknown, a reservation may stand that nothing will be sent for: it is made void as soon as the database answers. */
static enum rc database_failed(struct request *rq, enum rc rc)
{
	if (rc == RC_UNAVAILABLE || rc == RC_TIMEOUT)
		settlement_void_later(rq->service->settles, rq->id, rq->supplier, rq->endpoint->feature);
	return request_fail(rq, PROBLEM_DATABASE, rc == RC_TIMEOUT ? "admission timed out" : "admission failed");
}

static enum rc refused(struct request *rq, const struct db_row *row)
{
	enum problem_code code = problem_of_verdict(row->values[LEDGER_VERDICT]);

	if (row->values[LEDGER_RETRY_AFTER] != NULL)
		rq->retry_after_s = atoi(row->values[LEDGER_RETRY_AFTER]);
	refusals_count(rq->service->refusals, rq->supplier, rq->endpoint->feature, problem_get(code)->name);
	return request_fail(rq, code, NULL);
}

static enum rc take_verdict(struct request *rq, const struct db_row *row)
{
	struct admission *admission = &rq->admission;

	admission->rate_limit = row->values[LEDGER_RATE_LIMIT];
	admission->rate_remaining = row->values[LEDGER_RATE_REMAINING];
	admission->rate_reset = row->values[LEDGER_RATE_RESET];
	if (!str_eq(row->values[LEDGER_VERDICT], "admitted") && !str_eq(row->values[LEDGER_VERDICT], "cached"))
		return refused(rq, row);
	admission->ticket = row->values[LEDGER_TICKET];
	admission->cached = str_eq(row->values[LEDGER_VERDICT], "cached");
	admission->model = row->values[LEDGER_MODEL];
	admission->price_input = row->values[LEDGER_PRICE_INPUT];
	admission->price_cached = row->values[LEDGER_PRICE_CACHED];
	admission->price_output = row->values[LEDGER_PRICE_OUTPUT];
	if (admission->cached && row->values[LEDGER_ANSWER] != NULL)
		buf_puts(&rq->text, row->values[LEDGER_ANSWER]);
	return rq->text.rc == RC_OK ? RC_OK : request_fail(rq, PROBLEM_INTERNAL, "the cached answer does not fit");
}

enum rc step_admit(struct request *rq)
{
	char digest[TOKEN_DIGEST_SIZE];
	struct db_row row;
	struct buf call;
	enum rc rc = choose_model(rq);

	if (rc != RC_OK)
		return rc;
	if (content_hash(rq, digest) != RC_OK)
		return request_fail(rq, PROBLEM_INTERNAL, "out of memory");
	buf_init(&call, rq->arena, CALL_MAX);
	compose(rq, &call, digest);
	rc = ledger_run(rq->service->db, rq->arena, &call, ticket_lock_key(rq->supplier, rq->endpoint->feature), &row);
	if (rc != RC_OK || row.values[LEDGER_VERDICT] == NULL)
		return database_failed(rq, rc);
	return take_verdict(rq, &row);
}
