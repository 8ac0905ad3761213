/*
 * report.c - GET PREFIX/usage: what a caller used, what it cost, what is left, what the cache saved.
 *
 * It reads the day's sums and the counters, never the ledger's rows, and spends nothing: no reservation, no limit.
 */
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "request/request.h"

bool report_wanted(const struct request *rq)
{
	const char *uri = fcgi_uri(rq->fcgi), *prefix = rq->service->settings->prefix;
	size_t n = strlen(prefix);

	return uri != NULL && strncmp(uri, prefix, n) == 0 && strncmp(uri + n, "/usage", 6) == 0 && (uri[n + 6] == '\0' || uri[n + 6] == '?');
}

/* The value of a parameter in the query, NULL where it is not there. Days and scopes need no decoding: one with an escape in it is no day. */
static const char *query_value(struct request *rq, const char *name)
{
	const char *at = strchr(fcgi_uri(rq->fcgi), '?');
	size_t n = strlen(name);

	for (at = at == NULL ? "" : at + 1; *at != '\0'; at += strcspn(at, "&"), at += *at == '&')
		if (strncmp(at, name, n) == 0 && at[n] == '=')
			return arena_strndup(rq->arena, at + n + 1, strcspn(at + n + 1, "&"));
	return NULL;
}

/* A day that there is, written in full: strptime alone takes the 31st of February and a lone digit. */
static bool is_day(const char *text)
{
	struct tm day = {0}, same;
	const char *end = strlen(text) == 10 ? strptime(text, "%Y-%m-%d", &day) : NULL;

	if (end == NULL || *end != '\0' || day.tm_year < 0)
		return false;
	same = day;
	return timegm(&same) != (time_t)-1 && same.tm_mday == day.tm_mday && same.tm_mon == day.tm_mon;
}

static enum rc refuse(struct request *rq, const char *name, const char *reason)
{
	rq->faults.items[rq->faults.count++] = (struct schema_fault){.path = name, .reason = reason};
	return request_fail(rq, PROBLEM_INVALID_INPUT, reason);
}

static enum rc check_parameters(struct request *rq, const char *from, const char *to, const char *scope)
{
	if (from != NULL && !is_day(from))
		return refuse(rq, "/from", "must be a day such as 2026-11-01");
	if (to != NULL && !is_day(to))
		return refuse(rq, "/to", "must be a day such as 2026-11-30");
	if (from != NULL && to != NULL && strcmp(from, to) > 0)
		return refuse(rq, "/to", "is before from");
	if (scope != NULL && !str_eq(scope, "supplier") && !str_eq(scope, "organization"))
		return refuse(rq, "/scope", "must be supplier or organization");
	return RC_OK;
}

static enum rc ask_database(struct request *rq, const char *from, const char *to, const char *scope, struct db_row *row)
{
	const char *const params[] = {rq->key_hash, from, to, scope};
	const struct db_call call = {.sql = "select fpm.usage_report($1, $2::date, $3::date, $4)", .params = params, .param_count = COUNT_OF(params)};
	enum rc rc = db_call(rq->service->db, rq->arena, &call, row);

	if (rc == RC_OK && row->values[0] != NULL)
		return RC_OK;
	if (rc == RC_DONE)
		return request_fail(rq, PROBLEM_UNAUTHENTICATED, "unknown or revoked key");
	return request_fail(rq, PROBLEM_DATABASE, "the report failed");
}

enum rc step_report(struct request *rq)
{
	const char *from, *to, *scope;
	struct db_row row;
	enum rc rc;

	if (!str_eq(rq->method, "GET") && !str_eq(rq->method, "HEAD")) { /* to HEAD the web server sends no body on */
		rq->allow = "GET, HEAD";
		return request_fail(rq, PROBLEM_METHOD, NULL);
	}
	from = query_value(rq, "from");
	to = query_value(rq, "to");
	scope = query_value(rq, "scope");
	rc = check_parameters(rq, from, to, scope);
	if (rc == RC_OK)
		rc = ask_database(rq, from, to, scope, &row);
	return rc == RC_OK ? respond_body(rq, row.values[0], strlen(row.values[0])) : rc;
}
