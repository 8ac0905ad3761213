/*
 * idempotency.c - Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a request that is sent again is answered again, not made again.
 *
 * A request without the header pays nothing for this. One with it claims its key before it is admitted, and keeps its answer before its row is settled: the
 * answer counts once the ledger says that something was spent, and the key is free again where nothing was. So whatever breaks in between, nobody pays twice, and
 * nobody is given what was not paid for. sql/functions/idempotency_claim.sql decides.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "request/request.h"
#include "request/settlement.h"

#define KEY_MAX 255

/* fpm.idempotency_claim's columns. */
enum column { VERDICT, REQUEST_ID, STREAM, MODEL, PROBLEM, CONTENT, USAGE, COLUMNS };

static bool printable(char c)
{
	return c >= 0x20 && c <= 0x7e;
}

/* An sf-string (RFC 9651, 3.3.3) without parameters, or the key as it is: many clients send no quotes. `key` has room for KEY_MAX. */
static enum rc read_key(const char *header, char key[KEY_MAX], size_t *len)
{
	bool quoted = *header == '"';
	const char *at = header + quoted;

	for (*len = 0; printable(*at) && !(quoted && *at == '"'); at++) {
		if (quoted && *at == '\\' && *++at != '"' && *at != '\\')
			return RC_INVALID;
		if (*len == KEY_MAX)
			return RC_INVALID;
		key[(*len)++] = *at;
	}
	if (quoted && *at++ != '"')
		return RC_INVALID;
	return *at == '\0' && *len > 0 ? RC_OK : RC_INVALID;
}

/* Of the key together with the path, so that a key is one endpoint's; and of all that a retry must repeat. */
static enum rc make_digests(struct request *rq, const char *key, size_t len, char fingerprint[TOKEN_DIGEST_SIZE])
{
	const struct token_piece method = {rq->method, strlen(rq->method)}, path = {rq->path, strlen(rq->path)};
	const struct token_piece whose[] = {path, {key, len}}, what[] = {method, path, {rq->body, rq->body_len}};
	enum rc rc = token_sha256_pieces(whose, COUNT_OF(whose), rq->idempotency.digest);

	return rc == RC_OK ? token_sha256_pieces(what, COUNT_OF(what), fingerprint) : rc;
}

/* Sorts the calls of one transaction as every other process sorts them. */
static int64_t lock_key(const struct request *rq)
{
	char first[16];

	memcpy(first, rq->idempotency.digest, 15);
	first[15] = '\0';
	return (int64_t)strtoll(first, NULL, 16);
}

static enum rc claim(struct request *rq, const char *fingerprint, struct db_row *row)
{
	const struct settings *settings = rq->service->settings;
	const char *const params[] = {
		rq->key_hash,
		rq->idempotency.digest,
		fingerprint,
		rq->id,
		rq->service->worker,
		arena_printf(rq->arena, "%lld", (long long)((rq->deadline_us - clock_us()) / 1000)),
		arena_printf(rq->arena, "%lld", (long long)service_grace_ms(rq->service)),
		arena_printf(rq->arena, "%lld", (long long)settings->idempotency_keep),
	};
	const struct db_call call = {
		.sql = "select verdict, request_id, stream, model, problem, content, usage from"
		       " fpm.idempotency_claim($1, $2, $3, $4, $5, $6::bigint, $7::bigint, $8::bigint)",
		.params = params,
		.param_count = COUNT_OF(params),
		.lock_key = lock_key(rq),
	};
	enum rc rc = db_call(rq->service->db, rq->arena, &call, row);

	return rc == RC_OK && row->count < COLUMNS ? RC_INVALID : rc;
}

/* A stream is given again in the form that is asked for now; what was no stream is none. */
static enum answer_mode mode_of(const struct request *rq, bool stream)
{
	if (!stream)
		return ANSWER_JSON;
	return rq->mode == ANSWER_JSON ? ANSWER_TEXT : rq->mode;
}

/* From here on this request is the first one: its id, its model, its end. */
static enum rc replay(struct request *rq, const struct db_row *row)
{
	enum rc rc;

	snprintf(rq->id, sizeof rq->id, "%s", row->values[REQUEST_ID]);
	rq->replayed = true;
	rq->mode = mode_of(rq, row->values[STREAM] != NULL && row->values[STREAM][0] == 't');
	rq->admission.model = row->values[MODEL];
	rq->usage = row->values[USAGE];
	if (row->values[PROBLEM] != NULL)
		request_fail(rq, problem_by_name(row->values[PROBLEM]), NULL);
	rc = respond_again(rq, row->values[CONTENT]);
	return rc == RC_OK ? RC_DONE : rc;
}

static enum rc take_verdict(struct request *rq, const struct db_row *row)
{
	const char *verdict = row->values[VERDICT];

	rq->idempotency.claimed = str_eq(verdict, "claimed");
	if (rq->idempotency.claimed)
		return RC_OK;
	if (str_eq(verdict, "replay"))
		return replay(rq, row);
	if (str_eq(verdict, "in_flight"))
		return request_refuse(rq, PROBLEM_IDEMPOTENCY_IN_FLIGHT);
	if (str_eq(verdict, "lost"))
		return request_refuse(rq, PROBLEM_IDEMPOTENCY_LOST);
	return request_refuse(rq, str_eq(verdict, "mismatch") ? PROBLEM_IDEMPOTENCY_MISMATCH : problem_of_verdict(verdict));
}

/* Whether the key was claimed before the connection broke is unknown: if so, it is given up as soon as the database answers. */
static enum rc database_failed(struct request *rq, enum rc rc)
{
	if (rc == RC_GONE || rc == RC_TIMEOUT)
		settlement_release_later(rq->service->settles, rq->supplier, rq->idempotency.digest, rq->id);
	return request_fail(rq, PROBLEM_DATABASE, rc == RC_TIMEOUT ? "claiming the idempotency key timed out" : "claiming the idempotency key failed");
}

enum rc step_idempotency(struct request *rq)
{
	const char *header = fcgi_param(rq->fcgi, "HTTP_IDEMPOTENCY_KEY");
	char key[KEY_MAX], fingerprint[TOKEN_DIGEST_SIZE];
	struct db_row row;
	size_t len;
	enum rc rc;

	if (header == NULL)
		return RC_OK;
	if (read_key(header, key, &len) != RC_OK)
		return request_fail(rq, PROBLEM_IDEMPOTENCY_KEY, NULL);
	if (make_digests(rq, key, len, fingerprint) != RC_OK)
		return request_fail(rq, PROBLEM_INTERNAL, "no digest");
	rc = claim(rq, fingerprint, &row);
	if (rc != RC_OK || row.values[VERDICT] == NULL)
		return database_failed(rq, rc);
	return take_verdict(rq, &row);
}

/* Whether it is kept. */
static bool store(struct request *rq)
{
	bool stream = rq->mode != ANSWER_JSON, whole = rq->problem == NULL;
	const char *const params[] = {
		rq->supplier,
		rq->idempotency.digest,
		rq->id,
		rq->admission.ticket,
		stream ? "true" : "false",
		rq->admission.model,
		whole ? NULL : rq->problem->name,
		stream ? buf_text(&rq->text) : whole ? rq->body_sent : NULL,
		stream && whole ? respond_usage(rq) : NULL,
	};
	const struct db_call call = {
		.sql = "select fpm.idempotency_store($1, $2, $3, $4, $5::boolean, $6, $7, $8, $9)",
		.params = params,
		.param_count = COUNT_OF(params),
		.lock_key = lock_key(rq),
	};
	struct db_row row;

	return db_call(rq->service->db, rq->arena, &call, &row) == RC_OK && row.values[0] != NULL && row.values[0][0] == 't';
}

void idempotency_keep(struct request *rq)
{
	if (rq->idempotency.claimed && rq->admission.ticket != NULL)
		rq->idempotency.kept = store(rq);
}

void idempotency_release(struct request *rq)
{
	if (rq->idempotency.claimed && !rq->idempotency.kept)
		settlement_release(rq->service->settles, rq->service->db, rq->arena, rq->supplier, rq->idempotency.digest, rq->id);
}
